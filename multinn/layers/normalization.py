"""Normalization of each example by itself: alike while training and at inference."""

import math
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

import numpy as np

from backends import Array, Backend, Tree
from multinn.layers import moments
from multinn.layers.base import Layer, Shape
from multinn.layers.masked import Masked, mask_of, values_of, with_mask
from multinn.random import Key


@dataclass(frozen=True)
class LayerNorm(Layer):
    """y = γ z + β with z = (x - μ) / s: each example normalized over its last axis, of length n.

    μ = Σ_i x_i / n, s = √(Σ_i (x_i - μ)² / n + ε), all along the last axis; γ and β (n,).

    With dy = ∂L/∂y and dz = dy γ:
        ∂L/∂γ = Σ dy z and ∂L/∂β = Σ dy, over all axes but the last.
        ∂μ/∂x_j = 1 / n, and ∂s/∂x_j = (x_j - μ) / (n s) = z_j / n, since Σ_i (x_i - μ) = 0. So
        ∂z_i/∂x_j = (δ_ij - 1 / n) / s - z_i z_j / (n s), and with means along the last axis
        dx = (dz - mean(dz) - z mean(dz z)) / s.
    Numbers whose square overflows, from about 1e19 on in float32, are out of its range.
    Source: J. L. Ba, J. R. Kiros and G. E. Hinton, Layer normalization, 2016, equation 3.

    Attributes:
        epsilon: added to the variance, positive.

    Raises:
        ValueError: epsilon is not positive and finite.
    """

    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        moments.check_epsilon("LayerNorm", self.epsilon)

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return γ = 1 and β = 0, both (n,), and the shape unchanged."""
        features = moments.check_features("LayerNorm", input_shape)
        return {"gamma": np.ones(features), "beta": np.zeros(features)}, input_shape

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and (z, s)."""
        z, s = moments.standardized(backend, x, -1, self.epsilon)
        return params["gamma"] * z + params["beta"], (z, s)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = (dz - mean(dz) - z mean(dz z)) / s, and {"gamma": Σ dy z, "beta": Σ dy}."""
        z, s = cache
        dx = moments.standardized_gradient(backend, dy * params["gamma"], z, s, -1)
        d_gamma = moments.sum_of_rows(backend, dy * z)
        return dx, {"gamma": d_gamma, "beta": moments.sum_of_rows(backend, dy)}


@dataclass(frozen=True)
class RMSNorm(Layer):
    """y = γ z with z = x / r: each example over the root of its mean square, along the last axis.

    r = √(Σ_i x_i² / n + ε) along the last axis, of length n; γ (n,).

    With dy = ∂L/∂y and dz = dy γ:
        ∂L/∂γ = Σ dy z, over all axes but the last.
        ∂r/∂x_j = x_j / (n r) = z_j / n. So ∂z_i/∂x_j = δ_ij / r - z_i z_j / (n r), and with a mean along
        the last axis
        dx = (dz - z mean(dz z)) / r.
    Numbers whose square overflows, from about 1e19 on in float32, are out of its range.
    Source: B. Zhang and R. Sennrich, Root mean square layer normalization, NeurIPS 2019, equation 4.

    Attributes:
        epsilon: added to the mean square, positive.

    Raises:
        ValueError: epsilon is not positive and finite.
    """

    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        moments.check_epsilon("RMSNorm", self.epsilon)

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return γ = 1 (n,), and the shape unchanged."""
        return {"gamma": np.ones(moments.check_features("RMSNorm", input_shape))}, input_shape

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and (z, r)."""
        r = backend.xp.sqrt(moments.mean(backend, x * x, -1) + self.epsilon)
        z = x / r
        return params["gamma"] * z, (z, r)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = (dz - z mean(dz z)) / r, and {"gamma": Σ dy z}."""
        z, r = cache
        dz = dy * params["gamma"]
        dx = (dz - z * moments.mean(backend, dz * z, -1)) / r
        return dx, {"gamma": moments.sum_of_rows(backend, dy * z)}


