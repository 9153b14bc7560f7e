"""Transposed convolution of images."""

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
from multinn.layers.images.geometry import Geometry, Padding, Pair, check_images, padding_2d, pair
from multinn.layers.images.windows import from_planes, to_planes
from multinn.random import Key


@dataclass(frozen=True)
class ConvTranspose2D(Layer):
    """y_{n, s h + d i - p, s w + d j - p, f} sums x_nhwc W_ijfc, and b_f is added: `Conv2D` backwards.

    Shapes: x (batch, height, width, channels), W (k, k, filters, channels), b (filters,), and
    y (batch, (height - 1) s - p + e + o, (width - 1) s - p + e + o, filters), for a kernel of size k,
    stride s and dilation d, where e = d (k - 1) + 1, p is the padding on both sides together, and o the
    output padding. What a layer `Conv2D` with the same hyperparameters makes smaller, this makes as
    large again.

    Let the columns of X (channels, pixels) be the pixels of x. Each is spread over a window of y, whose
    place (i, j) in filter f gets the row m = (i, j, f) of
        Q = W X,
    and y is b plus the sum of Q over all windows that reach to a pixel; what goes to the padding is left
    out. In `Conv2D`, dP = W dY is spread like that to make dx: with T for that sum, y = T(Q) + b. The
    adjoint of T copies, to each place of each window, what dy has there, which makes dQ = Tᵀ(dy) what
    `Conv2D` calls P, of dy in place of x. As Q is a fully connected layer,
        dX = Wᵀ dQ      dW = dQ Xᵀ      db = the sum of dy over all axes but the last.
    Where that is less to copy, Q is of single rows of windows, and Z, which repeats rows of X, is in
    place of X: see `Correlation`.
    Groups are as in `Conv2D`, and W is (k, k, filters / groups, channels).
    Source: V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, 2016,
    chapter 4.

    Attributes:
        filters: the number of output channels, at least 1.
        kernel_size: k, or one for the height and one for the width.
        stride: s, or one for each.
        padding: how many rows and columns to cut off from y: "valid" for none; "same" for as many as
            make y s times as large as x, with one more at the end if they cannot be halved; a number for
            all sides, (for top and bottom, for left and right), or ((top, bottom), (left, right)).
        output_padding: o, or one for each: rows and columns at the end of y that are less than a stride,
            so that Conv2D would lose them; 0 where the padding is "same".
        dilation: d, or one for each.
        groups: divides the filters and the channels of the inputs.
        use_bias: whether b is added.
        weight_initializer: draws W.
        bias_initializer: draws b.

    Raises:
        ValueError: filters, kernel_size, stride, dilation or groups are below 1, padding is none of
            these, output_padding is not below stride, or the groups do not divide the filters.

    >>> layer = ConvTranspose2D(3, 4, stride=2, padding="same")
    >>> params, shape = layer.init(np.random.default_rng(0), (14, 14, 8))
    >>> shape, params["W"].shape
    ((28, 28, 3), (4, 4, 3, 8))
    """

    mixes_steps: ClassVar[bool] = True

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
        check_filters("ConvTranspose2D", self.filters, self.groups)
        for name, least in (("kernel_size", 1), ("stride", 1), ("output_padding", 0), ("dilation", 1)):
            value = pair("ConvTranspose2D", name, getattr(self, name), least)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "padding", padding_2d("ConvTranspose2D", self.padding))
        self._check_output_padding()

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W (k, k, filters / groups, channels) and, with a bias, b (filters,)."""
        check_images("ConvTranspose2D", input_shape, Geometry((1, 1), (1, 1)))
        channels = input_shape[2]
        check_channels("ConvTranspose2D", channels, self.groups)
        shape = self._output_shape(input_shape)
        if min(shape) < 1:
            raise ValueError(
                f"ConvTranspose2D: expected less padding than outputs, got padding {self.padding} for "
                f"images {input_shape}, which leaves {shape[0]} x {shape[1]}; use less, or larger images"
            )
        size = self._geometry.size
        places, outputs = size[0] * size[1], self.filters // self.groups
        fans = (places * channels // self.groups, places * outputs)
        params = {"W": self.weight_initializer(generator, (*size, outputs, channels), *fans)}
        if self.use_bias:
            params["b"] = self.bias_initializer(generator, (self.filters,), *fans)
        return params, (*shape, self.filters)

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and (Z, x)."""
        shape = self._output_shape(x.shape[1:3])
        correlation = self._correlation(params, shape)
        Z = correlation.repeat_rows(backend, to_planes(backend, x))
        Q = spread(correlation.matrix(backend, params["W"]), Z)
        Y = correlation.scatter(backend, Q, shape, x.shape[0])
        if self.use_bias:
            Y = Y + params["b"][:, None, None, None]
        return from_planes(backend, Y), (Z, x)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dX = R(Wᵀ dQ) as images, and {"W": dQ Zᵀ, "b": Σ dy}."""
        x = cache[1]
        correlation, dY = self._correlation(params, dy.shape[1:3]), to_planes(backend, dy)
        dQ = correlation.gather(backend, dY)
        dZ = correlation.matrix(backend, params["W"]).mT @ dQ
        dX = correlation.add_rows(backend, dZ, x.shape[1:3], x.shape[0])
        return from_planes(backend, dX), self._parameter_gradients(backend, params, cache, dY, dQ)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"W": dQ Zᵀ, "b": Σ dy}."""
        dY = to_planes(backend, dy)
        dQ = self._correlation(params, dy.shape[1:3]).gather(backend, dY)
        return self._parameter_gradients(backend, params, cache, dY, dQ)

    def _parameter_gradients(
        self, backend: Backend, params: Tree, cache: Tree, dY: Array, dQ: Array
    ) -> Tree:
        correlation = self._correlation(params, dY.shape[1:3])
        gradients = {"W": correlation.gradient(backend, dQ, cache[0], params["W"].shape)}
        if self.use_bias:
            gradients["b"] = sum_of_filters(backend, dY)
        return gradients

    def _correlation(self, params: Tree, shape: Pair) -> Correlation:
        return Correlation.of(self._geometry, self.groups, params["W"], shape)

    def _check_output_padding(self) -> None:
        extra = pair("ConvTranspose2D", "output_padding", self.output_padding, 0)
        stride = self._geometry.stride
        if extra[0] >= stride[0] or extra[1] >= stride[1]:
            raise ValueError(
                f"ConvTranspose2D: expected output_padding below stride {stride}, got {extra}"
            )
        if self.padding == "same" and extra != (0, 0):
            raise ValueError(
                'ConvTranspose2D: expected output_padding 0 with padding "same", which tells the size '
                f"of the outputs, got {extra}"
            )

    def _output_shape(self, shape: Shape) -> Pair:
        geometry = self._geometry
        if geometry.padding == "same":
            return shape[0] * geometry.stride[0], shape[1] * geometry.stride[1]
        extra = pair("ConvTranspose2D", "output_padding", self.output_padding, 0)
        lengths = zip(
            shape, geometry.stride, geometry.margins(shape), geometry.extent, extra, strict=False
        )
        height, width = ((n - 1) * s - sum(m) + e + o for n, s, m, e, o in lengths)
        return height, width

    @property
    def _geometry(self) -> Geometry:
        return Geometry(
            pair("ConvTranspose2D", "kernel_size", self.kernel_size),
            pair("ConvTranspose2D", "stride", self.stride),
            pair("ConvTranspose2D", "dilation", self.dilation),
            padding_2d("ConvTranspose2D", self.padding),
        )
