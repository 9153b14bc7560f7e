"""Normalization of each example separately, the same while training and at inference."""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn import functional
from multinn.descriptions.bounds import check_integers, check_positive
from multinn.layers.base import Layer, Masked, check_features, mask_of, sum_of_rows, values_of, with_mask
from multinn.layers.masked import expand_mask, zero_padding
from multinn.layers.normalization import moments
from multinn.random import Key


@dataclass(frozen=True)
class _OverLastAxes(Layer):
    """The base of layers that normalize each example over its last axes, of shape (..., n) together."""

    epsilon: float = 1e-5
    axes: int = 1

    def __post_init__(self) -> None:
        check_positive(self, "epsilon")
        check_integers(self, "axes")

    @property
    def mixes_steps(self) -> bool:  # type: ignore[override]  # it depends on the axes
        """Whether time can be one of the axes."""
        return self.axes > 1

    def _shape_of_axes(self, input_shape: Shape) -> Shape:
        """Return the lengths of the axes, or raise ValueError if the inputs lack them."""
        check_features(self, input_shape)
        shape = input_shape[-self.axes :]
        if len(shape) < self.axes or min(shape) < 1:
            raise ValueError(
                f"{type(self).__name__}: expected inputs with {self.axes} axes after the batch, as "
                f"axes={self.axes}, each of length 1 or more, got {('batch', *input_shape)}"
            )
        return shape

    def _mean(self, backend: Backend, x: Array) -> Array:
        if self.axes == 1 and len(x.shape) <= 3:  # of images, the mean keeps their order in memory
            return functional.sum_of_columns(backend, x) / x.shape[-1]
        return moments.mean(backend, x, tuple(range(-self.axes, 0)))

    def _sum_of_examples(self, backend: Backend, x: Array) -> Array:
        """Return the sum over all other axes."""
        return backend.xp.sum(x, axis=tuple(range(x.ndim - self.axes)))


@dataclass(frozen=True)
class LayerNorm(_OverLastAxes):
    """y = γ z + β with z = (x - μ) / s: each example normalized over its last axis, or last axes.

    μ = Σ_i x_i / n, s = √(Σ_i (x_i - μ)² / n + ε), where i runs over the n numbers along these axes; γ
    and β have the shape of these axes.

    With dy = ∂L/∂y and dz = dy γ:
        ∂L/∂γ = Σ dy z and ∂L/∂β = Σ dy, over all other axes.
        ∂μ/∂x_j = 1 / n, and ∂s/∂x_j = (x_j - μ) / (n s) = z_j / n, since Σ_i (x_i - μ) = 0. So
        ∂z_i/∂x_j = (δ_ij - 1 / n) / s - z_i z_j / (n s), and with means over the n numbers
        dx = (dz - mean(dz) - z mean(dz z)) / s.
    The squares of the inputs must not overflow: in float32, keep inputs below about 1e19.
    Source: J. L. Ba, J. R. Kiros and G. E. Hinton, Layer normalization, 2016, equation 3.

    Attributes:
        epsilon: added to the variance, positive.
        axes: how many of the last axes are normalized together, at least 1. PyTorch's normalized_shape
            has as many entries. With more than one, there must be no mask.

    Raises:
        ValueError: epsilon is not positive and finite, or axes is below 1.

    >>> LayerNorm(axes=2).init(np.random.default_rng(0), (7, 5, 3))[0]["gamma"].shape
    (5, 3)
    """

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return γ = 1 and β = 0, both of the shape of the axes, and the shape unchanged."""
        shape = self._shape_of_axes(input_shape)
        return {"gamma": np.ones(shape), "beta": np.zeros(shape)}, input_shape

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and (z, s)."""
        z, s = moments.standardized(backend, x, partial(self._mean, backend), self.epsilon)
        return params["gamma"] * z + params["beta"], (z, s)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = (dz - mean(dz) - z mean(dz z)) / s, and {"gamma": Σ dy z, "beta": Σ dy}."""
        z, s = cache
        dx = moments.standardized_gradient(dy * params["gamma"], z, s, partial(self._mean, backend))
        d_gamma = self._sum_of_examples(backend, dy * z)
        return dx, {"gamma": d_gamma, "beta": self._sum_of_examples(backend, dy)}


@dataclass(frozen=True)
class RMSNorm(_OverLastAxes):
    """y = γ z with z = x / r: each example divided by its root mean square along the last axis, or axes.

    r = √(Σ_i x_i² / n + ε), where i runs over the n numbers along these axes; γ has the shape of these
    axes.

    With dy = ∂L/∂y and dz = dy γ:
        ∂L/∂γ = Σ dy z, over all other axes.
        ∂r/∂x_j = x_j / (n r) = z_j / n. So ∂z_i/∂x_j = δ_ij / r - z_i z_j / (n r), and with a mean over
        the n numbers
        dx = (dz - z mean(dz z)) / r.
    The squares of the inputs must not overflow: in float32, keep inputs below about 1e19.
    Source: B. Zhang and R. Sennrich, Root mean square layer normalization, NeurIPS 2019, equation 4.

    Attributes:
        epsilon: added to the mean square, positive.
        axes: how many of the last axes are normalized together, as in LayerNorm.

    Raises:
        ValueError: epsilon is not positive and finite, or axes is below 1.
    """

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return γ = 1, of the shape of the axes, and the shape unchanged."""
        return {"gamma": np.ones(self._shape_of_axes(input_shape))}, input_shape

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and (z, r)."""
        r = backend.xp.sqrt(self._mean(backend, x * x) + self.epsilon)
        z = x / r
        return params["gamma"] * z, (z, r)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = (dz - z mean(dz z)) / r, and {"gamma": Σ dy z}."""
        z, r = cache
        dz = dy * params["gamma"]
        dx = (dz - z * self._mean(backend, dz * z)) / r
        return dx, {"gamma": self._sum_of_examples(backend, dy * z)}


