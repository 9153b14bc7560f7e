"""Pooling of images: one number for each window and channel."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import reduce

import numpy as np

from backends import Array, Backend, Tree
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
class _Pooling(Layer):
    """What pooling layers share: windows of the images, and no parameters."""

    pool_size: int | Pair = 2
    stride: int | Pair | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "pool_size", pair(name, "pool_size", self.pool_size))
        if self.stride is not None:
            object.__setattr__(self, "stride", pair(name, "stride", self.stride))

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and (rows of windows, columns of windows, channels)."""
        size, stride = self._geometry
        check_images(type(self).__name__, input_shape, size)
        return {}, (*count(input_shape[:2], size, stride), input_shape[2])

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and the planes of x and of y."""
        X = to_planes(backend, x)
        Y = self._pool(backend, windows(X, *self._geometry))
        return from_planes(backend, Y), (X, Y)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx."""
        xp = backend.xp
        X, Y = cache
        size, stride = self._geometry
        dY = to_planes(backend, dy)
        parts = xp.stack(self._distribute(backend, windows(X, size, stride), Y, dY))
        parts = xp.reshape(parts, (*size, *dY.shape))
        return from_planes(backend, sum_windows(backend, parts, stride, X.shape[1:3])), {}

    @abstractmethod
    def _pool(self, backend: Backend, places: list[Array]) -> Array:
        """Return Y for what the windows have at each place."""

    @abstractmethod
    def _distribute(self, backend: Backend, places: list[Array], Y: Array, dY: Array) -> list[Array]:
        """Return the gradients with respect to what the windows have at each place."""

    @property
    def _geometry(self) -> tuple[Pair, Pair]:
        name = type(self).__name__
        size = pair(name, "pool_size", self.pool_size)
        return size, size if self.stride is None else pair(name, "stride", self.stride)


@dataclass(frozen=True)
class MaxPool2D(_Pooling):
    """y = the largest entry of each window, channel by channel.

    Shapes: x (batch, height, width, channels), and y (batch, (height - k) // s + 1,
    (width - k) // s + 1, channels) for windows of size k and stride s; rows and columns that no whole
    window reaches are left out.

    With x_k for what a window has at place k, ∂y/∂x_k is 1 where x_k is the largest, else 0. Where
    several are equally large, any of them may be taken: the first is. So dy goes to the first x_k that
    equals y, and entries of x that are in several windows sum up what they get.
    Source: D. Scherer, A. Müller and S. Behnke, Evaluation of pooling operations in convolutional
    architectures for object recognition, ICANN 2010, section 3.

    Attributes:
        pool_size: k, or one for the height and one for the width.
        stride: s, or one for each; that of windows side by side if None.

    Raises:
        ValueError: pool_size or stride are below 1.
    """

    def _pool(self, backend: Backend, places: list[Array]) -> Array:
        return reduce(backend.xp.maximum, places)

    def _distribute(self, backend: Backend, places: list[Array], Y: Array, dY: Array) -> list[Array]:
        parts, rest = [], dY
        for place in places[:-1]:
            part = rest * backend.xp.astype(place == Y, dY.dtype)
            rest = rest - part
            parts.append(part)
        return [*parts, rest]


@dataclass(frozen=True)
class AveragePool2D(_Pooling):
    """y = the mean of each window, channel by channel.

    Shapes: x (batch, height, width, channels), and y (batch, (height - k) // s + 1,
    (width - k) // s + 1, channels) for windows of size k and stride s; rows and columns that no whole
    window reaches are left out.

    With x_k for what a window of n entries has at place k, y = Σ_k x_k / n gives ∂y/∂x_k = 1 / n: each
    place gets dy / n, and entries of x that are in several windows sum up what they get.
    Source: Y. LeCun et al., Gradient-based learning applied to document recognition, Proceedings of the
    IEEE 86, 1998, section II.B, without the trainable factor.

    Attributes:
        pool_size: k, or one for the height and one for the width.
        stride: s, or one for each; that of windows side by side if None.

    Raises:
        ValueError: pool_size or stride are below 1.
    """

    def _pool(self, backend: Backend, places: list[Array]) -> Array:
        return sum(places[1:], start=places[0]) * (1.0 / len(places))

    def _distribute(self, backend: Backend, places: list[Array], Y: Array, dY: Array) -> list[Array]:
        return [dY * (1.0 / len(places))] * len(places)
