"""y and dW by products with P."""

from dataclasses import replace

import numpy as np

from backends.numpy_convolution.layout import Layout, blocked, single
from backends.numpy_convolution.parts import (
    Array,
    divided,
    even,
    is_finite,
    padded,
    pieces,
    scratch,
    split,
)
from backends.threads import run_parts

_PRODUCT = 2**18  # multiplications; OpenBLAS computes a product of no more in one thread
_MOST_FILTERS, _LEAST_FILTERS = 64, 16  # columns of a product
_GOOD_ROWS = 12  # rows of a product; the kernels of OpenBLAS compute 12, or 2 x 12, fastest
_DEPTH = 576  # numbers of a window in a product, at most
_TILE = (64, 32)  # rows and columns of the tile of dW that a product computes, at most
_LARGE = 2**16  # weights; for more, dW is computed by large products, which use all threads,
_LARGE_PARTS = 16  # in parts that are so many times as large


def convolve(layout: Layout, x: Array, weights: Array, out: Array) -> None:
    """Write y = P W."""
    filters = weights.shape[3]
    plain = single(layout)
    is_dense = out.strides[2] == filters * out.itemsize
    best = blocked(layout, filters) if is_dense else plain
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

    run_parts(compute, len(parts))


def _multiply(P: Array, W: Array, Y: Array) -> None:
    """Write Y = P W as small products, of some rows, some filters, and some numbers of a window."""
    window, filters = W.shape[-2:]
    depth = _divisor(window, _DEPTH)
    most = min(max(_PRODUCT // (depth * _GOOD_ROWS), _LEAST_FILTERS), _MOST_FILTERS)
    wide = even(filters, most)
    high = _rows_of_a_product(P.shape[-2], _PRODUCT // (depth * wide))
    sums = Y[None] if depth == window else scratch("S", (window // depth, *Y.shape), Y.dtype)
    for index, addend in enumerate(sums):
        numbers = slice(index * depth, (index + 1) * depth)
        for columns, _, width in pieces(filters, wide):
            for rows, _, height in pieces(P.shape[-2], high):
                np.matmul(
                    split(P[..., rows, numbers], height, depth),
                    split(W[..., numbers, columns], depth, width),
                    split(addend[..., rows, columns], height, width),
                )
    if depth < window:
        np.add.reduce(sums, axis=0, out=Y)


def _rows_of_a_product(rows: int, most: int) -> int:
    if min(rows, most) < 2 * _GOOD_ROWS:
        return even(rows, most)
    return 2 * _GOOD_ROWS


def _divisor(length: int, most: int) -> int:
    """Return the largest divisor of a length that is at most so large; the length if that is small."""
    divisor = next(n for n in range(min(length, most), 0, -1) if length % n == 0)
    return divisor if 2 * divisor >= min(length, most) else length


def convolve_weights(layout: Layout, x: Array, dy: Array) -> Array:
    """Return dW = Pᵀ dY, (height, width, channels, groups, filters)."""
    filters, whole = dy.shape[3], replace(layout, whole=True)
    best = blocked(layout, filters)
    if whole.window * filters // layout.groups > _LARGE:
        return whole.weights(_sum_large(whole, x, dy))
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

    run_parts(compute, len(parts))
    total: Array = np.add.reduce(sums, axis=0)
    return total


def _sum_large(layout: Layout, x: Array, dy: Array) -> Array:
    """Return dW (groups, window, filters) by large products, which use all threads themselves."""
    filters = dy.shape[3]
    size, products = layout.costs(filters, x.itemsize)
    parts = divided(len(x), layout.down.count, -(-size // _LARGE_PARTS), products)
    dW = np.zeros((layout.groups, layout.window, filters // layout.groups), x.dtype)
    for images, rows in parts:
        P = layout.gather(padded(x[images], layout.down, layout.across, rows), len(rows))
        D = layout.outputs(P, dy[images, rows.start : rows.stop])
        dW += layout.steps(P)[:, 0].mT @ D[:, 0]
    return dW


def _sum_products(A: Array, D: Array, out: Array) -> None:
    """Write Σ_q A_qᵀ D_q as small products, of a fixed number of steps each.

    Args:
        A: (groups, q, steps, window).
        D: (groups, q, steps, columns).
        out: (groups, window, columns).
    """
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
