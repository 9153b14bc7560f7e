"""Convolution of images."""

import math
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from backends import Array, Backend, Tree
from multinn.initializers import Glorot, Initializer, Zeros
from multinn.layers.base import Layer, Shape
from multinn.layers.windows import (
    Pair,
    check_images,
    count,
    from_planes,
    pair,
    sum_windows,
    to_planes,
    windows,
)
from multinn.random import Key


@dataclass(frozen=True)
class Conv2D(Layer):
    """y_nhwf = b_f + Σ_ijc x_{n, s h + i, s w + j, c} W_ijcf: windows of the images times one matrix.

    Shapes: x (batch, height, width, channels), W (k, k, channels, filters), b (filters,), and
    y (batch, (height - k) // s + 1, (width - k) // s + 1, filters), for a kernel of size k and stride s.
    (As in all such libraries this is, strictly, a cross-correlation: W is not turned around.)

    Let the row m = (i, j, c) of the matrix P have what all windows of the batch have at place (i, j) in
    channel c, so that with W as a matrix (m, f) and Y as a matrix (f, windows)
        Y = Wᵀ P + b.
    This is a fully connected layer, so with dY = ∂L/∂Y
        dW = P dYᵀ      db = the sum of the columns of dY      dP = W dY
    and, as P copies entries of x, dx is the sum of dP over all places that an entry was copied to.
    Source: K. Chellapilla, S. Puri and P. Simard, High performance convolutional neural networks for
    document processing, IWFHR 2006, section 3 (convolution as one matrix product).

    Attributes:
        filters: the number of output channels, at least 1.
        kernel_size: k, or one for the height and one for the width.
        stride: s, or one for each.
        use_bias: whether b is added.
        weight_initializer: draws W.
        bias_initializer: draws b.

    Raises:
        ValueError: filters, kernel_size or stride are below 1.
    """

    filters: int
    kernel_size: int | Pair
    stride: int | Pair = 1
    use_bias: bool = True
    weight_initializer: Initializer = Glorot()
    bias_initializer: Initializer = Zeros()

    def __post_init__(self) -> None:
        if not isinstance(self.filters, Integral) or self.filters < 1:
            raise ValueError(f"Conv2D: expected filters of at least 1, got {self.filters!r}")
        object.__setattr__(self, "kernel_size", pair("Conv2D", "kernel_size", self.kernel_size))
        object.__setattr__(self, "stride", pair("Conv2D", "stride", self.stride))

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W (k, k, channels, filters) and, with a bias, b (filters,)."""
        size, stride = self._geometry
        check_images("Conv2D", input_shape, size)
        channels = input_shape[2]
        fans = (size[0] * size[1] * channels, size[0] * size[1] * self.filters)
        params = {"W": self.weight_initializer(generator, (*size, channels, self.filters), *fans)}
        if self.use_bias:
            params["b"] = self.bias_initializer(generator, (self.filters,), *fans)
        return params, (*count(input_shape[:2], size, stride), self.filters)

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and (P, x)."""
        xp = backend.xp
        size, stride = self._geometry
        places = windows(to_planes(backend, x), size, stride)
        P = xp.reshape(xp.stack(places), (-1, math.prod(places[0].shape[1:])))
        Y = _matrix(backend, params["W"]).T @ P
        if self.use_bias:
            Y = Y + params["b"][:, None]
        y = xp.reshape(Y, (self.filters, *places[0].shape[1:]))
        return from_planes(backend, y), (P, x)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx, and {"W": P dYᵀ, "b": Σ dY}."""
        xp = backend.xp
        size, stride = self._geometry
        _, x = cache
        dY = to_planes(backend, dy)
        dP = _matrix(backend, params["W"]) @ _rows(backend, dY)
        parts = xp.reshape(dP, (*size, x.shape[3], *dY.shape[1:]))
        dx = sum_windows(backend, parts, stride, x.shape[1:3])
        return from_planes(backend, dx), self._parameter_gradients(backend, params, cache, dY)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"W": P dYᵀ, "b": Σ dY}."""
        return self._parameter_gradients(backend, params, cache, to_planes(backend, dy))

    def _parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dY: Array) -> Tree:
        P, _ = cache
        dY = _rows(backend, dY)
        gradients = {"W": backend.xp.reshape(P @ dY.T, params["W"].shape)}
        if self.use_bias:
            gradients["b"] = backend.xp.sum(dY, axis=1)
        return gradients

    @property
    def _geometry(self) -> tuple[Pair, Pair]:
        return pair("Conv2D", "kernel_size", self.kernel_size), pair("Conv2D", "stride", self.stride)


def _rows(backend: Backend, planes: Array) -> Array:
    """Return (rows, ...) as a matrix: all axes but the first become one."""
    return backend.xp.reshape(planes, (planes.shape[0], -1))


def _matrix(backend: Backend, weights: Array) -> Array:
    """Return W (k, k, channels, filters) as a matrix (k k channels, filters)."""
    return backend.xp.reshape(weights, (-1, weights.shape[3]))
