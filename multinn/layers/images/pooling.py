"""Pooling of images and of sequences: one number per window and channel."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field, replace
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
from multinn.layers.images.windows import as_images, in_form_of, sum_windows, windows
from multinn.random import Key


@dataclass(frozen=True)
class _Pooling(Layer):
    """Pooling along any number of axes: one number per window, and no parameters."""

    mixes_steps: ClassVar[bool] = True

    pool_size: int | Pair = 2
    stride: int | Pair | None = None
    padding: Padding | Padding1D = "valid"
    dilation: int | Pair = field(default=1, kw_only=True)
    ceil_mode: bool = field(default=False, kw_only=True)

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and x and y as images."""
        X = as_images(x)
        Y = self._pool(backend, X, self._windows(backend, X))
        return in_form_of(x, Y), (X, Y)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx."""
        X, Y = cache
        parts = self._distribute(backend, X, Y, as_images(dy))
        dX = sum_windows(backend, parts, self._geometry, X.shape[1:3])
        return in_form_of(dy, dX), {}

    @abstractmethod
    def _pool(self, backend: Backend, X: Array, places: list[Array]) -> Array:
        """Return Y for the images X and the entries of the windows at each place."""

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
        padding, extent = self._geometry.padding, self._geometry.extent
        if isinstance(padding, str):
            return
        if max(padding[0]) >= extent[0] or max(padding[1]) >= extent[1]:
            raise ValueError(
                f"{type(self).__name__}: expected padding below "
                f"{extent if isinstance(self.pool_size, tuple) else extent[1]}, the extent of a window, "
                f"as each window must cover part of the input, got {self.padding}"
            )

    def _check_windows(self, input_shape: Shape) -> None:
        """Check that each window on inputs of this shape, without the batch, covers part of them."""
        places = input_shape[:-1]
        if not self._geometry.covers((1, *places)[-2:]):
            raise ValueError(
                f"{type(self).__name__}: expected each window to cover part of the input, got one "
                f"wholly on the padding for inputs of {' x '.join(map(str, places))}, dilation "
                f"{self.dilation} and padding {self.padding!r}; reduce the dilation or the padding"
            )


@dataclass(frozen=True)
class _Pooling2D(_Pooling):
    """Pooling of images."""

    padding: Padding = "valid"
    dilation: int | Pair = field(default=(1, 1), kw_only=True)  # a pair: older pickles have no dilation

    def __post_init__(self) -> None:
        normalize_pairs(self, "pool_size", "dilation")
        if self.stride is not None:
            normalize_pairs(self, "stride")
        normalize_padding_2d(self)
        self._check_padding()

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and (rows of windows, columns of windows, channels)."""
        check_images(self, input_shape, self._geometry)
        self._check_windows(input_shape)
        return {}, (*self._geometry.count(input_shape[:2]), input_shape[2])

    @property
    def _geometry(self) -> Geometry:
        normalized: Any = self  # the sizes are pairs
        size, stride = normalized.pool_size, normalized.stride
        stride = size if stride is None else stride
        return Geometry(size, stride, normalized.dilation, normalized.padding, self.ceil_mode)


