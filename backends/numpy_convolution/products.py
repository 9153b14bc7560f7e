"""y and dW by products with P."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np

from backends.blas_threads import has_small_kernels, one_blas_thread
from backends.numpy_convolution.layout import Layout, blocked, single
from backends.numpy_convolution.parts import (
    Array,
    Part,
    divided,
    even,
    is_finite,
    padded,
    pieces,
    scratch,
    split,
)
from backends.threads import run_parts

_PRODUCT = 2**19 - 1  # multiplications; OpenBLAS gives each of several threads at least 2¹⁸
_MOST_FILTERS, _LEAST_FILTERS = 64, 16  # columns of a product
_GOOD_ROWS = 12  # rows of a product; the kernels of OpenBLAS compute 12, or 2 x 12, fastest
_TILE = (48, 32)  # rows and columns of the tile of dW that a product computes, at most
_MANY_CHANNELS = 8  # for fewer, whole windows have runs too short to copy
_LARGE_WEIGHTS, _LARGE_WINDOW = 2**16, 2**10  # for more, large products are faster
_LARGE_PARTS = 4  # parts of large products are so many times as large
_SUMS = 4  # sums of large products, a fixed number for the same bits with any number of threads


def convolve(layout: Layout, x: Array, weights: Array, out: Array) -> None:
    """Write y = P W."""
    filters = weights.shape[3]
    if _is_large(layout, filters):
        _convolve_large(replace(layout, whole=True), x, weights, out)
        return
    plain = single(layout)
    is_dense = out.strides[2] == filters * out.itemsize
    best = _best(layout, filters) if is_dense else plain
    matrices = {each: each.matrix(weights)[:, None, None] for each in {plain, best}}
    parts = divided(len(x), layout.down.count, *best.costs(filters, x.itemsize))

    def compute(index: int) -> None:
        images, rows = parts[index]
        X = padded(x[images], layout.down, layout.across, rows)
        chosen = best if best.block == 1 or is_finite(X) else plain
        P = chosen.windows(chosen.gather(X, len(rows)), len(rows))
        y = out[images, rows.start : rows.stop]
        Y = chosen.in_blocks(y)
        if chosen.whole and chosen.groups == 1 and y.flags.c_contiguous:  # all windows in one matrix
            P, Y = (each.reshape(1, 1, 1, -1, each.shape[4]) for each in (P, Y))
        _multiply(P, matrices[chosen], Y)

    with _blas():
        run_parts(compute, len(parts))


def _best(layout: Layout, filters: int) -> Layout:
    """Return the fastest layout for so many filters.

    Without kernels for small products, one product of all windows of a part is faster by more than the
    windows take to copy as a whole.
    """
    if layout.channels >= _MANY_CHANNELS and not has_small_kernels():
        return replace(layout, whole=True)
    return blocked(layout, filters)


def _blas() -> AbstractContextManager[None]:
    """Return a context for the products of parts, each in one thread of BLAS.

    Small products have one thread anyway.
    """
    return nullcontext() if has_small_kernels() else one_blas_thread()


def _multiply(P: Array, W: Array, Y: Array) -> None:
    """Write Y = P W, as small products of some rows and some filters where these are faster."""
    if not has_small_kernels():
        np.matmul(P, W, Y)
        return
    window, filters = W.shape[-2:]
    most = min(max(_PRODUCT // (window * _GOOD_ROWS), _LEAST_FILTERS), _MOST_FILTERS)
    wide = even(filters, most)
    high = _rows_of_a_product(P.shape[-2], _PRODUCT // (window * wide))
    for columns, _, width in pieces(filters, wide):
        for rows, _, height in pieces(P.shape[-2], high):
            np.matmul(
                split(P[..., rows, :], height, window),
                split(W[..., columns], window, width),
                split(Y[..., rows, columns], height, width),
            )


def _rows_of_a_product(rows: int, most: int) -> int:
    """Return 24 rows if there are so many; else as many as fit, in pieces of equal size."""
    if min(rows, most) < 2 * _GOOD_ROWS:
        return even(rows, most)
    return 2 * _GOOD_ROWS


def _convolve_large(layout: Layout, x: Array, weights: Array, out: Array) -> None:
    """Write y = P W, as one large product for each part."""
    W, parts = layout.matrix(weights), _large_parts(layout, x, weights.shape[3])

    def compute(index: int) -> None:
        images, rows = parts[index]
        P = layout.gather(padded(x[images], layout.down, layout.across, rows), len(rows))
        Y = P.reshape(layout.groups, -1, layout.window) @ W
        part = layout.in_blocks(out[images, rows.start : rows.stop])
        part[...] = Y.reshape(part.shape)

    with one_blas_thread():
        run_parts(compute, len(parts))


def _is_large(layout: Layout, filters: int) -> bool:
    """Return whether small products would read the weights too often, or have too few rows."""
    window = layout.channels * layout.down.size * layout.across.size
    return window > _LARGE_WINDOW or window * filters // layout.groups > _LARGE_WEIGHTS


def _large_parts(layout: Layout, x: Array, filters: int) -> tuple[Part, ...]:
    size, products = layout.costs(filters, x.itemsize)
    return divided(len(x), layout.down.count, -(-size // _LARGE_PARTS), products)


def convolve_weights(layout: Layout, x: Array, dy: Array) -> Array:
    """Return dW = Pᵀ dY, (height, width, channels, groups, filters)."""
    filters, whole = dy.shape[3], replace(layout, whole=True)
    if _is_large(layout, filters):
        return whole.weights(_sum_large(whole, x, dy))
    best = _best(layout, filters)
    dW = best.weights(_sum_small(best, x, dy))
    if best.whole or is_finite(dW):
        return dW
    return whole.weights(_sum_small(whole, x, dy))  # a window that is none of the images may have NaN


def _sum_small(layout: Layout, x: Array, dy: Array) -> Array:
    """Return dW (groups, window, outputs of a block · filters) by small products."""
    filters = dy.shape[3]
    parts = divided(len(x), layout.down.count, *layout.costs(filters, x.itemsize))
    columns = layout.block * filters // layout.groups
    sums = np.empty((len(parts), layout.groups, layout.window, columns), x.dtype)

    def compute(index: int) -> None:
        images, rows = parts[index]
        P = layout.gather(padded(x[images], layout.down, layout.across, rows), len(rows))
        D = layout.outputs(P, dy[images, rows.start : rows.stop])
        _sum_products(layout.steps(P), D, sums[index])

    with _blas():
        run_parts(compute, len(parts))
    total: Array = np.add.reduce(sums, axis=0)
    return total


def _sum_large(layout: Layout, x: Array, dy: Array) -> Array:
    """Return dW (groups, window, filters), as the sum of one large product for each part."""
    filters, parts = dy.shape[3], _large_parts(layout, x, dy.shape[3])
    sums = np.zeros((_SUMS, layout.groups, layout.window, filters // layout.groups), x.dtype)

    def add(index: int) -> None:
        for images, rows in parts[index::_SUMS]:
            P = layout.gather(padded(x[images], layout.down, layout.across, rows), len(rows))
            D = layout.outputs(P, dy[images, rows.start : rows.stop])
            sums[index] += layout.steps(P)[:, 0].mT @ D[:, 0]

    with one_blas_thread():
        run_parts(add, _SUMS)
    total: Array = np.add.reduce(sums, axis=0)
    return total


def _sum_products(A: Array, D: Array, out: Array) -> None:
    """Write Σ_q A_qᵀ D_q, as small products of a fixed number of steps where these are faster.

    Args:
        A: (groups, q, steps, window).
        D: (groups, q, steps, columns).
        out: (groups, window, columns).
    """
    if not has_small_kernels():
        np.add.reduce(A.mT @ D, axis=1, out=out)
        return
    groups, q, steps, window = A.shape
    high, wide = even(window, _TILE[0]), even(D.shape[3], _TILE[1])
    lengths = pieces(steps, even(steps, _PRODUCT // (high * wide)))
    S = scratch("S", (groups, q, sum(n for _, n, _ in lengths), window, D.shape[3]), A.dtype)
    first = 0
    for part, number, length in lengths:
        for rows, _, height in pieces(window, high):
            for columns, _, width in pieces(D.shape[3], wide):
                np.matmul(
                    split(A[:, :, part, rows], length, height).mT[..., None, :, :],
                    split(D[:, :, part, columns], length, width)[..., None, :, :, :],
                    split(S[:, :, first : first + number, rows, columns], height, width),
                )
        first += number
    np.add.reduce(S.reshape(groups, -1, *S.shape[3:]), axis=1, out=out)
