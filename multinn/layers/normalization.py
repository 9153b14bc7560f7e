"""Normalization layers."""

import math
from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, Tree
from multinn.layers.base import Layer, Shape
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
        if not 0.0 < self.epsilon < math.inf:
            raise ValueError(f"LayerNorm: expected a positive, finite epsilon, got {self.epsilon}")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return γ = 1 and β = 0, both (n,), and the shape unchanged."""
        if not input_shape:
            raise ValueError("LayerNorm: expected inputs of shape (batch, ..., features), got (batch,)")
        features = input_shape[-1:]
        return {"gamma": np.ones(features), "beta": np.zeros(features)}, input_shape

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and (z, s)."""
        xp = backend.xp
        centered = x - xp.mean(x, axis=-1, keepdims=True)
        # The mean of large numbers is rounded: without this, a row of equal numbers would not give 0.
        centered = centered - xp.mean(centered, axis=-1, keepdims=True)
        variance = xp.mean(centered * centered, axis=-1, keepdims=True)
        s = xp.sqrt(variance + self.epsilon)
        z = centered / s
        return params["gamma"] * z + params["beta"], (z, s)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = (dz - mean(dz) - z mean(dz z)) / s, and {"gamma": Σ dy z, "beta": Σ dy}."""
        xp = backend.xp
        z, s = cache
        dz = dy * params["gamma"]
        mean_dz = xp.mean(dz, axis=-1, keepdims=True)
        mean_dz_z = xp.mean(dz * z, axis=-1, keepdims=True)
        dx = (dz - mean_dz - z * mean_dz_z) / s
        leading = tuple(range(dy.ndim - 1))
        return dx, {"gamma": xp.sum(dy * z, axis=leading), "beta": xp.sum(dy, axis=leading)}
