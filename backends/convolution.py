"""Convolution as a composition of the standard's functions: one matrix product with all windows.

It serves backends whose library has no faster one, and is the reference for the others.
Source: K. Chellapilla, S. Puri and P. Simard, High performance convolutional neural networks for
document processing, IWFHR 2006, section 3.
"""

import math
from typing import Any

from backends import windows
from backends.windows import Margins, Pair

Array = Any


def convolve(
    xp: Any,
    x: Array,
    weights: Array,
    stride: Pair,
    padding: Margins,
    dilation: Pair,
    spread: Pair,
    groups: int,
) -> Array:
    """Return y, as `Backend.convolve` defines it."""
    X = windows.padded(xp, _spread_out(xp, x, spread), padding)
    P = _windows_of_groups(xp, X, weights.shape[:2], stride, dilation, groups)
    *size, channels, filters = weights.shape
    W = xp.reshape(weights, (math.prod(size) * channels, groups, filters // groups))
    Y = P @ xp.permute_dims(W, (1, 0, 2))  # (groups, windows, filters of a group)
    shape = (x.shape[0], *windows.count(X.shape[1:3], size, stride, dilation), filters)
    return xp.reshape(xp.permute_dims(Y, (1, 0, 2)), shape)


def convolve_weights(
    xp: Any, x: Array, dy: Array, size: Pair, stride: Pair, padding: Margins, dilation: Pair, groups: int
) -> Array:
    """Return the gradient of the weights, as `Backend.convolve_weights` defines it."""
    P = _windows_of_groups(xp, windows.padded(xp, x, padding), size, stride, dilation, groups)
    filters = dy.shape[3]
    dY = xp.permute_dims(xp.reshape(dy, (-1, groups, filters // groups)), (1, 0, 2))
    dW = xp.permute_dims(P.mT @ dY, (1, 0, 2))  # (places · channels of a group, groups, filters)
    return xp.reshape(dW, (*size, x.shape[3] // groups, filters))


def _windows_of_groups(xp: Any, X: Array, size: Any, stride: Pair, dilation: Pair, groups: int) -> Array:
    """Return all windows as rows, (groups, windows, places · channels of a group)."""
    places = xp.stack(windows.windows(X, size, stride, dilation), axis=3)
    *shape, _, channels = places.shape
    parts = xp.reshape(places, (math.prod(shape), math.prod(size), groups, channels // groups))
    windows_first = xp.permute_dims(parts, (2, 0, 1, 3))
    return xp.reshape(windows_first, (groups, math.prod(shape), -1))


def _spread_out(xp: Any, x: Array, spread: Pair) -> Array:
    """Return images with ``spread`` - 1 rows and columns of zeros between their own."""
    for axis, factor in zip((1, 2), spread, strict=True):
        if factor > 1:
            shape = (*x.shape[: axis + 1], factor - 1, *x.shape[axis + 1 :])
            zeros = xp.zeros(shape, dtype=x.dtype)
            parts = xp.concat([xp.expand_dims(x, axis=axis + 1), zeros], axis=axis + 1)
            length = x.shape[axis] * factor
            x = xp.reshape(parts, (*x.shape[:axis], length, *x.shape[axis + 1 :]))
            last = max(0, length - factor + 1)
            x = x[:, :last, ...] if axis == 1 else x[:, :, :last, ...]
    return x
