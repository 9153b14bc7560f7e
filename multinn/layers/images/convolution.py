"""Convolution of images and of sequences."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.initializers import Glorot, Initializer, Zeros
from multinn.layers.base import Layer
from multinn.layers.images.correlation import (
    Correlation,
    check_channels,
    check_filters,
    spread,
    sum_of_filters,
)
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
from multinn.layers.images.windows import from_planes, to_planes
from multinn.layers.masked import Masked, mask_of, values_of, with_mask
from multinn.layers.normalization import moments
from multinn.random import Key


@dataclass(frozen=True)
class _Convolution(Layer):
    """What convolutions share: all but the number of axes of their hyperparameters."""

    filters: int
    kernel_size: int | Pair
    stride: int | Pair = 1
    padding: Padding | Padding1D = "valid"
    dilation: int | Pair = 1
    groups: int = 1
    use_bias: bool = True
    weight_initializer: Initializer = Glorot()
    bias_initializer: Initializer = Zeros()

    mixes_steps: ClassVar[bool] = True

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and (P, x)."""
        correlation = self._correlation(params, x)
        P = correlation.gather(backend, to_planes(backend, x))
        Z = correlation.matrix(backend, params["W"]).mT @ P
        shape = self._geometry.count(_height_and_width(x))
        Y = correlation.add_rows(backend, Z, shape, x.shape[0])
        if self.use_bias:
            Y = Y + params["b"][:, None, None, None]
        return from_planes(backend, Y, x.ndim), (P, x)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx, and {"W": P dZᵀ, "b": Σ dY}."""
        x = cache[1]
        correlation, dY = self._correlation(params, x), to_planes(backend, dy)
        dZ = correlation.repeat_rows(backend, dY)
        dP = spread(correlation.matrix(backend, params["W"]), dZ)
        dX = correlation.scatter(backend, dP, _height_and_width(x), x.shape[0])
        gradients = self._parameter_gradients(backend, params, cache, dY, dZ)
        return from_planes(backend, dX, x.ndim), gradients

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"W": P dZᵀ, "b": Σ dY}."""
        dY = to_planes(backend, dy)
        dZ = self._correlation(params, cache[1]).repeat_rows(backend, dY)
        return self._parameter_gradients(backend, params, cache, dY, dZ)

    def _parameter_gradients(
        self, backend: Backend, params: Tree, cache: Tree, dY: Array, dZ: Array
    ) -> Tree:
        P, x, *_ = cache
        correlation = self._correlation(params, x)
        gradients = {"W": correlation.gradient(backend, P, dZ, params["W"].shape)}
        if self.use_bias:
            gradients["b"] = sum_of_filters(backend, dY)
        return gradients

    def _correlation(self, params: Tree, x: Array) -> Correlation:
        return Correlation.of(self._geometry, self.groups, params["W"], _height_and_width(x))

    def _draw(self, generator: np.random.Generator, kernel: Shape, channels: int) -> Tree:
        check_channels(type(self).__name__, channels, self.groups)
        places, inputs = math.prod(kernel), channels // self.groups
        fans = (places * inputs, places * self.filters // self.groups)
        params = {"W": self.weight_initializer(generator, (*kernel, inputs, self.filters), *fans)}
        if self.use_bias:
            params["b"] = self.bias_initializer(generator, (self.filters,), *fans)
        return params

    @property
    @abstractmethod
    def _geometry(self) -> Geometry: ...


@dataclass(frozen=True)
class Conv2D(_Convolution):
    """y_nhwf = b_f + Σ_ijc x_{n, s h + d i, s w + d j, c} W_ijcf: windows of images times one matrix.

    Shapes: x (batch, height, width, channels), W (k, k, channels, filters), b (filters,), and
    y (batch, (height - e) // s + 1, (width - e) // s + 1, filters), for a kernel of size k, stride s and
    dilation d, where e = d (k - 1) + 1; height and width are those with the padding, which is zeros.
    (As in all such libraries this is, strictly, a cross-correlation: W is not turned around.)

    Let the row m = (i, j, c) of the matrix P have what all windows of the batch have at place (i, j) in
    channel c, so that with W as a matrix (m, f) and Y as a matrix (f, windows)
        Y = Wᵀ P + b.
    This is a fully connected layer, so with dY = ∂L/∂Y
        dW = P dYᵀ      db = the sum of the columns of dY      dP = W dY
    and, as P copies entries of x, dx is the sum of dP over all places that an entry was copied to.
    Where that is less to copy, P is of single rows of windows, and Y sums rows of Z = Wᵀ P, with dZ in
    place of dY: see `Correlation`.
    Groups are as many convolutions side by side: each has an equal share of the channels, in order, and
    makes an equal share of the filters from them alone, so that W is (k, k, channels / groups, filters).
    With as many groups as channels it is a depthwise convolution.
    Source: K. Chellapilla, S. Puri and P. Simard, High performance convolutional neural networks for
    document processing, IWFHR 2006, section 3 (convolution as one matrix product). V. Dumoulin and
    F. Visin, A guide to convolution arithmetic for deep learning, 2016, chapters 2 and 5 (sizes).

    Attributes:
        filters: the number of output channels, at least 1.
        kernel_size: k, or one for the height and one for the width.
        stride: s, or one for each.
        padding: "valid" for none; "same" for outputs of ceil(height / s) by ceil(width / s), where the
            last row or column gets one more if it cannot be halved; or how many zeros to add: a number
            for all sides, (for top and bottom, for left and right), or ((top, bottom), (left, right)).
        dilation: d, or one for each.
        groups: divides the filters and the channels of the inputs.
        use_bias: whether b is added.
        weight_initializer: draws W.
        bias_initializer: draws b.

    Raises:
        ValueError: filters, kernel_size, stride, dilation or groups are below 1, padding is none of
            these, or the groups do not divide the filters.

    >>> layer = Conv2D(8, 3, stride=2, padding="same", groups=2)
    >>> params, shape = layer.init(np.random.default_rng(0), (28, 28, 4))
    >>> shape, params["W"].shape
    ((14, 14, 8), (3, 3, 2, 8))
    """

    def __post_init__(self) -> None:
        check_filters("Conv2D", self.filters, self.groups)
        for name in ("kernel_size", "stride", "dilation"):
            object.__setattr__(self, name, pair("Conv2D", name, getattr(self, name)))
        object.__setattr__(self, "padding", padding_2d("Conv2D", self.padding))

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W (k, k, channels / groups, filters) and, with a bias, b (filters,)."""
        geometry = self._geometry
        check_images("Conv2D", input_shape, geometry)
        params = self._draw(generator, geometry.size, input_shape[2])
        return params, (*geometry.count(input_shape[:2]), self.filters)

    @property
    def _geometry(self) -> Geometry:
        return Geometry(
            pair("Conv2D", "kernel_size", self.kernel_size),
            pair("Conv2D", "stride", self.stride),
            pair("Conv2D", "dilation", self.dilation),
            padding_2d("Conv2D", self.padding),
        )


@dataclass(frozen=True)
class Conv1D(_Convolution):
    """y_nlf = b_f + Σ_ic x_{n, s l + d i, c} W_icf: `Conv2D` of sequences, with its gradients.

    Shapes: x (batch, length, channels), W (k, channels, filters), b (filters,), and
    y (batch, (length - e) // s + 1, filters), for a kernel of size k, stride s and dilation d, where
    e = d (k - 1) + 1; the length is that with the padding, which is zeros.

    A sequence is an image of height 1, so that Y = Wᵀ P + b with the row m = (i, c) of P, and
        dW = P dYᵀ      db = the sum of the columns of dY      dP = W dY
    and dx is the sum of dP over all places that an entry was copied to.
    Time steps that a mask marks as padding are zeros, like those around a sequence, and their dx is 0.
    y has the mask of x, and so has to be as long: with stride 1, and "same" or "causal" padding.
    Source: as `Conv2D`; A. van den Oord et al., WaveNet, 2016, section 2.1 (causal and dilated).

    Attributes:
        filters: the number of output channels, at least 1.
        kernel_size: k.
        stride: s.
        padding: "valid" for none; "same" for outputs of length ceil(length / s), where the end gets one
            more if it cannot be halved; "causal" for e - 1 zeros before, so that no output depends on
            later inputs; or how many zeros to add: a number for both ends, or (before, after).
        dilation: d.
        groups: divides the filters and the channels of the inputs, as in `Conv2D`.
        use_bias: whether b is added.
        weight_initializer: draws W.
        bias_initializer: draws b.

    Raises:
        ValueError: filters, kernel_size, stride, dilation or groups are below 1, padding is none of
            these, or the groups do not divide the filters.

    >>> params, shape = Conv1D(8, 3, padding="causal").init(np.random.default_rng(0), (100, 4))
    >>> shape, params["W"].shape
    ((100, 8), (3, 4, 8))
    """

    takes_mask: ClassVar[bool] = True
    mixes_steps: ClassVar[bool] = False

    kernel_size: int
    stride: int = 1
    padding: Padding1D = "valid"
    dilation: int = 1

    def __post_init__(self) -> None:
        check_filters("Conv1D", self.filters, self.groups)
        for name in ("kernel_size", "stride", "dilation"):
            object.__setattr__(self, name, integer("Conv1D", name, getattr(self, name)))
        object.__setattr__(self, "padding", padding_1d("Conv1D", self.padding, causal=True))

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W (k, channels / groups, filters) and, with a bias, b (filters,)."""
        geometry = self._geometry
        check_sequences("Conv1D", input_shape, geometry)
        params = self._draw(generator, (self.kernel_size,), input_shape[1])
        return params, (geometry.count((1, input_shape[0]))[1], self.filters)

    def forward(
        self, backend: Backend, params: Tree, x: Array | Masked, key: Key | None = None
    ) -> tuple[Array | Masked, Tree]:
        """Return y, and (P, x, the mask)."""
        mask = moments.mask_like(backend, mask_of(x), 3)
        values = moments.only(backend, values_of(x), mask)
        y, (P, _) = super().forward(backend, params, values, key)
        if mask is not None and y.shape[1] != values.shape[1]:
            raise ValueError(
                f"Conv1D: expected no mask, or outputs as long as the inputs, {values.shape[1]} time "
                f'steps, got {y.shape[1]}; use stride=1 and padding="same" or "causal"'
            )
        return with_mask(y, mask_of(x)), (P, values, mask)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx, and {"W": P dYᵀ, "b": Σ dY}."""
        dx, gradients = super().backward(backend, params, cache, dy)
        return moments.only(backend, dx, cache[2]), gradients

    @property
    def _geometry(self) -> Geometry:
        padding = padding_1d("Conv1D", self.padding, causal=True)
        return Geometry.of_sequences(self.kernel_size, self.stride, self.dilation, padding)


def _height_and_width(x: Array) -> Pair:
    return (1, x.shape[1]) if x.ndim == 3 else x.shape[1:3]
