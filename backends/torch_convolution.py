"""Convolution in PyTorch, by its own functions for channels first.

Seen with the channels first, our arrays have the memory format that PyTorch calls channels_last, for
which its functions are fastest, so no array of images is copied.
"""

from typing import Any

import torch
from torch.nn import functional

from backends.windows import Margins, Pair

Array = Any


def convolve(
    x: Array, weights: Array, stride: Pair, padding: Margins, dilation: Pair, spread: Pair, groups: int
) -> Array:
    """Return y, as `Backend.convolve` defines it."""
    if spread != (1, 1):
        return _convolve_spread(x, weights, stride, padding, dilation, spread, groups)
    X, margins = _padded(x, padding)
    W = weights.permute(3, 2, 0, 1).contiguous()  # autograd fails for a view with one filter
    if X.shape[1] == 1 and X.shape[3] + 2 * margins[1] - dilation[1] * (W.shape[3] - 1) <= stride[1]:
        # PyTorch 2.13 computes one window across a permuted view of one channel wrongly.
        X = X.clone(memory_format=torch.contiguous_format)
    return _channels_last(functional.conv2d(X, W, None, stride, margins, dilation, groups))


def convolve_weights(
    x: Array, dy: Array, size: Pair, stride: Pair, padding: Margins, dilation: Pair, groups: int
) -> Array:
    """Return the gradient of the weights, as `Backend.convolve_weights` defines it."""
    X, margins = _padded(x, padding)
    shape = (dy.shape[3], x.shape[3] // groups, *size)
    dY = _channels_first(dy)
    dW = torch.nn.grad.conv2d_weight(X, shape, dY, stride, margins, dilation, groups)
    return dW.permute(2, 3, 1, 0)


def _convolve_spread(
    x: Array, weights: Array, stride: Pair, padding: Margins, dilation: Pair, spread: Pair, groups: int
) -> Array:
    """Return y by a transposed convolution, which multiplies none of the zeros between neighbors.

    It computes all windows that touch x, which are those with e - 1 rows and columns of padding, with
    the turned kernel. All windows beyond give 0.
    """
    height, width, channels, filters = weights.shape
    W = weights.reshape(height, width, channels, groups, filters // groups).permute(3, 2, 4, 0, 1)
    W = W.reshape(groups * channels, filters // groups, height, width).flip(2, 3)
    Y = functional.conv_transpose2d(
        _channels_first(x), W, stride=spread, dilation=dilation, groups=groups
    )
    beyond = [
        tuple(n - d * (k - 1) for n in margin)
        for margin, k, d in zip(padding, (height, width), dilation, strict=True)
    ]
    Y = _margins(Y, (*beyond[1], *beyond[0]))
    return _channels_last(Y[:, :, :: stride[0], :: stride[1]])


def _padded(x: Array, padding: Margins) -> tuple[Array, Pair]:
    """Return x with the channels first, and the padding that is left to PyTorch's functions.

    They take one number of zeros, at least 0, for both sides of an axis.
    """
    (top, bottom), (left, right) = padding
    if top == bottom >= 0 and left == right >= 0:
        return _channels_first(x), (top, left)
    return _channels_first(_margins(x, (0, 0, left, right, top, bottom))), (0, 0)


def _margins(x: Array, margins: tuple[int, ...]) -> Array:
    """Return x with margins, of the last axis first, added before others are removed.

    More may be removed than x has.
    """
    added = functional.pad(x, tuple(max(n, 0) for n in margins))
    return functional.pad(added, tuple(min(n, 0) for n in margins))


def _channels_first(x: Array) -> Array:
    # Of a transposed view, PyTorch would choose another function, and so other last bits.
    return x.contiguous().permute(0, 3, 1, 2)


def _channels_last(x: Array) -> Array:
    return x.permute(0, 2, 3, 1)
