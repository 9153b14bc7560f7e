"""Pooling of images and of sequences: one number for each window and channel."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.layers.base import Layer
from multinn.layers.images.geometry import (
    Geometry,
    Padding,
    Padding1D,
    Pair,
    check_images,
    check_sequences,
    integer,
    padding_1d,
    padding_2d,
    pair,
)
from multinn.layers.images.windows import from_planes, sum_windows, to_planes, windows
from multinn.random import Key


@dataclass(frozen=True)
class _Pooling(Layer):
    """What pooling layers share: windows, a number for each, and no parameters."""

    mixes_steps: ClassVar[bool] = True

    pool_size: int | Pair = 2
    stride: int | Pair | None = None
    padding: Padding | Padding1D = "valid"

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and the planes of x and of y."""
        X = to_planes(backend, x)
        Y = self._pool(backend, X, self._windows(backend, X))
        return from_planes(backend, Y, x.ndim), (X, Y)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx."""
        xp = backend.xp
        X, Y = cache
        geometry = self._geometry
        dY = to_planes(backend, dy)
        parts = xp.stack(self._distribute(backend, X, Y, dY))
        parts = xp.reshape(parts, (*geometry.size, *dY.shape))
        dX = sum_windows(backend, parts, geometry, X.shape[1:3])
        return from_planes(backend, dX, dy.ndim), {}

    @abstractmethod
    def _pool(self, backend: Backend, X: Array, places: list[Array]) -> Array:
        """Return Y for the planes X, and for what the windows have at each place."""

    @abstractmethod
    def _distribute(self, backend: Backend, X: Array, Y: Array, dY: Array) -> list[Array]:
        """Return the gradients with respect to what the windows have at each place."""

    @abstractmethod
    def _windows(self, backend: Backend, X: Array) -> list[Array]:
        """Return what the windows have at each place."""

    @property
    @abstractmethod
    def _geometry(self) -> Geometry: ...

    def _check_padding(self) -> None:
        padding, size = self._geometry.padding, self._geometry.size
        if isinstance(padding, str):
            return
        if max(padding[0]) >= size[0] or max(padding[1]) >= size[1]:
            raise ValueError(
                f"{type(self).__name__}: expected padding below pool_size {self.pool_size}, so that "
                f"each window has something else, got {self.padding}"
            )


@dataclass(frozen=True)
class _Pooling2D(_Pooling):
    """Windows of images."""

    padding: Padding = "valid"

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "pool_size", pair(name, "pool_size", self.pool_size))
        if self.stride is not None:
            object.__setattr__(self, "stride", pair(name, "stride", self.stride))
        object.__setattr__(self, "padding", padding_2d(name, self.padding))
        self._check_padding()

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and (rows of windows, columns of windows, channels)."""
        check_images(type(self).__name__, input_shape, self._geometry)
        return {}, (*self._geometry.count(input_shape[:2]), input_shape[2])

    @property
    def _geometry(self) -> Geometry:
        name = type(self).__name__
        size = pair(name, "pool_size", self.pool_size)
        stride = size if self.stride is None else pair(name, "stride", self.stride)
        return Geometry(size, stride, padding=padding_2d(name, self.padding))


