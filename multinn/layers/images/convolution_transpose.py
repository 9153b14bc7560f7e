"""Transposed convolution of images and of sequences."""

from dataclasses import dataclass
from typing import cast

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.descriptions.bounds import check_integers
from multinn.initializers import Glorot, Initializer, Zeros
from multinn.layers.base import check_axes
from multinn.layers.images.base_convolution import BaseConvolution
from multinn.layers.images.geometry import (
    Geometry,
    Padding,
    Padding1D,
    Pair,
    check_images,
    height_and_width,
    normalize_padding_1d,
    normalize_padding_2d,
    normalize_pairs,
)
from multinn.random import Key


@dataclass(frozen=True)
class _ConvolutionTranspose(BaseConvolution):
    """Transposed convolution along any number of axes."""

    filters: int
    kernel_size: int | Pair
    stride: int | Pair = 1
    padding: Padding | Padding1D = "valid"
    output_padding: int | Pair = 0
    dilation: int | Pair = 1
    groups: int = 1
    use_bias: bool = True
    weight_initializer: Initializer = Glorot()
    bias_initializer: Initializer = Zeros()

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and (x,)."""
        shape = self._output_shape(height_and_width(x))
        y = self._convolve_back(backend, x, params["W"], shape)
        return (y + params["b"] if self.use_bias else y), (x,)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dX = Wᵀ dQ in the shape of x, and {"W": dQ Xᵀ, "b": Σ dy}."""
        dx = self._convolve(backend, dy, params["W"])
        return dx, self.parameter_gradients(backend, params, cache, dy)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"W": dQ Xᵀ, "b": Σ dy}."""
        dW = self._weights_gradient(backend, dy, cache[0], params["W"].shape)
        return self._gradients(backend, dW, dy)

    def _init(
        self, generator: np.random.Generator, input_shape: Shape, size: Shape, shape: Pair
    ) -> tuple[Tree, Shape]:
        """Draw W (*size, filters / groups, channels) and b, and return the shape of the output.

        Args:
            generator: the source of all randomness.
            input_shape: the shape of one example.
            size: the size of the kernel along each axis.
            shape: the height and width of the output.
        """
        channels, axes = input_shape[-1], len(size)
        self._check_channels(channels)
        if min(shape) < 1:
            raise ValueError(
                f"{type(self).__name__}: expected padding that leaves outputs of at least "
                f"{' x '.join('1' * axes)}, got {self.padding}, which leaves "
                f"{' x '.join(map(str, shape[-axes:]))} for inputs {input_shape}; use less padding, or "
                "larger inputs"
            )
        weights_shape = (*size, self.filters // self.groups, channels)
        return self._draw(generator, weights_shape, channels), (*shape[-axes:], self.filters)

    def _check_output_padding(self) -> None:
        extra, stride = self._extra, self._geometry.stride
        if extra[0] >= stride[0] or extra[1] >= stride[1]:
            raise ValueError(
                f"{type(self).__name__}: expected output_padding below stride {self.stride}, got "
                f"{self.output_padding}"
            )
        if self.padding == "same" and extra != (0, 0):
            raise ValueError(
                f'{type(self).__name__}: expected output_padding 0 with padding "same", which sets the '
                f"size of the outputs, got {self.output_padding}"
            )

    @property
    def _extra(self) -> Pair:
        """The output padding of the height and the width."""
        return cast(Pair, self.output_padding)

    def _output_shape(self, shape: Shape) -> Pair:
        geometry = self._geometry
        if geometry.padding == "same":
            return shape[0] * geometry.stride[0], shape[1] * geometry.stride[1]
        lengths = zip(
            shape, geometry.stride, geometry.margins(shape), geometry.extent, self._extra, strict=True
        )
        height, width = ((n - 1) * s - sum(m) + e + o for n, s, m, e, o in lengths)
        return height, width


@dataclass(frozen=True)
class ConvTranspose2D(_ConvolutionTranspose):
    """y_{n, s h + d i - p, s w + d j - p, f} sums x_nhwc W_ijfc, and b_f is added: `Conv2D` backwards.

    Shapes: x (batch, height, width, channels), W (k, k, filters, channels), b (filters,), and
    y (batch, (height - 1) s - p + e + o, (width - 1) s - p + e + o, filters), for a kernel of size k,
    stride s and dilation d, where e = d (k - 1) + 1, p is the total padding along an axis, and o the
    output padding. The layer restores the size of images that a `Conv2D` with the same hyperparameters
    makes smaller.

    Let the columns of X (channels, pixels) be the pixels of x. Each pixel contributes to a window of y:
    the place (i, j) in filter f gets row m = (i, j, f) of
        Q = W X,
    and y = T(Q) + b, where T sums the contributions to each pixel of y and drops those to the padding.
    `Conv2D` uses the same T: its dx is T(dP) with dP = W dY. The adjoint of T copies to each place of
    each window the entry of dy there, so dQ = Tᵀ(dy) is the P of `Conv2D`, for dy instead of x. As Q is
    the output of a fully connected layer,
        dX = Wᵀ dQ      dW = dQ Xᵀ      db = the sum of dy over all axes but the last.
    So y without b is what `Conv2D` computes as dx, and dX is what it computes as y.
    Groups are as in `Conv2D`, and W is (k, k, filters / groups, channels).
    Source: V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, 2016,
    chapter 4.

    Attributes:
        filters: the number of output channels, at least 1.
        kernel_size: k, or a pair for height and width.
        stride: s, or a pair.
        padding: the number of rows and columns to remove from y: "valid" for none; "same" to make y
            s times as large as x, with an odd row or column removed at the end; one number for all
            sides, a pair for height and width, or ((top, bottom), (left, right)).
        output_padding: o, or a pair: extra rows and columns at the end of y, fewer than a stride, which
            Conv2D would not use; 0 if the padding is "same".
        dilation: d, or a pair.
        groups: the number of groups, a divisor of the filters and of the input channels.
        use_bias: whether b is added.
        weight_initializer: draws W.
        bias_initializer: draws b.

    Raises:
        ValueError: filters, kernel_size, stride, dilation or groups is below 1, the padding is invalid,
            output_padding is not below stride, or groups does not divide filters.

    >>> layer = ConvTranspose2D(3, 4, stride=2, padding="same")
    >>> params, shape = layer.init(np.random.default_rng(0), (14, 14, 8))
    >>> shape, params["W"].shape
    ((28, 28, 3), (4, 4, 3, 8))
    """

    padding: Padding = "valid"

    def __post_init__(self) -> None:
        self._check_filters()
        normalize_pairs(self, "kernel_size", "stride", "dilation")
        normalize_pairs(self, "output_padding", minimum=0)
        normalize_padding_2d(self)
        self._check_output_padding()

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W (k, k, filters / groups, channels) and, with a bias, b (filters,)."""
        check_images(self, input_shape, Geometry((1, 1), (1, 1)))
        shape = self._output_shape(input_shape[:2])
        return self._init(generator, input_shape, self._geometry.size, shape)