@dataclass(frozen=True)
class GroupNorm(Layer):
    """y = γ z + β with z = (x - μ) / s: each example normalized over groups of its channels.

    The channels, the last axis, are cut into groups of as many neighbours each. μ and s are, for each
    example and group, those of LayerNorm over all the group's numbers: its channels at all pixels of an
    image, or at all time steps of a sequence. γ and β (channels,). One group of all channels, or groups
    of one channel (instance normalization), are the two ends.

    Shapes: x (batch, ..., channels) and y alike.

    ∂L/∂γ = Σ dy z and ∂L/∂β = Σ dy, over all axes but the last. With dz = dy γ, and the derivation of
    LayerNorm for the numbers of one group,
        dx = (dz - mean(dz) - z mean(dz z)) / s
    with the means over the group. Time steps that a mask marks as padding count nowhere: their y and dx
    are 0. Numbers whose square overflows, from about 1e19 on in float32, are out of its range.
    Source: Y. Wu and K. He, Group normalization, ECCV 2018, equations 1, 2, 6 and 7.

    Attributes:
        groups: how many, a divisor of the number of channels.
        epsilon: added to the variance, positive.

    Raises:
        ValueError: groups is below 1, or epsilon not positive and finite.
    """

    takes_mask: ClassVar[bool] = True

    groups: int
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if not isinstance(self.groups, Integral) or self.groups < 1:
            raise ValueError(f"GroupNorm: expected groups of 1 or more, got {self.groups!r}")
        moments.check_epsilon("GroupNorm", self.epsilon)

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return γ = 1 and β = 0, both (channels,), and the shape unchanged."""
        channels = moments.check_features("GroupNorm", input_shape)
        if channels % self.groups:
            raise ValueError(
                f"GroupNorm: expected channels that {self.groups} groups divide, got {channels} in "
                f"inputs of shape {('batch', *input_shape)}; take a divisor of {channels} for groups"
            )
        if math.prod(input_shape) == self.groups:
            raise ValueError(
                "GroupNorm: expected groups of more than one number, all others give 0, got "
                f"{self.groups} groups of inputs of shape {('batch', *input_shape)}; take fewer groups"
            )
        return {"gamma": np.ones(channels), "beta": np.zeros(channels)}, input_shape

    def forward(
        self, backend: Backend, params: Tree, x: Array | Masked, key: Key | None = None
    ) -> tuple[Array | Masked, Tree]:
        """Return y, and (z, s, the mask)."""
        grouped = self._grouped(backend, values_of(x))
        mask = moments.mask_like(backend, mask_of(x), grouped.ndim)
        z, s = moments.standardized(backend, grouped, _within(grouped), self.epsilon, mask)
        z = backend.xp.reshape(z, values_of(x).shape)
        mask = moments.mask_like(backend, mask_of(x), z.ndim)
        y = moments.only(backend, params["gamma"] * z + params["beta"], mask)
        return with_mask(y, mask_of(x)), (z, s, mask_of(x))

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = (dz - mean(dz) - z mean(dz z)) / s, and {"gamma": Σ dy z, "beta": Σ dy}."""
        z, s, mask = cache
        dy = moments.only(backend, dy, moments.mask_like(backend, mask, dy.ndim))
        dz, grouped = (self._grouped(backend, each) for each in (dy * params["gamma"], z))
        mask = moments.mask_like(backend, mask, dz.ndim)
        dx = moments.standardized_gradient(backend, dz, grouped, s, _within(dz), mask)
        d_gamma = moments.sum_of_rows(backend, dy * z)
        gradients = {"gamma": d_gamma, "beta": moments.sum_of_rows(backend, dy)}
        return backend.xp.reshape(dx, dy.shape), gradients

    def _grouped(self, backend: Backend, x: Array) -> Array:
        """Return (batch, ..., groups, channels of one): no copy, in whatever order the memory is."""
        return backend.xp.reshape(x, (*x.shape[:-1], self.groups, -1))


def _within(grouped: Array) -> tuple[int, ...]:
    """Return the axes of one group of one example."""
    return (*range(1, grouped.ndim - 2), grouped.ndim - 1)