@dataclass(frozen=True)
class _Pooling1D(_Pooling):
    """Windows of sequences."""

    pool_size: int = 2
    stride: int | None = None
    padding: Padding1D = "valid"

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "pool_size", integer(name, "pool_size", self.pool_size))
        if self.stride is not None:
            object.__setattr__(self, "stride", integer(name, "stride", self.stride))
        object.__setattr__(self, "padding", padding_1d(name, self.padding, causal=False))
        self._check_padding()

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and (windows, channels)."""
        check_sequences(type(self).__name__, input_shape, self._geometry)
        return {}, (self._geometry.count((1, input_shape[0]))[1], input_shape[1])

    @property
    def _geometry(self) -> Geometry:
        padding = padding_1d(type(self).__name__, self.padding, causal=False)
        return Geometry.of_sequences(self.pool_size, self.stride or self.pool_size, 1, padding)


class _Max(_Pooling):
    """The largest entry of each window."""

    def _pool(self, backend: Backend, X: Array, places: list[Array]) -> Array:
        return reduce(backend.xp.maximum, places)

    def _distribute(self, backend: Backend, X: Array, Y: Array, dY: Array) -> list[Array]:
        parts, rest = [], dY
        for place in self._windows(backend, X)[:-1]:
            part = rest * backend.xp.astype(place == Y, dY.dtype)
            rest = rest - part
            parts.append(part)
        return [*parts, rest]

    def _windows(self, backend: Backend, X: Array) -> list[Array]:
        return windows(backend, X, self._geometry, fill=-math.inf)


class _Average(_Pooling):
    """The mean of each window."""

    count_padding: bool

    def _pool(self, backend: Backend, X: Array, places: list[Array]) -> Array:
        return sum(places[1:], start=places[0]) * self._share(backend, X)

    def _distribute(self, backend: Backend, X: Array, Y: Array, dY: Array) -> list[Array]:
        return [dY * self._share(backend, X)] * math.prod(self._geometry.size)

    def _windows(self, backend: Backend, X: Array) -> list[Array]:
        return windows(backend, X, self._geometry)

    def _share(self, backend: Backend, X: Array) -> Array | float:
        """Return 1 / n, for each window if the windows differ."""
        height, width = X.shape[1:3]
        if self.count_padding or self._geometry.padded((height, width)) == (height, width):
            return 1.0 / math.prod(self._geometry.size)
        ones = self._windows(backend, backend.xp.ones((1, height, width, 1), dtype=X.dtype))
        return 1.0 / sum(ones[1:], start=ones[0])


@dataclass(frozen=True)
class MaxPool2D(_Max, _Pooling2D):
    """y = the largest entry of each window, channel by channel.

    Shapes: x (batch, height, width, channels), and y (batch, (height - k) // s + 1,
    (width - k) // s + 1, channels) for windows of size k and stride s, where height and width are those
    with the padding, which is never the largest; rows and columns that no whole window reaches are left
    out.

    With x_k for what a window has at place k, ∂y/∂x_k is 1 where x_k is the largest, else 0. Where
    several are equally large, any of them may be taken: the first is. So dy goes to the first x_k that
    equals y, and entries of x that are in several windows sum up what they get.
    Source: D. Scherer, A. Müller and S. Behnke, Evaluation of pooling operations in convolutional
    architectures for object recognition, ICANN 2010, section 3.

    Attributes:
        pool_size: k, or one for the height and one for the width.
        stride: s, or one for each; that of windows side by side if None.
        padding: as of `Conv2D`, but less than k on each side.

    Raises:
        ValueError: pool_size or stride are below 1, or padding is none that `Conv2D` has, or too large.
    """


@dataclass(frozen=True)
class MaxPool1D(_Max, _Pooling1D):
    """y = the largest entry of each window of a sequence, channel by channel: `MaxPool2D` along time.

    Shapes: x (batch, length, channels), and y (batch, (length - k) // s + 1, channels) for windows of
    size k and stride s, where the length is that with the padding, which is never the largest.

    dy goes to the first of the largest entries, as in `MaxPool2D`.

    Attributes:
        pool_size: k.
        stride: s; that of windows side by side if None.
        padding: "valid", "same", a number or (before, after), as of `Conv1D`, but less than k.

    Raises:
        ValueError: pool_size or stride are below 1, or padding is none of these, or too large.
    """


@dataclass(frozen=True)
class AveragePool2D(_Average, _Pooling2D):
    """y = the mean of each window, channel by channel.

    Shapes: x (batch, height, width, channels), and y (batch, (height - k) // s + 1,
    (width - k) // s + 1, channels) for windows of size k and stride s, where height and width are those
    with the padding; rows and columns that no whole window reaches are left out.

    With x_k for what a window of n entries has at place k, y = Σ_k x_k / n gives ∂y/∂x_k = 1 / n: each
    place gets dy / n, and entries of x that are in several windows sum up what they get. Padding adds
    nothing to the sum, and is none of the n entries unless it is to be counted.
    Source: Y. LeCun et al., Gradient-based learning applied to document recognition, Proceedings of the
    IEEE 86, 1998, section II.B, without the trainable factor.

    Attributes:
        pool_size: k, or one for the height and one for the width.
        stride: s, or one for each; that of windows side by side if None.
        padding: as of `Conv2D`, but less than k on each side.
        count_padding: whether n counts the padding.

    Raises:
        ValueError: pool_size or stride are below 1, or padding is none that `Conv2D` has, or too large.
    """

    count_padding: bool = False


@dataclass(frozen=True)
class AveragePool1D(_Average, _Pooling1D):
    """y = the mean of each window of a sequence, channel by channel: `AveragePool2D` along time.

    Shapes: x (batch, length, channels), and y (batch, (length - k) // s + 1, channels) for windows of
    size k and stride s, where the length is that with the padding.

    Each entry gets dy / n of each of its windows, as in `AveragePool2D`.

    Attributes:
        pool_size: k.
        stride: s; that of windows side by side if None.
        padding: "valid", "same", a number or (before, after), as of `Conv1D`, but less than k.
        count_padding: whether n counts the padding.

    Raises:
        ValueError: pool_size or stride are below 1, or padding is none of these, or too large.
    """

    count_padding: bool = False
