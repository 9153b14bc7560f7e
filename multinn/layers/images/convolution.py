"""Convolution of images and of sequences."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.descriptions.bounds import check_integers
from multinn.initializers import Glorot, Initializer, Zeros
from multinn.layers.base import Masked, mask_of, values_of, with_mask
from multinn.layers.images.base_convolution import BaseConvolution
from multinn.layers.images.geometry import (
    Geometry,
    Padding,
    Padding1D,
    Pair,
    check_images,
    check_sequences,
    height_and_width,
    normalize_padding_1d,
    normalize_padding_2d,
    normalize_pairs,
)
from multinn.layers.masked import expand_mask, zero_padding
from multinn.random import Key


@dataclass(frozen=True)
class _Convolution(BaseConvolution):
    """Convolution along any number of axes."""

    filters: int
    kernel_size: int | Pair
    stride: int | Pair = 1
    padding: Padding | Padding1D = "valid"
    dilation: int | Pair = 1
    groups: int = 1
    use_bias: bool = True
    weight_initializer: Initializer = Glorot()
    bias_initializer: Initializer = Zeros()

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and (x,)."""
        y = self._convolve(backend, x, params["W"])
        return (y + params["b"] if self.use_bias else y), (x,)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx, and {"W": P dYᵀ, "b": Σ dY}."""
        x = cache[0]
        dx = self._convolve_back(backend, dy, params["W"], height_and_width(x))
        return dx, self.parameter_gradients(backend, params, cache, dy)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"W": P dYᵀ, "b": Σ dY}."""
        dW = self._weights_gradient(backend, cache[0], dy, params["W"].shape)
        return self._gradients(backend, dW, dy)