@dataclass(frozen=True)
class ConvTranspose1D(_ConvolutionTranspose):
    """y_{n, s l + d i - p, f} sums x_nlc W_ifc, and b_f is added: `ConvTranspose2D` of sequences.

    Shapes: x (batch, length, channels), W (k, filters, channels), b (filters,), and
    y (batch, (length - 1) s - p + e + o, filters), for a kernel of size k, stride s and dilation d,
    where e = d (k - 1) + 1, p is the total padding, and o the output padding.

    A sequence is an image of height 1, so with Q = W X and y = T(Q) + b as in `ConvTranspose2D`,
        dQ = Tᵀ(dy)      dX = Wᵀ dQ      dW = dQ Xᵀ      db = the sum of dy over all axes but the last.
    Source: as `ConvTranspose2D`.

    Attributes:
        filters: the number of output channels, at least 1.
        kernel_size: k.
        stride: s.
        padding: the number of entries to remove from y: "valid" for none; "same" to make y s times as
            long as x, with an odd entry removed at the end; one number for both ends, or
            (before, after).
        output_padding: o, extra entries at the end of y, fewer than a stride, which Conv1D would not
            use; 0 if the padding is "same".
        dilation: d.
        groups: the number of groups, a divisor of the filters and of the input channels.
        use_bias: whether b is added.
        weight_initializer: draws W.
        bias_initializer: draws b.

    Raises:
        ValueError: filters, kernel_size, stride, dilation or groups is below 1, the padding is invalid,
            output_padding is not below stride, or groups does not divide filters.

    >>> layer = ConvTranspose1D(3, 4, stride=2, padding="same")
    >>> params, shape = layer.init(np.random.default_rng(0), (14, 8))
    >>> shape, params["W"].shape
    ((28, 3), (4, 3, 8))
    """

    kernel_size: int
    stride: int = 1
    padding: Padding1D = "valid"
    output_padding: int = 0
    dilation: int = 1

    def __post_init__(self) -> None:
        self._check_filters()
        check_integers(self, "kernel_size", "stride", "dilation")
        check_integers(self, "output_padding", minimum=0)
        normalize_padding_1d(self, "valid", "same")
        self._check_output_padding()

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W (k, filters / groups, channels) and, with a bias, b (filters,)."""
        check_axes(self, input_shape, "sequences", "length", "channels")
        shape = self._output_shape((1, input_shape[0]))
        return self._init(generator, input_shape, (self.kernel_size,), shape)

    @property
    def _geometry(self) -> Geometry:
        return Geometry.of_sequences(self.kernel_size, self.stride, self.dilation, self.padding)

    @property
    def _extra(self) -> Pair:
        return 0, self.output_padding
