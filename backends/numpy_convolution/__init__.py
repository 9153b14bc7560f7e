"""Convolution in NumPy at the speed of its matrix products, in parts that stay in the cache.

A convolution is one matrix product: each row of P is a window of the images, and Y = P W. But P repeats
each number of the images once for each place of a window. Copied as a whole, it leaves every cache, and
the copying takes longer than the products. Three ideas avoid this.

First, only the columns of windows are copied, not their rows (MEC, see below). In memory, P is
    P[n, w, p, (j, c)] = X[n, p, s w + d j, c],
where p is a row of the padded images X. Row i of the window of output (h, w) is P[n, w, s h + i, :], and
the next row of the window follows it in memory. So the window is the run of k² c numbers that begins at
P[n, w, s h, 0]. The windows of all w lie a constant distance apart: they are a matrix that BLAS takes as
it is. P repeats each number of X k times, not k² times.

Second, the images are computed in parts whose P stays in the cache, and the threads share the parts.

Third, the products of a part are many small ones, in one call of `np.matmul`. OpenBLAS computes each in
one thread. For processors with AVX-512 it has kernels for small products that copy nothing, and they are
faster than large products, which are packed first. Large products pay where the weights are many. For
other processors, each part with enough channels copies whole windows, for one large product.

With few filters, products have few columns and are slow. Then each row of P serves b outputs that lie
next to each other: it holds the columns of all their windows, and W becomes a band of b copies. This
multiplies by the zeros beside the band, and 0 · ∞ is NaN, so images with NaN or infinity use no band.

For dW = Pᵀ dY, windows that begin q rows apart in P, with q s >= k, do not overlap. They are a matrix
that continues from one column of P to the next. A window that would extend into the next column is not
one of the images; its row in dY is zero. Sums of a fixed number of rows are added in a fixed order, so
the bits do not depend on the number of threads.

    axis        windows along one axis of the images
    layout      P
    products    y and dW by products with P
    channels    y and dW of depthwise convolutions, which have no products
    parts       parts of images, and memory for them

Source: M. Cho and D. Brand, MEC: memory-efficient convolution for deep neural network, ICML 2017.
"""

from functools import lru_cache
from itertools import product
from types import ModuleType

import numpy as np

from backends.numpy_convolution import channels, products
from backends.numpy_convolution.axis import Axis, Phase
from backends.numpy_convolution.layout import Layout
from backends.numpy_convolution.parts import CACHED, Array
from backends.windows import Margins, Pair


def convolve(
    x: Array,
    weights: Array,
    stride: Pair,
    padding: Margins,
    dilation: Pair,
    spread: Pair,
    groups: int,
    out: Array | None = None,
) -> Array:
    """Return y, as `Backend.convolve` defines it.

    With a spread, X is mostly zeros. These are not multiplied: at a spread of 2, the even rows of X meet
    every other row of the kernel. So y is interleaved from convolutions of x with parts of the kernel.

    Args:
        x: (batch, height, width, channels).
        weights: (kernel height, kernel width, channels / groups, filters).
        stride: as in `Backend.convolve`.
        padding: as in `Backend.convolve`.
        dilation: as in `Backend.convolve`.
        spread: as in `Backend.convolve`.
        groups: as in `Backend.convolve`.
        out: the array to write y to; its last axis is contiguous.
    """
    options = (stride, padding, dilation, spread)
    rows, columns, phases = _phases(x.shape[1:3], weights.shape[:2], *options)
    y = np.empty((len(x), rows, columns, weights.shape[3]), x.dtype) if out is None else out
    for (h, i, down), (w, j, across) in phases:
        part, W = y[:, h, w, :], weights[i, j, ...]
        if not (x.size and W.size and part.size):
            part[...] = 0
            continue
        layout = Layout(down, across, x.shape[3] // groups, groups)
        _method(layout).convolve(layout, x, W, part)
    return y


@lru_cache(CACHED)
def _phases(
    shape: Pair, size: Pair, stride: Pair, padding: Margins, dilation: Pair, spread: Pair
) -> tuple[int, int, tuple[tuple[Phase, Phase], ...]]:
    """Return the rows and columns of y, and the phases along both axes."""
    axes = zip(shape, size, stride, padding, dilation, spread, strict=True)
    down, across = (Axis.of(*axis) for axis in axes)
    return down.count, across.count, tuple(product(down.phases(), across.phases()))


def convolve_weights(
    x: Array,
    dy: Array,
    size: Pair,
    stride: Pair,
    padding: Margins,
    dilation: Pair,
    groups: int,
    out: Array | None = None,
) -> Array:
    """Return the gradient of the weights, as `Backend.convolve_weights` defines it.

    Args:
        x: (batch, height, width, channels).
        dy: (batch, rows, columns, filters).
        size: the height and width of the kernel.
        stride: as in `Backend.convolve`.
        padding: as in `Backend.convolve`.
        dilation: as in `Backend.convolve`.
        groups: as in `Backend.convolve`.
        out: the array to write the gradient to.
    """
    down, across = map(Axis.of, x.shape[1:3], size, stride, padding, dilation)
    shape = (*size, x.shape[3] // groups, dy.shape[3])
    dW = np.empty(shape, x.dtype) if out is None else out
    if not (x.size and dy.size):
        dW[...] = 0
        return dW
    layout = Layout(down, across, x.shape[3] // groups, groups)
    dW[...] = _method(layout).convolve_weights(layout, x, dy).reshape(shape)
    return dW


def _method(layout: Layout) -> ModuleType:
    """Return the module that computes a convolution: depthwise ones have no products."""
    return channels if layout.channels == 1 < layout.groups else products