@dataclass(frozen=True)
class Conv2D(_Convolution):
    """y_nhwf = b_f + Σ_ijc x_{n, s h + d i, s w + d j, c} W_ijcf: windows of images times one matrix.

    Shapes: x (batch, height, width, channels), W (k, k, channels, filters), b (filters,), and
    y (batch, (height - e) // s + 1, (width - e) // s + 1, filters), for a kernel of size k, stride s and
    dilation d, where e = d (k - 1) + 1. Here height and width include the padding, which is zeros.
    (As in other libraries, this is strictly a cross-correlation: W is not flipped.)

    Let row m = (i, j, c) of the matrix P hold the entries of all windows of the batch at place (i, j) in
    channel c. With W as a matrix (m, f) and Y as a matrix (f, windows),
        Y = Wᵀ P + b.
    This is a fully connected layer, so with dY = ∂L/∂Y
        dW = P dYᵀ      db = the sum of the columns of dY      dP = W dY
    and, as P copies entries of x, dx is the sum of dP over all copies of an entry. That sum is again a
    convolution, of dY with the turned kernel: dx_p = Σ_i W_i dY_((p - d i) / s), over all i for which s
    divides p - d i. The backend computes all three without the whole of P in memory.
    With groups, the channels and the filters are divided, in order, into groups of equal size, and each
    group of filters sees only its group of channels: W is (k, k, channels / groups, filters). With as
    many groups as channels, this is a depthwise convolution.
    Source: K. Chellapilla, S. Puri and P. Simard, High performance convolutional neural networks for
    document processing, IWFHR 2006, section 3 (convolution as one matrix product). V. Dumoulin and
    F. Visin, A guide to convolution arithmetic for deep learning, 2016, chapters 2 and 5 (sizes).

    Attributes:
        filters: the number of output channels, at least 1.
        kernel_size: k, or a pair for height and width.
        stride: s, or a pair.
        padding: "valid" for none; "same" for outputs of ceil(height / s) by ceil(width / s), with an odd
            row or column of padding at the end; or the number of zeros: one number for all sides, a
            pair for height and width, or ((top, bottom), (left, right)).
        dilation: d, or a pair.
        groups: the number of groups, a divisor of the filters and of the input channels.
        use_bias: whether b is added.
        weight_initializer: draws W.
        bias_initializer: draws b.

    Raises:
        ValueError: filters, kernel_size, stride, dilation or groups is below 1, the padding is invalid,
            or groups does not divide filters.

    >>> layer = Conv2D(8, 3, stride=2, padding="same", groups=2)
    >>> params, shape = layer.init(np.random.default_rng(0), (28, 28, 4))
    >>> shape, params["W"].shape
    ((14, 14, 8), (3, 3, 2, 8))
    """

    def __post_init__(self) -> None:
        self._check_filters()
        normalize_pairs(self, "kernel_size", "stride", "dilation")
        normalize_padding_2d(self)

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W (k, k, channels / groups, filters) and, with a bias, b (filters,)."""
        geometry = self._geometry
        check_images(self, input_shape, geometry)
        height, width, channels = input_shape
        self._check_channels(channels)
        shape = (*geometry.size, channels // self.groups, self.filters)
        return self._draw(generator, shape, channels), (*geometry.count((height, width)), self.filters)


@dataclass(frozen=True)
class Conv1D(_Convolution):
    """y_nlf = b_f + Σ_ic x_{n, s l + d i, c} W_icf: `Conv2D` of sequences.

    Shapes: x (batch, length, channels), W (k, channels, filters), b (filters,), and
    y (batch, (length - e) // s + 1, filters), for a kernel of size k, stride s and dilation d, where
    e = d (k - 1) + 1. Here the length includes the padding, which is zeros.

    A sequence is an image of height 1, so Y = Wᵀ P + b, where P has the rows m = (i, c), and
        dW = P dYᵀ      db = the sum of the columns of dY      dP = W dY
    and dx is the sum of dP over all copies of an entry.
    Time steps that a mask marks as padding count as zeros, and their dx is 0. y has the mask of x and so
    must be as long as x: with a mask, use stride 1 and "same" or "causal" padding.
    Source: as `Conv2D`; A. van den Oord et al., WaveNet, 2016, section 2.1 (causal and dilated).

    Attributes:
        filters: the number of output channels, at least 1.
        kernel_size: k.
        stride: s.
        padding: "valid" for none; "same" for outputs of length ceil(length / s), with an odd zero at the
            end; "causal" for e - 1 zeros before, so no output depends on later inputs; or the number of
            zeros: one number for both ends, or (before, after).
        dilation: d.
        groups: the number of groups, as in `Conv2D`.
        use_bias: whether b is added.
        weight_initializer: draws W.
        bias_initializer: draws b.

    Raises:
        ValueError: filters, kernel_size, stride, dilation or groups is below 1, the padding is invalid,
            or groups does not divide filters.

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
        self._check_filters()
        check_integers(self, "kernel_size", "stride", "dilation")
        normalize_padding_1d(self, "valid", "same", "causal")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W (k, channels / groups, filters) and, with a bias, b (filters,)."""
        geometry = self._geometry
        check_sequences(self, input_shape, geometry)
        length, channels = input_shape
        self._check_channels(channels)
        shape = (self.kernel_size, channels // self.groups, self.filters)
        return self._draw(generator, shape, channels), (geometry.count((1, length))[1], self.filters)

    def forward(
        self, backend: Backend, params: Tree, x: Array | Masked, key: Key | None = None
    ) -> tuple[Array | Masked, Tree]:
        """Return y, and (x, the mask)."""
        mask = expand_mask(backend, mask_of(x), 3)
        values = zero_padding(backend, values_of(x), mask)
        y, _ = super().forward(backend, params, values, key)
        if mask is not None and y.shape[1] != values.shape[1]:
            raise ValueError(
                f"Conv1D: expected no mask, or outputs as long as the inputs, {values.shape[1]} time "
                f'steps, got {y.shape[1]}; use stride=1 and padding="same" or "causal"'
            )
        return with_mask(y, mask_of(x)), (values, mask)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx, and {"W": P dYᵀ, "b": Σ dY}."""
        dx, gradients = super().backward(backend, params, cache, dy)
        return zero_padding(backend, dx, cache[1]), gradients

    @property
    def _geometry(self) -> Geometry:
        return Geometry.of_sequences(self.kernel_size, self.stride, self.dilation, self.padding)