@dataclass(frozen=True)
class GroupNorm(Layer):
    """y = γ z + β with z = (x - μ) / s: each example normalized over groups of its channels.

    The channels, the last axis, are divided into groups of equal size, in order. Each example and group
    has its own μ and s, as in LayerNorm, over all numbers of the group: its channels at all pixels of an
    image, or at all time steps of a sequence. Groups of one channel are instance normalization.

    Shapes: x and y (batch, ..., channels), γ and β (channels,).

    ∂L/∂γ = Σ dy z and ∂L/∂β = Σ dy, over all axes but the last. With dz = dy γ, and the derivation of
    LayerNorm for the numbers of one group,
        dx = (dz - mean(dz) - z mean(dz z)) / s
    with the means over the group. Time steps that a mask marks as padding do not count: their y and dx
    are 0. The squares of the inputs must not overflow: in float32, keep inputs below about 1e19.
    Source: Y. Wu and K. He, Group normalization, ECCV 2018, section 3.

    Attributes:
        groups: the number of groups, a divisor of the number of channels.
        epsilon: added to the variance, positive.

    Raises:
        ValueError: groups is below 1, or epsilon is not positive and finite.
    """

    takes_mask: ClassVar[bool] = True

    groups: int
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        check_integers(self, "groups")
        check_positive(self, "epsilon")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return γ = 1 and β = 0, both (channels,), and the shape unchanged."""
        channels = check_features(self, input_shape)
        if channels % self.groups:
            raise ValueError(
                f"GroupNorm: expected channels divisible by {self.groups} groups, got {channels} in "
                f"inputs of shape {('batch', *input_shape)}; set groups to a divisor of {channels}"
            )
        if math.prod(input_shape) == self.groups:
            raise ValueError(
                "GroupNorm: expected groups of more than one number, as a single one becomes 0, got "
                f"{self.groups} groups for inputs of shape {('batch', *input_shape)}; use fewer groups"
            )
        return {"gamma": np.ones(channels), "beta": np.zeros(channels)}, input_shape

    def forward(
        self, backend: Backend, params: Tree, x: Array | Masked, key: Key | None = None
    ) -> tuple[Array | Masked, Tree]:
        """Return y, and (z, s, the mask)."""
        values = values_of(x)
        mask = expand_mask(backend, mask_of(x), values.ndim)
        mean = partial(self._mean, backend, mask)
        z, s = moments.standardized(backend, zero_padding(backend, values, mask), mean, self.epsilon)
        y = zero_padding(backend, params["gamma"] * z + params["beta"], mask)
        return with_mask(y, mask_of(x)), (z, s, mask)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = (dz - mean(dz) - z mean(dz z)) / s, and {"gamma": Σ dy z, "beta": Σ dy}."""
        z, s, mask = cache
        dy = zero_padding(backend, dy, mask)
        mean = partial(self._mean, backend, mask)
        dx = moments.standardized_gradient(dy * params["gamma"], z, s, mean)
        d_gamma = sum_of_rows(backend, dy * z)
        gradients = {"gamma": d_gamma, "beta": sum_of_rows(backend, dy)}
        return zero_padding(backend, dx, mask), gradients

    def _mean(self, backend: Backend, mask: Array | None, x: Array) -> Array:
        """Return the means of the groups, (batch, 1, ..., channels), repeated for their channels.

        The first mean is over pixels or steps, which adds long contiguous blocks for any group size.
        """
        xp = backend.xp
        places = tuple(range(1, x.ndim - 1))
        of_channels = moments.mean(backend, x, places, mask) if places else x
        grouped = xp.reshape(of_channels, (x.shape[0], self.groups, -1))
        # Zeros in the same memory layout; broadcast_to would change the layout of later arrays.
        of_groups = moments.mean(backend, grouped, -1) + xp.zeros_like(grouped)
        return xp.reshape(of_groups, of_channels.shape)
