"""Convolution in NumPy at the speed of its matrix products, in blocks that stay in the cache.

A convolution is one matrix product: each row of P is a window of the images, and Y = P W. But P repeats
each number of the images once for each place of a window. Copied as a whole, it leaves every cache, and
copying takes longer than multiplying. Three ideas avoid this.

1. Only the columns of a window are copied, not its rows (MEC, see below). In memory, P has the axes
       P[n, w, p, (j, c)] = X[n, p, s w + d j, c],
   with p the row of the padded image X. The places of row i of the window at (h, w) are the numbers
   P[n, w, s h + i, :], and the next row of the window follows directly. So the whole window is the run of
   k k' channels numbers that begins at P[n, w, s h, 0], and the windows of one h are a matrix with rows
   that lie a constant distance apart, as BLAS takes them. P has k' instead of k k' copies.

2. The images are computed in parts whose P stays in the cache, and the threads share the parts out.

3. A part is computed as many small products in one call of `np.matmul`. OpenBLAS computes a product of up
   to 2¹⁸ multiplications in one thread, and has kernels for small products that need no copies: on
   processors with AVX-512 they are faster than large products, which are copied into blocks first.

With few filters, products have few columns and are slow. Then each row of P serves b outputs next to each
other: it holds all columns of their windows, and W becomes a band, b times as wide. The zeros beside the
band are multiplied too, which 0 · NaN and 0 · ∞ would reveal, so images that contain these do without.

For dW = Pᵀ dY, rows of P are summed over. All windows that begin at every q-th row of P, with q s >= k,
are a matrix with rows of a constant distance, over columns and images too; those that would extend from
one column into the next meet zeros in dY. The sums of a fixed number of rows are added in a fixed order,
so the bits do not depend on the threads.

Source: M. Cho and D. Brand, MEC: memory-efficient convolution for deep neural network, ICML 2017.
"""

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from backends.aligned import aligned_bytes
from backends.threads import run_parts

Array = np.ndarray[Any, np.dtype[Any]]
Pair = tuple[int, int]
Margins = tuple[Pair, Pair]

_PRODUCT = 2**18  # multiplications; OpenBLAS computes a product of no more in one thread
_MOST_FILTERS, _LEAST_FILTERS = 64, 16  # columns of a product
_GOOD_ROWS, _LEAST_ROWS = (
    12,
    8,
)  # rows of a product; with fewer, large products in all threads are faster
_TILE = (64, 32)  # rows and columns of the part of dW that a product computes, at most
_LARGE = 2**16  # weights; for more, dW is computed by large products in all threads
_EDGE = 4  # columns; a product of n columns takes as long as n + 4 without its overhead
_MOST_BLOCK = 16
_PART = 2**20  # bytes of P that fit into the cache of a core
_LEAST_PART = 2**16  # bytes of P that are worth a thread
_PARTS = 8  # keep the cores of a common machine busy
_RUN, _COPY = 500, 12  # the cost of copying a run of numbers, and each of them, in multiplications


