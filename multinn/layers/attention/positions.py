"""Positions in a sequence, for layers that process all steps at once."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree
from multinn.descriptions.bounds import check_integers
from multinn.initializers import Initializer, Uniform, Zeros
from multinn.layers.base import Layer, Masked, ParameterFree, check_axes, values_of
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

    Shapes: x and y (batch, time, features), P (steps, features), of which the first rows are used.

    With dy = ∂L/∂y, and the index n over the batch, y_ntj = x_ntj + P_tj gives
        dx = dy
        ∂L/∂P_tj = Σ_n dy_ntj for t < time, and 0 for the other rows
    Source: J. Gehring et al., Convolutional sequence to sequence learning, ICML 2017, section 3.1.

    Attributes:
        weight_initializer: draws P.
        steps: the number of steps of the longest sequence, or None for that of the examples in `init`,
            from which all sequences then have the same length.

    Raises:
        ValueError: steps is below 1.
    """

    weight_initializer: Initializer = Uniform()
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.steps is not None:
            check_integers(self, "steps")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw P (steps, features), and return the shape unchanged."""
        check_axes(self, input_shape, "sequences", "time", "features")
        time, features = input_shape
        shape = (time if self.steps is None else self.steps, features)
        if time > shape[0]:
            raise ValueError(
                f"PositionEmbedding: expected sequences of at most {self.steps} steps, got {time}; "
                "increase steps, or shorten the sequences"
            )
        return {"P": self.weight_initializer(generator, shape, *shape)}, input_shape

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y = x + P, and no cache."""
        return x + params["P"][: x.shape[1], :], None

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy, and {"P": Σ dy}, with zeros for the steps that were not used."""
        xp = backend.xp
        dP, unused = xp.sum(dy, axis=0), params["P"][dy.shape[1] :, :]
        return dy, {"P": xp.concat((dP, xp.zeros_like(unused))) if unused.shape[0] else dP}


@dataclass(frozen=True)
class RelativePositionBias(Layer):
    """y_nhij = b_h,k with k = j - i + time - 1: an additive mask for attention, learned by distance.

    It is the third branch of a Parallel before `MultiHeadAttention`: in head h, step i prefers the step
    at distance j - i by b_h,k, and does not see it if that is -∞.
    Shapes: x (batch, time, features), of which only the shape counts; y (batch, heads, time, time), and
    b (heads, 2 time - 1).

    With dy = ∂L/∂y, each distance serves all examples and all pairs of steps that are so far apart:
        dx = 0
        ∂L/∂b_hk = Σ_n Σ_ij dy_nhij over all i and j with j - i + time - 1 = k
    Source: C. Raffel et al., Exploring the limits of transfer learning with a unified text-to-text
    transformer, JMLR 21, 2020, section 2.1, with a number for each distance.

    Attributes:
        heads: the number of heads of the attention, at least 1.
        bias_initializer: draws b.

    Raises:
        ValueError: heads is below 1.

    >>> from multinn import Identity, MultiHeadAttention, Parallel, Sequential
    >>> inputs = Parallel([Identity(), Identity(), RelativePositionBias(heads=2)])
    >>> Sequential([inputs, MultiHeadAttention(heads=2)]).init(np.random.default_rng(0), (5, 4))[1]
    (5, 4)
    """

    takes_mask: ClassVar[bool] = True

    heads: int
    bias_initializer: Initializer = Zeros()

    def __post_init__(self) -> None:
        check_integers(self, "heads")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw b (heads, 2 time - 1), and return (heads, time, time)."""
        check_axes(self, input_shape, "sequences", "time", "features")
        time, shape = input_shape[0], (self.heads, 2 * input_shape[0] - 1)
        return {"b": self.bias_initializer(generator, shape, *shape)}, (self.heads, time, time)

    def forward(
        self, backend: Backend, params: Tree, x: Array | Masked, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y without a mask, and the values of x for their shape."""
        xp, values = backend.xp, values_of(x)
        batch, time = values.shape[:2]
        entries = xp.take(params["b"], xp.asarray(_distances(time)), axis=1)
        B = xp.reshape(entries, (self.heads, time, time))
        return xp.broadcast_to(B, (batch, *B.shape)), values

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = 0, and {"b": the sum of dy for each distance}."""
        return backend.xp.zeros_like(cache), self.parameter_gradients(backend, params, cache, dy)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"b": the sum of dy for each distance}."""
        xp = backend.xp
        rows = xp.reshape(xp.sum(dy, axis=0), (self.heads, -1)).T
        distances = xp.asarray(_distances(dy.shape[-1]))
        return {"b": backend.scatter_add(xp.zeros_like(params["b"].T), distances, rows).T}


@lru_cache(maxsize=16)
def _distances(time: int) -> HostArray:
    """Return k of all pairs (i, j), row by row."""
    steps = np.arange(time, dtype=np.int32)
    return (steps - steps[:, None] + np.int32(time - 1)).ravel()