@dataclass(frozen=True)
class _Pooling1D(_Pooling):
    """Pooling of sequences."""

    pool_size: int = 2
    stride: int | None = None
    padding: Padding1D = "valid"
    dilation: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        check_integers(self, "pool_size", "dilation")
        if self.stride is not None:
            check_integers(self, "stride")
        normalize_padding_1d(self, "valid", "same")
        self._check_padding()

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and (windows, channels)."""
        check_sequences(self, input_shape, self._geometry)
        self._check_windows(input_shape)
        return {}, (self._geometry.count((1, input_shape[0]))[1], input_shape[1])

    @property
    def _geometry(self) -> Geometry:
        stride = self.stride or self.pool_size
        return Geometry.of_sequences(self.pool_size, stride, self.dilation, self.padding, self.ceil_mode)


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
        geometry, shape = self._geometry, X.shape[1:3]
        margins = geometry.margins(shape)
        counted = geometry.fixed_margins(shape) if self.count_padding else ((0, 0), (0, 0))
        if counted == margins:
            return 1.0 / math.prod(geometry.size)
        (height, down), (width, across) = (
            (n + sum(m), (margin[0] - m[0], margin[1] - m[1]))
            for n, m, margin in zip(shape, counted, margins, strict=True)
        )
        beyond = replace(geometry, padding=(down, across), ceil_mode=False)
        ones = windows(backend, backend.xp.ones((1, height, width, 1), dtype=X.dtype), beyond)
        return 1.0 / sum(ones[1:], start=ones[0])


@dataclass(frozen=True)
class MaxPool2D(_Max, _Pooling2D):
    """y = the maximum of each window and channel.

    Shapes: x (batch, height, width, channels), and y (batch, (height - e) // s + 1,
    (width - e) // s + 1, channels) for windows of size k, stride s and dilation d, where
    e = d (k - 1) + 1. Here height and width include the padding, which is never the maximum. Rows and
    columns beyond the last whole window are left out; in ceil mode, one more window covers them.

    With x_k for the entry of a window at place k, ∂y/∂x_k is 1 where x_k is the maximum, else 0. Of
    several equal maxima, the first is taken. So dy goes to the first x_k that equals y, and an entry of
    x that is in several windows gets the sum.
    Source: D. Scherer, A. Müller and S. Behnke, Evaluation of pooling operations in convolutional
    architectures for object recognition, ICANN 2010, section 3.

    Attributes:
        pool_size: k, or a pair for height and width.
        stride: s, or a pair; k if None.
        padding: as in `Conv2D`, but less than e on each side.
        dilation: d, the distance between the places in a window, or a pair.
        ceil_mode: whether one more window covers what is left at the end. It has to begin before the end
            of the images, not on the padding there, as in PyTorch.

    Raises:
        ValueError: pool_size, stride or dilation is below 1, or the padding is invalid or too large; or,
            from `init`, a window lies wholly on the padding.
    """


@dataclass(frozen=True)
class MaxPool1D(_Max, _Pooling1D):
    """y = the maximum of each window and channel of a sequence: `MaxPool2D` along time.

    Shapes: x (batch, length, channels), and y (batch, (length - e) // s + 1, channels) for windows of
    size k, stride s and dilation d, where e = d (k - 1) + 1. Here the length includes the padding, which
    is never the maximum.

    dy goes to the first of the maxima, as in `MaxPool2D`.

    Attributes:
        pool_size: k.
        stride: s; k if None.
        padding: "valid", "same", a number or (before, after), as in `Conv1D`, but less than e.
        dilation: d, the distance between the places in a window.
        ceil_mode: whether one more window covers what is left at the end, as in `MaxPool2D`.

    Raises:
        ValueError: pool_size, stride or dilation is below 1, or the padding is invalid or too large; or,
            from `init`, a window lies wholly on the padding.
    """


@dataclass(frozen=True)
class AveragePool2D(_Average, _Pooling2D):
    """y = the mean of each window and channel.

    Shapes: x (batch, height, width, channels), and y (batch, (height - e) // s + 1,
    (width - e) // s + 1, channels) for windows of size k, stride s and dilation d, where
    e = d (k - 1) + 1. Here height and width include the padding. Rows and columns beyond the last whole
    window are left out; in ceil mode, one more window covers them.

    With x_k for the entry of a window at place k, y = Σ_k x_k / n gives ∂y/∂x_k = 1 / n: each place gets
    dy / n, and an entry of x that is in several windows gets the sum. Padding adds nothing to the sum;
    n includes it only with ``count_padding``. n never includes the places of a window beyond the
    padding, which only ceil mode has.
    Source: Y. LeCun et al., Gradient-based learning applied to document recognition, Proceedings of the
    IEEE 86, 1998, section II.B, without the trainable factor.

    Attributes:
        pool_size: k, or a pair for height and width.
        stride: s, or a pair; k if None.
        padding: as in `Conv2D`, but less than e on each side.
        count_padding: whether n includes the padding.
        dilation: d, the distance between the places in a window, or a pair.
        ceil_mode: whether one more window covers what is left at the end. It has to begin before the end
            of the images, not on the padding there, as in PyTorch.

    Raises:
        ValueError: pool_size, stride or dilation is below 1, or the padding is invalid or too large; or,
            from `init`, a window lies wholly on the padding.
    """

    count_padding: bool = False


@dataclass(frozen=True)
class AveragePool1D(_Average, _Pooling1D):
    """y = the mean of each window and channel of a sequence: `AveragePool2D` along time.

    Shapes: x (batch, length, channels), and y (batch, (length - e) // s + 1, channels) for windows of
    size k, stride s and dilation d, where e = d (k - 1) + 1. Here the length includes the padding.

    Each entry gets dy / n from each of its windows, as in `AveragePool2D`.

    Attributes:
        pool_size: k.
        stride: s; k if None.
        padding: "valid", "same", a number or (before, after), as in `Conv1D`, but less than e.
        count_padding: whether n includes the padding.
        dilation: d, the distance between the places in a window.
        ceil_mode: whether one more window covers what is left at the end, as in `AveragePool2D`.

    Raises:
        ValueError: pool_size, stride or dilation is below 1, or the padding is invalid or too large; or,
            from `init`, a window lies wholly on the padding.
    """

    count_padding: bool = False