def convolve(
    x: Array,
    weights: Array,
    stride: Pair = (1, 1),
    padding: Margins = ((0, 0), (0, 0)),
    dilation: Pair = (1, 1),
    spread: Pair = (1, 1),
    groups: int = 1,
    out: Array | None = None,
) -> Array:
    """Return y, as `Backend.convolve` defines it.

    With a spread, X is mostly zeros, and these are not multiplied: at a spread of 2, the even rows of X
    meet every other row of the kernel. So y is interleaved from convolutions of x with parts of the
    kernel.

    Args:
        x: (batch, height, width, channels).
        weights: (kernel height, kernel width, channels / groups, filters).
        stride: as in `Backend.convolve`.
        padding: as in `Backend.convolve`.
        dilation: as in `Backend.convolve`.
        spread: as in `Backend.convolve`.
        groups: as in `Backend.convolve`.
        out: where to write y; its last axis is contiguous.
    """
    axes = zip(x.shape[1:3], weights.shape[:2], stride, padding, dilation, spread, strict=True)
    vertical, horizontal = (_Axis.of(*axis) for axis in axes)
    shape = (len(x), vertical.count, horizontal.count, weights.shape[3])
    y = np.empty(shape, x.dtype) if out is None else out
    for (rows, i, down), (columns, j, across) in product(vertical.phases(), horizontal.phases()):
        part, W = y[:, rows, columns, :], weights[i, j, ...]
        if x.size and W.size and part.size:
            windows = _Windows(x.shape[3] // groups, groups, (down, across))
            compute = _convolve_channels if windows.channels == 1 < groups else _convolve
            compute(windows, x, W, part)
        else:
            part[...] = 0
    return y


@dataclass(frozen=True)
class _Axis:
    """Windows along one axis: place k of window w lies at entry ``start + stride w + dilation k`` of x.

    Attributes:
        start: the entry of x where the first window begins; negative if it begins on the padding.
        stride: the distance between windows.
        dilation: the distance between places.
        spread: entry p of X is entry p / spread of x, or 0 if spread does not divide p.
        size: the number of places.
        count: the number of windows.
    """

    start: int
    stride: int
    dilation: int
    spread: int
    size: int
    count: int

    @classmethod
    def of(
        cls, length: int, size: int, stride: int, margin: Pair, dilation: int, spread: int = 1
    ) -> "_Axis":
        """Return the windows on an axis of x of this length."""
        padded = sum(margin) + ((length - 1) * spread + 1 if length else 0)
        count = max(0, (padded - dilation * (size - 1) - 1) // stride + 1)
        return cls(-margin[0], stride, dilation, spread, size, count)

    @property
    def extent(self) -> int:
        """The entries from the beginning of the first window to the end of the last one."""
        return self.reach(self.count)

    def reach(self, windows: int) -> int:
        """Return the entries from the beginning of a window to the end of the last one of so many."""
        return (windows - 1) * self.stride + (self.size - 1) * self.dilation + 1

    def phases(self) -> "Iterator[tuple[slice, slice, _Axis]]":
        """Yield outputs, places of the kernel, and the windows on x itself that these make.

        Output h = period w + r meets x at the places k with spread | stride h + dilation k + start. As
        spread | period stride, these are the same for all w. If k is one of them, so is k + step with
        spread | step dilation.
        """
        period = self.spread // math.gcd(self.spread, self.stride)
        step = self.spread // math.gcd(self.spread, self.dilation)
        for r in range(min(period, self.count)):
            starts = [self.start + self.stride * r + self.dilation * k for k in range(self.size)]
            first = next((k for k, p in enumerate(starts) if p % self.spread == 0), self.size)
            places = range(first, self.size, step)
            yield (
                slice(r, None, period),
                slice(first, None, step),
                _Axis(
                    start=starts[first] // self.spread if places else 0,
                    stride=self.stride * period // self.spread,
                    dilation=self.dilation * step // self.spread,
                    spread=1,
                    size=len(places),
                    count=len(range(r, self.count, period)),
                ),
            )


@dataclass(frozen=True)
class _Windows:
    """The layout of P.

    Attributes:
        channels: the channels of a group.
        groups: the number of groups; each has a P of its own.
        axes: the windows along the height and the width.
        block: b, the number of neighbors among the outputs that one row of P serves; divides their
            number.
        whole: whether each row of P holds a whole window, not one row of it. Then the rows of all
            windows lie next to each other, P[n, h, w, (i, j, c)].
    """

    channels: int
    groups: int
    axes: tuple[_Axis, _Axis]
    block: int = 1
    whole: bool = False

    @property
    def width(self) -> int:
        """The columns of X in a row of P."""
        return self.column(self.block - 1, self.axes[1].size - 1) + 1

    def column(self, output: int, place: int) -> int:
        """Return the column in a row of P that an output of a block meets at a place of the kernel."""
        return (self.axes[1].stride * output + self.axes[1].dilation * place) // self._step

    @property
    def _step(self) -> int:
        """The distance between the columns of X in a row of P."""
        across = self.axes[1]
        return across.dilation if self.block == 1 else math.gcd(across.stride, across.dilation)

    @property
    def row(self) -> int:
        """The numbers in a row of P."""
        return self.width * self.channels * (self.axes[0].size if self.whole else 1)

    @property
    def window(self) -> int:
        """The numbers in a window, or in the windows of a block: the rows of W."""
        return self.width * self.channels * self.axes[0].size

    @property
    def apart(self) -> int:
        """q: windows that begin so many windows apart in a column of P do not overlap."""
        return 1 if self.whole else -(-self.axes[0].size // self.axes[0].stride)

    def height(self, rows: int) -> int:
        """Return the rows of X in P for so many rows of windows, as a multiple of the stride."""
        stride = self.axes[0].stride
        return -(-self.axes[0].reach(rows) // stride) * stride

    def gather(self, X: Array, rows: int) -> Array:
        """Return P for a part of the padded images, which has so many rows of windows.

        Returns:
            (groups, batch, rows, blocks, window) if whole; else (groups, batch, blocks, height, row),
            with zeros in memory beyond, and in rows that no window meets.
        """
        down, across = self.axes
        batch, vertical, horizontal, channel = X.strides
        lead = (self.groups, len(X))
        lead_strides = (channel * self.channels, batch)
        blocks, right = across.count // self.block, across.stride * self.block * horizontal
        inner = (self.width, self.channels)
        inner_strides = (self._step * horizontal, channel)
        if self.whole:
            view = as_strided(
                X,
                (*lead, rows, blocks, down.size, *inner),
                (*lead_strides, down.stride * vertical, right, down.dilation * vertical, *inner_strides),
            )
            if not view.flags.c_contiguous:
                P = _scratch("P", view.shape, X.dtype)
                P[...] = view
                view = P
            return view.reshape(*lead, rows, blocks, self.window)
        used, height = down.reach(rows), self.height(rows)
        view = as_strided(
            X, (*lead, blocks, used, *inner), (*lead_strides, right, vertical, *inner_strides)
        )
        size, beyond = math.prod(lead) * blocks * height, self.apart * down.stride + down.size
        memory = _scratch("P", (size + beyond, self.row), X.dtype)
        memory[size:] = 0
        P = memory[:size].reshape(*lead, blocks, height, self.row)
        P.reshape(*lead, blocks, height, *inner)[:, :, :, :used] = view
        P[:, :, :, used:] = 0
        return P

    def windows(self, P: Array, rows: int) -> Array:
        """Return the windows in P, as views: (groups, batch, rows, blocks, window)."""
        if self.whole:
            return P
        groups, batch, blocks, row, number = P.strides
        shape = (*P.shape[:2], rows, P.shape[2], self.window)
        return as_strided(P, shape, (groups, batch, self.axes[0].stride * row, blocks, number))

    def steps(self, P: Array) -> Array:
        """Return the windows in P, q apart: (groups, q, steps, window), as views.

        In columns, the last ones begin beyond the last row that a window meets.
        """
        if self.whole:
            return P.reshape(self.groups, 1, -1, self.window)
        stride, q = self.axes[0].stride * P.strides[3], self.apart
        shape = (self.groups, q, self._steps(P.shape), self.window)
        return as_strided(P, shape, (P.strides[0], stride, q * stride, P.strides[4]))

    def outputs(self, P: Array, dy: Array) -> Array:
        """Return dY in the order of `steps`, with zeros for windows that are none."""
        batch, rows, across, filters = dy.shape
        blocks, size = across // self.block, self.block * filters // self.groups
        parts = dy.reshape(batch, rows, blocks, self.block, self.groups, -1).transpose(4, 0, 1, 2, 3, 5)
        if self.whole:
            return _contiguous(parts).reshape(self.groups, 1, -1, size)
        height, steps = P.shape[3] // self.axes[0].stride, self._steps(P.shape)
        used = batch * blocks * height
        D = _scratch("D", (self.groups, steps * self.apart, size), dy.dtype)
        columns = D[:, :used].reshape(self.groups, batch, blocks, height, self.block, -1)
        columns[:, :, :, :rows] = parts.transpose(0, 1, 3, 2, 4, 5)
        columns[:, :, :, rows:] = 0
        D[:, used:] = 0
        return D.reshape(self.groups, steps, self.apart, size).swapaxes(1, 2)

    def _steps(self, shape: tuple[int, ...]) -> int:
        _, batch, blocks, height, _ = shape
        return -(-batch * blocks * height // (self.axes[0].stride * self.apart))

    def in_blocks(self, y: Array) -> Array:
        """Return a view of outputs: (groups, batch, rows, blocks, outputs of a block · filters)."""
        filters = y.shape[3] // self.groups
        batch, vertical, horizontal, number = y.strides
        shape = (self.groups, *y.shape[:2], y.shape[2] // self.block, self.block * filters)
        strides = (filters * number, batch, vertical, self.block * horizontal, number)
        return as_strided(y, shape, strides)

    def matrix(self, weights: Array) -> Array:
        """Return W (groups, window, outputs of a block · filters), a band if there are several outputs."""
        *size, channels, filters = weights.shape
        parts = weights.reshape(*size, channels, self.groups, -1)
        shape = (self.groups, size[0], self.width, channels, self.block, filters // self.groups)
        W = np.zeros(shape, weights.dtype)
        for output in range(self.block):
            for place in range(size[1]):
                of_place = parts[:, place].transpose(2, 0, 1, 3)
                W[:, :, self.column(output, place), :, output] = of_place
        return W.reshape(self.groups, self.window, -1)

    def weights(self, W: Array) -> Array:
        """Return what lies on the band of W as (groups, kernel height, kernel width, channels, filters).

        The adjoint of `matrix`: a weight that stands there for several outputs is the sum of all.
        """
        (down, across), shape = self.axes, (self.width, self.channels, self.block, -1)
        parts = W.reshape(self.groups, down.size, *shape)
        places = [
            sum(parts[:, :, self.column(output, place), :, output] for output in range(self.block))
            for place in range(across.size)
        ]
        return np.stack(places, axis=2)


def convolve_weights(
    x: Array,
    dy: Array,
    size: Pair,
    stride: Pair = (1, 1),
    padding: Margins = ((0, 0), (0, 0)),
    dilation: Pair = (1, 1),
    groups: int = 1,
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
        out: where to write the gradient.
    """
    vertical, horizontal = map(_Axis.of, x.shape[1:3], size, stride, padding, dilation)
    channels, filters = x.shape[3] // groups, dy.shape[3]
    dW = np.empty((*size, channels, filters), x.dtype) if out is None else out
    if x.size and dy.size:
        windows = _Windows(channels, groups, (vertical, horizontal))
        compute = _sum_channels if channels == 1 < groups else _sum_products
        dW[...] = compute(windows, x, dy)
    else:
        dW[...] = 0
    return dW


def _convolve(windows: _Windows, x: Array, weights: Array, out: Array) -> None:
    """Write y = P W."""
    single = _laid_out(windows, 1)
    is_dense = out.strides[2] == out.shape[3] * out.itemsize
    blocked = _laid_out(windows, _best_block(windows, weights.shape[3]) if is_dense else 1)
    matrices = {layout: layout.matrix(weights)[:, None, None] for layout in (single, blocked)}
    large = _PRODUCT // (single.window * _LEAST_FILTERS) < _LEAST_ROWS
    parts = _parts(len(x), windows.axes[0].count, _bytes_of_row(blocked, x.dtype))

    def compute(index: int) -> None:
        images, rows = parts[index]
        X = _padded(x[images], windows.axes, rows)
        layout = blocked if blocked.block == 1 or _is_finite(X) else single
        P = layout.windows(layout.gather(X, len(rows)), len(rows))
        y = out[images, rows.start : rows.stop]
        Y = layout.in_blocks(y)
        if layout.whole and y.flags.c_contiguous and layout.groups == 1:
            lead = (1, 1, 1, -1)
            P, Y = P.reshape(*lead, P.shape[4]), Y.reshape(*lead, Y.shape[4])
        if large:
            np.matmul(P, matrices[layout], Y)
        else:
            _multiply(P, matrices[layout], Y)

    _run(compute, len(parts), large)


def _multiply(P: Array, W: Array, Y: Array) -> None:
    """Write Y = P W, in small products of all axes but the last two."""
    window, filters = W.shape[-2:]
    widest = min(max(_PRODUCT // (window * _GOOD_ROWS), _LEAST_FILTERS), _MOST_FILTERS)
    for columns, _, width in _pieces(filters, widest):
        for rows, _, height in _pieces(P.shape[-2], _PRODUCT // (window * width)):
            np.matmul(
                _split(P[..., rows, :], height, window),
                _split(W[..., columns], window, width),
                _split(Y[..., rows, columns], height, width),
            )


def _sum_products(windows: _Windows, x: Array, dy: Array) -> Array:
    """Return dW = Pᵀ dY."""
    blocked = _laid_out(windows, _best_block(windows, dy.shape[3]))
    safe = replace(windows, whole=True)
    large = blocked.window * blocked.block * dy.shape[3] // windows.groups > _LARGE
    parts = _parts(len(x), windows.axes[0].count, _bytes_of_row(blocked, x.dtype))
    size = (windows.axes[0].size, windows.axes[1].size, windows.channels)
    sums = np.empty((len(parts), windows.groups, *size, dy.shape[3] // windows.groups), x.dtype)

    def compute(index: int) -> None:
        images, rows = parts[index]
        X = _padded(x[images], windows.axes, rows)
        layout = blocked if blocked.whole or _is_finite(X) else safe
        P = layout.gather(X, len(rows))
        A, D = layout.steps(P), layout.outputs(P, dy[images, rows.start : rows.stop])
        S = np.matmul(A.mT, D).sum(axis=1) if large else _sum_of_products(A, D)
        sums[index] = layout.weights(S)

    _run(compute, len(parts), large)
    dW = np.add.reduce(sums, axis=0)
    return np.moveaxis(dW, 0, 3).reshape(*size, -1)


def _sum_of_products(A: Array, D: Array) -> Array:
    """Return Σ Aᵀ D over q and over sums of a fixed number of steps.

    Args:
        A: (groups, q, steps, window).
        D: (groups, q, steps, filters).

    Returns:
        (groups, window, filters).
    """
    groups, q, steps, window = A.shape
    filters = D.shape[3]
    height, width = _even(window, _TILE[0]), _even(filters, _TILE[1])
    lengths = _pieces(steps, _PRODUCT // (height * width))
    S = _scratch("S", (groups, q, sum(n for _, n, _ in lengths), window, filters), A.dtype)
    first = 0
    for part, number, length in lengths:
        for rows, _, high in _pieces(window, height):
            for columns, _, wide in _pieces(filters, width):
                np.matmul(
                    _split(A[:, :, part, rows], length, high).mT[..., None, :, :],
                    _split(D[:, :, part, columns], length, wide)[..., None, :, :, :],
                    _split(S[:, :, first : first + number, rows, columns], high, wide),
                )
        first += number
    return np.add.reduce(S.reshape(groups, -1, window, filters), axis=1)


def _convolve_channels(windows: _Windows, x: Array, weights: Array, out: Array) -> None:
    """Write y for groups of one channel: a sum of products entry by entry, as a product has one column."""
    down, across = windows.axes
    kernel = weights.reshape(down.size, across.size, 1, windows.groups, -1)
    repeated = np.repeat(kernel, across.count, axis=2)  # NumPy's inner loops are then whole rows
    parts = _parts(len(x), down.count, 3 * across.count * weights.shape[3] * x.itemsize)

    def compute(index: int) -> None:
        images, rows = parts[index]
        X = _padded(x[images], windows.axes, rows)
        y = out[images, rows.start : rows.stop]
        y = y.reshape(*y.shape[:3], windows.groups, -1)
        products = _scratch("P", y.shape, y.dtype)
        for place, (i, j) in enumerate(np.ndindex(down.size, across.size)):
            entries = _entries(windows, X, len(rows), i, j)
            if place:
                np.multiply(entries, repeated[i, j], products)
                np.add(y, products, y)
            else:
                np.multiply(entries, repeated[i, j], y)

    run_parts(compute, len(parts))


def _sum_channels(windows: _Windows, x: Array, dy: Array) -> Array:
    """Return dW for groups of one channel."""
    down, across = windows.axes
    parts = _parts(len(x), down.count, 3 * across.count * dy.shape[3] * x.itemsize)
    filters = (windows.groups, dy.shape[3] // windows.groups)
    sums = np.empty((len(parts), down.size, across.size, *filters), x.dtype)

    def compute(index: int) -> None:
        images, rows = parts[index]
        X = _padded(x[images], windows.axes, rows)
        D = dy[images, rows.start : rows.stop]
        D = D.reshape(*D.shape[:3], *filters)
        products = _scratch("P", D.shape, D.dtype)
        for i, j in np.ndindex(down.size, across.size):
            np.multiply(_entries(windows, X, len(rows), i, j), D, products)
            np.add.reduce(products.reshape(-1, *filters), 0, out=sums[index, i, j])

    run_parts(compute, len(parts))
    return np.add.reduce(sums, axis=0).reshape(down.size, across.size, 1, -1)


def _entries(windows: _Windows, X: Array, rows: int, i: int, j: int) -> Array:
    """Return the entries of all windows at place (i, j): (batch, rows, columns, channels, 1)."""
    down, across = windows.axes
    top, left = i * down.dilation, j * across.dilation
    bottom, right = top + (rows - 1) * down.stride + 1, left + (across.count - 1) * across.stride + 1
    return X[:, top : bottom : down.stride, left : right : across.stride, :, None]


def _padded(x: Array, axes: tuple[_Axis, _Axis], rows: range) -> Array:
    """Return the part of the padded images that these rows of windows meet."""
    down, across = axes
    starts = (down.start + rows.start * down.stride, across.start)
    lengths = (down.reach(len(rows)), across.reach(across.count))
    X_inside, x_inside = [slice(None)], [slice(None)]
    for start, length, n in zip(starts, lengths, x.shape[1:3], strict=True):
        first = min(max(-start, 0), length)
        last = max(min(n - start, length), first)
        X_inside.append(slice(first, last))
        x_inside.append(slice(start + first, start + last))
    inside = x[tuple(x_inside)]
    if inside.shape[1:3] == lengths and x.strides[3] == x.itemsize:
        return inside
    X = _scratch("X", (len(x), *lengths, x.shape[3]), x.dtype)
    (top, bottom), (left, right) = ((each.start, each.stop) for each in X_inside[1:])
    X[:, :top] = X[:, bottom:] = X[:, :, :left] = X[:, :, right:] = 0
    X[tuple(X_inside)] = inside
    return X


def _laid_out(windows: _Windows, block: int) -> _Windows:
    """Return the windows with a block of outputs to a row of P, and whole where that copies no more."""
    down, across = windows.axes
    whole = down.stride >= down.size or down.dilation > 1 or down.count == 1
    return replace(windows, block=block, whole=whole)


def _best_block(windows: _Windows, filters: int) -> int:
    """Return the number of neighboring outputs that is best computed from one row of P."""
    if windows.groups > 1:
        return 1

    def cost(block: int) -> float:
        layout = _laid_out(windows, block)
        products = layout.window * (block * filters + _EDGE)
        return (products + _RUN + _COPY * layout.row) / block

    count = windows.axes[1].count
    return min((b for b in range(1, min(count, _MOST_BLOCK) + 1) if count % b == 0), key=cost)


def _bytes_of_row(windows: _Windows, dtype: "np.dtype[Any]") -> int:
    """Return the size of P for one row of windows of one image."""
    down, across = windows.axes
    rows = 1 if windows.whole else down.stride
    return windows.groups * across.count // windows.block * rows * windows.row * dtype.itemsize


def _parts(batch: int, rows: int, size: int) -> list[tuple[slice, range]]:
    """Return parts of the images: some images, or some rows of windows of one image.

    Args:
        batch: the number of images.
        rows: their number of rows of windows.
        size: the bytes that one row takes.
    """
    target = min(max(batch * rows * size // _PARTS, _LEAST_PART), _PART)
    images, height = _even(batch, target // (rows * size)), _even(rows, target // size)
    return [
        (slice(n, n + images), range(h, min(h + height, rows)))
        for n in range(0, batch, images)
        for h in range(0, rows, height)
    ]


def _run(compute: Callable[[int], None], count: int, large: bool) -> None:
    """Compute the parts; large products use all threads themselves."""
    if large:
        for index in range(count):
            compute(index)
    else:
        run_parts(compute, count)


def _even(length: int, most: int) -> int:
    """Return the size of pieces of a length, of about equal size, each at most so long."""
    most = max(1, most)
    return -(-length // -(-length // most))


def _pieces(length: int, most: int) -> list[tuple[slice, int, int]]:
    """Return (where, number, size) of the pieces of equal size, and of a last, smaller one."""
    size = _even(length, most)
    number = length // size
    pieces = [(slice(0, number * size), number, size)]
    if number * size < length:
        pieces.append((slice(number * size, length), 1, length - number * size))
    return pieces


def _split(matrices: Array, height: int, width: int) -> Array:
    """Return matrices (..., M, N) as views of their blocks, (..., M / height, N / width, height, width)."""
    *lead, M, N = matrices.shape
    return matrices.reshape(*lead, M // height, height, N // width, width).swapaxes(-3, -2)


def _contiguous(array: Array) -> Array:
    """Return the array, or a copy, in memory in the order of its axes."""
    if array.flags.c_contiguous:
        return array
    copy = _scratch("D", array.shape, array.dtype)
    copy[...] = array
    return copy


def _is_finite(X: Array) -> bool:
    """Return whether the sum of all numbers is finite: then there is no NaN and no infinity among them."""
    with np.errstate(all="ignore"):
        return math.isfinite(np.add.reduce(X, axis=None))


_memory = threading.local()


def _scratch(name: str, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> Array:
    """Return an uninitialized array in memory that the thread reuses for each array of this name."""
    size = math.prod(shape) * dtype.itemsize
    memory = getattr(_memory, name, None)
    if memory is None or memory.size < size:
        memory = aligned_bytes(size)
        setattr(_memory, name, memory)
    return memory[:size].view(dtype).reshape(shape)
