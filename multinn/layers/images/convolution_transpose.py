"""Transposed convolution of images."""

from dataclasses import dataclass
from typing import cast

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.initializers import Glorot, Initializer, Zeros
from multinn.layers.images.correlation import CorrelationLayer, multiply
from multinn.layers.images.geometry import (
    Geometry,
    Padding,
    Pair,
    check_images,
    normalize_padding_2d,
    normalize_pairs,
)
from multinn.layers.images.windows import from_planes, to_planes
from multinn.random import Key


@dataclass(frozen=True)
class ConvTranspose2D(CorrelationLayer):
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
    Where that needs less copying, Q holds single rows of windows, and Z, which repeats rows of X,
    replaces X: see `Correlation`.
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

    filters: int
    kernel_size: int | Pair
    stride: int | Pair = 1
    padding: Padding = "valid"
    output_padding: int | Pair = 0
    dilation: int | Pair = 1
    groups: int = 1
    use_bias: bool = True
    weight_initializer: Initializer = Glorot()
    bias_initializer: Initializer = Zeros()

    def __post_init__(self) -> None:
        self._check_filters()
        normalize_pairs(self, "kernel_size", "stride", "dilation")
        normalize_pairs(self, "output_padding", minimum=0)
        normalize_padding_2d(self)
        self._check_output_padding()

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W (k, k, filters / groups, channels) and, with a bias, b (filters,)."""
        check_images(self, input_shape, Geometry((1, 1), (1, 1)))
        channels = input_shape[2]
        self._check_channels(channels)
        shape = self._output_shape(input_shape)
        if min(shape) < 1:
            raise ValueError(
                "ConvTranspose2D: expected padding that leaves outputs of at least 1 x 1, got "
                f"{self.padding}, which leaves {shape[0]} x {shape[1]} for images {input_shape}; use "
                "less padding, or larger images"
            )
        weights_shape = (*self._geometry.size, self.filters // self.groups, channels)
        return self._draw(generator, weights_shape, channels), (*shape, self.filters)

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and (Z, x)."""
        shape = self._output_shape(x.shape[1:3])
        correlation = self._correlation(params, shape)
        Z = correlation.repeat_rows(backend, to_planes(backend, x))
        Q = multiply(correlation.matrix(backend, params["W"]), Z)
        Y = correlation.scatter(backend, Q, shape, x.shape[0])
        if self.use_bias:
            Y = Y + params["b"][:, None, None, None]
        return from_planes(backend, Y), (Z, x)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dX = R(Wᵀ dQ) as images, and {"W": dQ Zᵀ, "b": Σ dy}."""
        Z, x = cache
        correlation, dY = self._correlation(params, dy.shape[1:3]), to_planes(backend, dy)
        dQ = correlation.gather(backend, dY)
        dZ = correlation.matrix(backend, params["W"]).mT @ dQ
        dX = correlation.add_rows(backend, dZ, x.shape[1:3], x.shape[0])
        return from_planes(backend, dX), self._gradients(backend, params, correlation, dQ, Z, dY)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"W": dQ Zᵀ, "b": Σ dy}."""
        correlation, dY = self._correlation(params, dy.shape[1:3]), to_planes(backend, dy)
        dQ = correlation.gather(backend, dY)
        return self._gradients(backend, params, correlation, dQ, cache[0], dY)

    def _check_output_padding(self) -> None:
        extra, stride = cast(Pair, self.output_padding), self._geometry.stride
        if extra[0] >= stride[0] or extra[1] >= stride[1]:
            raise ValueError(
                f"ConvTranspose2D: expected output_padding below stride {stride}, got {extra}"
            )
        if self.padding == "same" and extra != (0, 0):
            raise ValueError(
                'ConvTranspose2D: expected output_padding 0 with padding "same", which sets the size '
                f"of the outputs, got {extra}"
            )

    def _output_shape(self, shape: Shape) -> Pair:
        geometry = self._geometry
        if geometry.padding == "same":
            return shape[0] * geometry.stride[0], shape[1] * geometry.stride[1]
        extra = cast(Pair, self.output_padding)
        lengths = zip(
            shape, geometry.stride, geometry.margins(shape), geometry.extent, extra, strict=False
        )
        height, width = ((n - 1) * s - sum(m) + e + o for n, s, m, e, o in lengths)
        return height, width
