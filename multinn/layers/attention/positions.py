"""Positions in a sequence, for layers that process all steps at once."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree
from multinn.initializers import Initializer, Uniform
from multinn.layers.base import Layer, ParameterFree, check_axes
from multinn.random import Key

_LONGEST_WAVELENGTH = 10_000.0  # divided by 2π


@dataclass(frozen=True)
class PositionalEncoding(ParameterFree):
    """y = x + P with sinusoids of many wavelengths: P_t,2i = sin(t r_i), P_t,2i+1 = cos(t r_i).

    r_i = 10000^(-2i / features). Shapes: x and y (batch, time, features), P (time, features), t from 0.
    P is constant, so dx = dy.
    Source: A. Vaswani et al., Attention is all you need, NIPS 2017, section 3.5.
    """

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and the shape unchanged."""
        check_axes(self, input_shape, "sequences", "time", "features")
        return {}, input_shape

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y = x + P, and no cache."""
        return x + backend.xp.asarray(_sinusoids(*x.shape[1:]), dtype=x.dtype), None

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy."""
        return dy, {}


@lru_cache(maxsize=16)
def _sinusoids(time: int, features: int) -> HostArray:
    """Return P in float64; in float32, large angles would keep few digits."""
    exponents = np.arange(0, features, 2) / features
    angles = np.arange(time)[:, None] * _LONGEST_WAVELENGTH**-exponents
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(time, -1)[:, :features]


@dataclass(frozen=True)
class PositionEmbedding(Layer):
    """y = x + P with a learned vector for each step.

    Shapes: x and y (batch, time, features), P (time, features).

    With dy = ∂L/∂y, and the index n over the batch, y_ntj = x_ntj + P_tj gives
        dx = dy
        ∂L/∂P_tj = Σ_n dy_ntj
    Source: J. Gehring et al., Convolutional sequence to sequence learning, ICML 2017, section 3.1.

    Attributes:
        weight_initializer: draws P.
    """

    weight_initializer: Initializer = Uniform()

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw P (time, features), and return the shape unchanged."""
        check_axes(self, input_shape, "sequences", "time", "features")
        return {"P": self.weight_initializer(generator, input_shape, *input_shape)}, input_shape

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y = x + P, and no cache."""
        return x + params["P"], None

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy, and {"P": Σ dy}."""
        return dy, {"P": backend.xp.sum(dy, axis=0)}
