"""The layout of P, the matrix of windows."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache, reduce

import numpy as np
from numpy.lib.stride_tricks import as_strided

from backends.numpy_convolution.axis import Axis
from backends.numpy_convolution.parts import CACHED, Array, contiguous, scratch, strided

_EDGE = 4  # a product with n columns takes the time of n + 4 at full speed
_RUN, _NUMBER = 500, 12  # the cost of a run of copied numbers, and of each, in multiplications
_MOST_OUTPUTS = 16


@dataclass(frozen=True)
class Layout:
    """Where the numbers of windows are in P.

    Attributes:
        down: the windows along the height of the images.
        across: the windows along the width.
        channels: the channels of a group.
        groups: the number of groups, each with a P of its own.
        block: b, the number of neighboring outputs that a row of P serves; it divides ``across.count``.
        whole: whether each row of P is a whole window. Then the windows lie next to each other, and P is
            P[n, h, w, (i, j, c)].
    """

    down: Axis
    across: Axis
    channels: int
    groups: int
    block: int = 1
    whole: bool = False

    @property
    def window(self) -> int:
        """The numbers in the windows of a block, the rows of W."""
        return self.down.size * self._width * self.channels

    @property
    def blocks(self) -> int:
        """The blocks in a row of outputs."""
        return self.across.count // self.block

    @property
    def _width(self) -> int:
        """The columns of X in a row of P."""
        return (self.across.reach(self.block) - 1) // self._step + 1

    @property
    def _step(self) -> int:
        """The distance between these columns."""
        step = math.gcd(self.across.stride, self.across.dilation)
        return self.across.dilation if self.block == 1 else step

    @property
    def _row(self) -> int:
        """The numbers in a row of P."""
        return self.window if self.whole else self._width * self.channels

    @property
    def _apart(self) -> int:
        """q: windows that begin so many windows apart in a column of P do not overlap."""
        return 1 if self.whole else -(-self.down.size // self.down.stride)

    def costs(self, filters: int, itemsize: int) -> tuple[int, int]:
        """Return the bytes of P, and the multiplications, for one row of windows of one image."""
        rows = self.groups * self.blocks * (1 if self.whole else self.down.stride)
        products = self.blocks * self.window * self.block * filters
        return rows * self._row * itemsize, products

    def gather(self, X: Array, rows: int) -> Array:
        """Return P for a part of the padded images, which has so many rows of windows.

        Returns:
            (groups, batch, rows, blocks, window) if whole; else (groups, batch, blocks, height, row),
            with zeros in rows that no window meets, and in memory beyond.
        """
        batch, vertical, horizontal, channel = X.strides
        lead, lead_strides = (self.groups, len(X)), (channel * self.channels, batch)
        row, row_strides = (self._width, self.channels), (self._step * horizontal, channel)
        right = self.across.stride * self.block * horizontal
        if self.whole:
            places = (self.down.stride * vertical, right, self.down.dilation * vertical)
            shape = (*lead, rows, self.blocks, self.down.size, *row)
            windows = strided(X, shape, (*lead_strides, *places, *row_strides))
            return contiguous("P", windows).reshape(*lead, rows, self.blocks, self.window)
        used = self.down.reach(rows)
        height = -(-used // self.down.stride) * self.down.stride
        strides = (*lead_strides, right, vertical, *row_strides)
        columns = strided(X, (*lead, self.blocks, used, *row), strides)
        begun = len(X) * self.blocks * height
        beyond = self._steps(begun) * self._apart * self.down.stride - begun + self.down.size
        memory = scratch("P", (self.groups * begun + beyond, self._row), X.dtype)
        memory[self.groups * begun :] = 0
        P = memory[: self.groups * begun].reshape(*lead, self.blocks, height, self._row)
        P.reshape(*lead, self.blocks, height, *row)[:, :, :, :used] = columns
        if used < height:
            P[:, :, :, used:] = 0
        return P

    def windows(self, P: Array, rows: int) -> Array:
        """Return the windows in P as views, (groups, batch, rows, blocks, window)."""
        if self.whole:
            return P
        groups, batch, blocks, row, number = P.strides
        shape = (*P.shape[:2], rows, self.blocks, self.window)
        return strided(P, shape, (groups, batch, self.down.stride * row, blocks, number))

    def steps(self, P: Array) -> Array:
        """Return the windows in P, q apart, as views (groups, q, steps, window).

        In columns, the last ones begin after the last row that a window meets.
        """
        if self.whole:
            return P.reshape(self.groups, 1, -1, self.window)
        apart, stride = self._apart, self.down.stride * P.strides[3]
        shape = (self.groups, apart, self._steps(math.prod(P.shape[1:4])), self.window)
        return as_strided(P, shape, (P.strides[0], stride, apart * stride, P.strides[4]))

    def outputs(self, P: Array, dy: Array) -> Array:
        """Return dY for `steps`, (groups, q, steps, outputs of a block · filters).

        A window that is none of the images has zeros.
        """
        batch, rows, _, filters = dy.shape
        size = self.block * filters // self.groups
        parts = dy.reshape(batch, rows, self.blocks, self.block, self.groups, -1)
        if self.whole:
            ordered = contiguous("D", parts.transpose(4, 0, 1, 2, 3, 5))
            return ordered.reshape(self.groups, 1, -1, size)
        begun, height = math.prod(P.shape[1:4]), P.shape[3] // self.down.stride
        steps = self._steps(begun)
        D = scratch("D", (self.groups, steps * self._apart, size), dy.dtype)
        used = begun // self.down.stride
        columns = D[:, :used].reshape(self.groups, batch, self.blocks, height, self.block, -1)
        columns[:, :, :, :rows] = parts.transpose(4, 0, 2, 1, 3, 5)
        columns[:, :, :, rows:] = 0
        D[:, used:] = 0
        return D.reshape(self.groups, steps, self._apart, size).swapaxes(1, 2)

    def _steps(self, rows: int) -> int:
        """Return the number of windows, q apart, that begin in so many rows of P."""
        return -(-rows // (self.down.stride * self._apart))

    def in_blocks(self, y: Array) -> Array:
        """Return outputs as views (groups, batch, rows, blocks, outputs of a block · filters)."""
        filters = y.shape[3] // self.groups
        batch, vertical, horizontal, _ = y.strides
        number = y.itemsize
        shape = (self.groups, *y.shape[:2], self.blocks, self.block * filters)
        return strided(y, shape, (filters * number, batch, vertical, self.block * horizontal, number))

    def matrix(self, weights: Array) -> Array:
        """Return W (groups, window, outputs of a block · filters): a band of the weights."""
        *size, channels, filters = weights.shape
        parts = weights.reshape(*size, channels, self.groups, -1).transpose(3, 0, 1, 2, 4)
        shape = (self.groups, size[0], self._width, channels, self.block, filters // self.groups)
        W = np.zeros(shape, weights.dtype)
        for output in range(self.block):
            W[:, :, self._columns(output), :, output] = parts
        return W.reshape(self.groups, self.window, -1)

    def weights(self, W: Array) -> Array:
        """Return the sum of the weights on the band, (height, width, channels, groups, filters).

        This is the adjoint of `matrix`.
        """
        shape = (self.groups, self.down.size, self._width, self.channels, self.block, -1)
        parts = W.reshape(shape)
        copies = [parts[:, :, self._columns(output), :, output] for output in range(self.block)]
        return reduce(np.add, copies).transpose(1, 2, 3, 0, 4)

    def _columns(self, output: int) -> slice:
        """Return the columns of X in a row of P that an output of a block meets."""
        first = self.across.stride * output // self._step
        step = self.across.dilation // self._step
        return slice(first, first + (self.across.size - 1) * step + 1, step)


@lru_cache(CACHED)
def single(layout: Layout) -> Layout:
    """Return the layout for one output to a row, with whole windows where they are no more to copy."""
    down = layout.down
    whole = down.stride >= down.size or down.dilation > 1 or down.count == 1
    return replace(layout, block=1, whole=whole)


@lru_cache(CACHED)
def blocked(layout: Layout, filters: int) -> Layout:
    """Return the layout for the number of outputs to a row that is best for so many filters."""
    plain, count = single(layout), layout.across.count
    if layout.groups > 1:
        return plain
    blocks = [b for b in range(1, min(count, _MOST_OUTPUTS) + 1) if count % b == 0]

    def cost(candidate: Layout) -> float:
        products = candidate.window * (candidate.block * filters + _EDGE)
        return (products + _RUN + _NUMBER * candidate._row) / candidate.block

    return min((replace(plain, block=block) for block in blocks), key=cost)
