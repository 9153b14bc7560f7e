"""Pooling of images and of sequences: one number per window and channel."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.descriptions.bounds import check_integers
from multinn.layers.base import Layer
from multinn.layers.images.geometry import (
    Geometry,
    Padding,
    Padding1D,
    Pair,
    check_images,
    check_sequences,
    normalize_padding_1d,
    normalize_padding_2d,
    normalize_pairs,
)
from multinn.layers.images.windows import from_planes, sum_windows, to_planes, windows
from multinn.random import Key


@dataclass(frozen=True)
class _Pooling(Layer):
    """Pooling along any number of axes: one number per window, and no parameters."""

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
        """Return Y for the planes X and the entries of the windows at each place."""

    @abstractmethod
    def _distribute(self, backend: Backend, X: Array, Y: Array, dY: Array) -> list[Array]:
        """Return the gradients with respect to the entries of the windows at each place."""

    @abstractmethod
    def _windows(self, backend: Backend, X: Array) -> list[Array]:
        """Return the entries of the windows at each place."""

    @property
    @abstractmethod
    def _geometry(self) -> Geometry: ...

    def _check_padding(self) -> None:
        padding, size = self._geometry.padding, self._geometry.size
        if isinstance(padding, str):
            return
        if max(padding[0]) >= size[0] or max(padding[1]) >= size[1]:
            raise ValueError(
                f"{type(self).__name__}: expected padding below pool_size {self.pool_size}, as each "
                f"window must cover part of the input, got {self.padding}"
            )


@dataclass(frozen=True)
class _Pooling2D(_Pooling):
    """Pooling of images."""

    padding: Padding = "valid"

    def __post_init__(self) -> None:
        normalize_pairs(self, "pool_size")
        if self.stride is not None:
            normalize_pairs(self, "stride")
        normalize_padding_2d(self)
        self._check_padding()

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and (rows of windows, columns of windows, channels)."""
        check_images(self, input_shape, self._geometry)
        return {}, (*self._geometry.count(input_shape[:2]), input_shape[2])

    @property
    def _geometry(self) -> Geometry:
        normalized: Any = self  # the sizes are pairs
        size, stride = normalized.pool_size, normalized.stride
        return Geometry(size, size if stride is None else stride, padding=normalized.padding)


@dataclass(frozen=True)
class _Pooling1D(_Pooling):
    """Pooling of sequences."""

    pool_size: int = 2
    stride: int | None = None
    padding: Padding1D = "valid"

    def __post_init__(self) -> None:
        check_integers(self, "pool_size")
        if self.stride is not None:
            check_integers(self, "stride")
        normalize_padding_1d(self, "valid", "same")
        self._check_padding()

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and (windows, channels)."""
        check_sequences(self, input_shape, self._geometry)
        return {}, (self._geometry.count((1, input_shape[0]))[1], input_shape[1])

    @property
    def _geometry(self) -> Geometry:
        return Geometry.of_sequences(self.pool_size, self.stride or self.pool_size, 1, self.padding)


class _Max(_Pooling):
    """The maximum of each window."""

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
        """Return 1 / n, an array if the windows differ in n."""
        height, width = X.shape[1:3]
        if self.count_padding or self._geometry.padded((height, width)) == (height, width):
            return 1.0 / math.prod(self._geometry.size)
        ones = self._windows(backend, backend.xp.ones((1, height, width, 1), dtype=X.dtype))
        return 1.0 / sum(ones[1:], start=ones[0])


@dataclass(frozen=True)
class MaxPool2D(_Max, _Pooling2D):
    """y = the maximum of each window and channel.

    Shapes: x (batch, height, width, channels), and y (batch, (height - k) // s + 1,
    (width - k) // s + 1, channels) for windows of size k and stride s. Here height and width include the
    padding, which is never the maximum. Rows and columns beyond the last whole window are left out.

    With x_k for the entry of a window at place k, ∂y/∂x_k is 1 where x_k is the maximum, else 0. Of
    several equal maxima, the first is taken. So dy goes to the first x_k that equals y, and an entry of
    x that is in several windows gets the sum.
    Source: D. Scherer, A. Müller and S. Behnke, Evaluation of pooling operations in convolutional
    architectures for object recognition, ICANN 2010, section 3.

    Attributes:
        pool_size: k, or a pair for height and width.
        stride: s, or a pair; k if None.
        padding: as in `Conv2D`, but less than k on each side.

    Raises:
        ValueError: pool_size or stride is below 1, or the padding is invalid or too large.
    """


@dataclass(frozen=True)
class MaxPool1D(_Max, _Pooling1D):
    """y = the maximum of each window and channel of a sequence: `MaxPool2D` along time.

    Shapes: x (batch, length, channels), and y (batch, (length - k) // s + 1, channels) for windows of
    size k and stride s. Here the length includes the padding, which is never the maximum.

    dy goes to the first of the maxima, as in `MaxPool2D`.

    Attributes:
        pool_size: k.
        stride: s; k if None.
        padding: "valid", "same", a number or (before, after), as in `Conv1D`, but less than k.

    Raises:
        ValueError: pool_size or stride is below 1, or the padding is invalid or too large.
    """


@dataclass(frozen=True)
class AveragePool2D(_Average, _Pooling2D):
    """y = the mean of each window and channel.

    Shapes: x (batch, height, width, channels), and y (batch, (height - k) // s + 1,
    (width - k) // s + 1, channels) for windows of size k and stride s. Here height and width include the
    padding. Rows and columns beyond the last whole window are left out.

    With x_k for the entry of a window at place k, y = Σ_k x_k / n gives ∂y/∂x_k = 1 / n: each place gets
    dy / n, and an entry of x that is in several windows gets the sum. Padding adds nothing to the sum;
    n includes it only with ``count_padding``.
    Source: Y. LeCun et al., Gradient-based learning applied to document recognition, Proceedings of the
    IEEE 86, 1998, section II.B, without the trainable factor.

    Attributes:
        pool_size: k, or a pair for height and width.
        stride: s, or a pair; k if None.
        padding: as in `Conv2D`, but less than k on each side.
        count_padding: whether n includes the padding.

    Raises:
        ValueError: pool_size or stride is below 1, or the padding is invalid or too large.
    """

    count_padding: bool = False


@dataclass(frozen=True)
class AveragePool1D(_Average, _Pooling1D):
    """y = the mean of each window and channel of a sequence: `AveragePool2D` along time.

    Shapes: x (batch, length, channels), and y (batch, (length - k) // s + 1, channels) for windows of
    size k and stride s. Here the length includes the padding.

    Each entry gets dy / n from each of its windows, as in `AveragePool2D`.

    Attributes:
        pool_size: k.
        stride: s; k if None.
        padding: "valid", "same", a number or (before, after), as in `Conv1D`, but less than k.
        count_padding: whether n includes the padding.

    Raises:
        ValueError: pool_size or stride is below 1, or the padding is invalid or too large.
    """

    count_padding: bool = False
