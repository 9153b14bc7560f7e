"""y and dW of depthwise convolutions: sums of elementwise products, as each product has one column."""

from itertools import product

import numpy as np

from backends.numpy_convolution.layout import Layout
from backends.numpy_convolution.parts import Array, Part, divided, padded, scratch
from backends.threads import run_parts

_WORK = 30  # the cost of an elementwise product in multiplications of a matrix product


def convolve(layout: Layout, x: Array, weights: Array, out: Array) -> None:
    """Write y = Σ_ij X_ij W_ij, where X_ij are the entries of all windows at place (i, j)."""
    kernel = weights.reshape(*weights.shape[:2], 1, layout.groups, -1)
    W = np.repeat(kernel, layout.across.count, axis=2)  # NumPy's inner loops are then over whole rows
    parts = _parts(layout, x, weights.shape[3])

    def compute(index: int) -> None:
        images, rows = parts[index]
        X = padded(x[images], layout.down, layout.across, rows)
        y = out[images, rows.start : rows.stop]
        y = y.reshape(*y.shape[:3], layout.groups, -1)
        products = scratch("P", y.shape, y.dtype)
        for i, j in product(range(layout.down.size), range(layout.across.size)):
            entries = _entries(layout, X, len(rows), i, j)
            if i == j == 0:
                np.multiply(entries, W[i, j], y)
            else:
                np.multiply(entries, W[i, j], products)
                np.add(y, products, y)

    run_parts(compute, len(parts))


def convolve_weights(layout: Layout, x: Array, dy: Array) -> Array:
    """Return dW_ij = Σ X_ij dY, (height, width, groups, filters)."""
    size, filters = (layout.down.size, layout.across.size), (layout.groups, dy.shape[3] // layout.groups)
    parts = _parts(layout, x, dy.shape[3])
    sums = np.empty((len(parts), *size, *filters), x.dtype)

    def compute(index: int) -> None:
        images, rows = parts[index]
        X = padded(x[images], layout.down, layout.across, rows)
        D = dy[images, rows.start : rows.stop]
        D = D.reshape(*D.shape[:3], *filters)
        products = scratch("P", D.shape, D.dtype)
        for i, j in product(*map(range, size)):
            np.multiply(_entries(layout, X, len(rows), i, j), D, products)
            np.add.reduce(products.reshape(-1, *filters), axis=0, out=sums[index, i, j])

    run_parts(compute, len(parts))
    total: Array = np.add.reduce(sums, axis=0)
    return total


def _parts(layout: Layout, x: Array, filters: int) -> tuple[Part, ...]:
    outputs = layout.across.count * filters
    products = _WORK * outputs * layout.down.size * layout.across.size
    return divided(len(x), layout.down.count, 3 * outputs * x.itemsize, products)


def _entries(layout: Layout, X: Array, rows: int, i: int, j: int) -> Array:
    """Return X_ij, (batch, rows, columns, channels, 1)."""
    down, across = layout.down, layout.across
    top, left = i * down.dilation, j * across.dilation
    bottom = top + (rows - 1) * down.stride + 1
    right = left + (across.count - 1) * across.stride + 1
    return X[:, top : bottom : down.stride, left : right : across.stride, :, None]
