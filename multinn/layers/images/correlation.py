"""Convolution as products of matrices: what the layers of convolution and their transposes share."""

import math
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

from backends import Array, Backend, Shape
from multinn.layers.images.geometry import Geometry, Pair, integer
from multinn.layers.images.windows import sum_windows, windows


def check_filters(layer: str, filters: int, groups: int) -> None:
    """Raise ValueError unless both are at least 1 and the filters can be divided among the groups."""
    integer(layer, "filters", filters)
    integer(layer, "groups", groups)
    if filters % groups:
        raise ValueError(
            f"{layer}: expected filters that {groups} groups can share equally, got {filters}"
        )


def check_channels(layer: str, channels: int, groups: int) -> None:
    """Raise ValueError unless the channels of the inputs can be divided among the groups."""
    if channels % groups:
        raise ValueError(
            f"{layer}: expected inputs with a number of channels that {groups} groups can share "
            f"equally, got {channels}"
        )


@dataclass(frozen=True)
class Correlation:
    """Y = R(Wᵀ P): windows side by side as the matrix P, and sums R of rows of what W makes of it.

    With the names of `Conv2D`: P (m, windows) is what all windows of the batch have, W (m, filters) the
    weights, Y (filters, windows) the outputs, and R changes nothing. That is k² copies of each channel.

    Where it is less to copy, P is of windows that are one row high, in all rows of the images: k copies,
    m = (j, c). W gets columns (i, f), so that Z = Wᵀ P has what row i of a kernel makes of each row of
    the images, and R adds up the rows of a window, d apart:
        Y_f,h = Σ_i Z_if,h+di      so that, with its adjoint,      dZ_if,h+di = dY_f,h, elsewhere 0,
        dW = P dZᵀ      dP = W dZ.
    P and Z together then have k channels + k filters rows, in place of k² channels. The arithmetic is
    the same for each row of the images, with its padding, and these are no fewer than the rows of Y.
    Groups, which have less arithmetic for the same copies, gain most.

    With several groups of channels, each matrix gets an axis of the groups in front and has the channels
    and filters of one group; a product is then one of all groups.
    Source: M. Cho and D. Brand, MEC: memory-efficient convolution for deep neural network, ICML 2017
    (copies along one axis). A. Vasudevan, A. Anderson and D. Gregg, Parallel multi channel convolution
    using general matrix multiplication, ASAP 2017 (sums of shifted products).

    Attributes:
        columns: the windows that P is of.
        rows: the windows, one column wide, of rows of Z that R adds up.
        groups: how many there are.
    """

    columns: Geometry
    rows: Geometry
    groups: int

    @classmethod
    def of(cls, geometry: Geometry, groups: int, weights: Array, shape: Pair) -> "Correlation":
        """Return what costs less for windows on images (height, width) of that shape.

        Args:
            geometry: where the windows lie.
            groups: how many there are.
            weights: (..., channels of a group, filters).
            shape: height and width.
        """
        (height, width), (down, across) = geometry.size, geometry.stride
        channels, filters = weights.shape[-2], weights.shape[-1] // groups
        products = height * width * channels * filters
        whole = _cost(height * width * channels, products, geometry.count(shape)[0])
        divided = _cost(width * channels + height * filters, products, geometry.padded(shape)[0])
        if down > 1 or divided >= whole:  # with a stride, some rows of Z would be for nothing
            return cls(geometry, Geometry((1, 1), (1, 1)), groups)
        margins, (apart, dilation) = geometry.margins(shape), geometry.dilation
        columns = Geometry((1, width), (1, across), (1, dilation), margins)
        return cls(columns, Geometry((height, 1), (1, 1), (apart, 1)), groups)

    def gather(self, backend: Backend, planes: Array) -> Array:
        """Return P of planes (channels, height, width, batch)."""
        xp = backend.xp
        grouped = xp.reshape(planes, (*self._lead, -1, *planes.shape[1:]))
        places = windows(backend, grouped, self.columns)
        columns = math.prod(places[0].shape[-3:])
        return xp.reshape(xp.stack(places, axis=len(self._lead)), (*self._lead, -1, columns))

    def scatter(self, backend: Backend, P: Array, shape: Pair, batch: int) -> Array:
        """Return planes (channels, *shape, batch) to which each window has added its column of P.

        It is the adjoint of `gather`.
        """
        xp = backend.xp
        parts = (self.groups, *self.columns.size, -1, *self.columns.count(shape), batch)
        grouped = xp.permute_dims(xp.reshape(P, parts), (1, 2, 0, 3, 4, 5, 6))
        return xp.reshape(sum_windows(backend, grouped, self.columns, shape), (-1, *shape, batch))

    def add_rows(self, backend: Backend, Z: Array, shape: Pair, batch: int) -> Array:
        """Return Y = R(Z) as planes (filters, *shape, batch)."""
        xp = backend.xp
        (height, _), (reach, _) = self.rows.size, self.rows.extent
        parts = xp.reshape(Z, (self.groups, height, -1, shape[0] + reach - 1, shape[1], batch))
        places = windows(backend, parts, self.rows)
        sums = reduce(add, (place[:, i, ...] for i, place in enumerate(places)))
        return xp.reshape(sums, (-1, *shape, batch))

    def repeat_rows(self, backend: Backend, dY: Array) -> Array:
        """Return dZ of planes dY (filters, height, width, batch): the adjoint of `add_rows`."""
        xp = backend.xp
        if self.rows.size[0] > 1:
            beyond = self.rows.extent[0] - 1
            around = replace(self.rows, padding=((beyond, beyond), (0, 0)))
            grouped = xp.reshape(dY, (self.groups, -1, *dY.shape[1:]))
            stacked = xp.stack(windows(backend, grouped, around)[::-1], axis=1)
            dY = xp.reshape(stacked, (-1, *stacked.shape[3:]))
        return xp.reshape(dY, (*self._lead, dY.shape[0] // self.groups, -1))

    def matrix(self, backend: Backend, weights: Array) -> Array:
        """Return weights (..., channels of a group, filters) as W."""
        xp = backend.xp
        height, filters = self.rows.size[0], weights.shape[-1] // self.groups
        parts = xp.reshape(weights, (height, -1, self.groups, filters))
        return xp.reshape(xp.permute_dims(parts, (2, 1, 0, 3)), (*self._lead, -1, height * filters))

    def gradient(self, backend: Backend, P: Array, dZ: Array, shape: Shape) -> Array:
        """Return dW = P dZᵀ as weights of that shape."""
        xp = backend.xp
        height, filters = self.rows.size[0], shape[-1] // self.groups
        if self.groups > 1 and height > 1 and filters == 1:
            # Long and few rows: libraries are faster with the products of each two of them.
            dW = xp.vecdot(P[:, :, None, :], dZ[:, None, :, :])
        else:
            dW = P @ dZ.mT
        parts = xp.reshape(dW, (self.groups, -1, height, filters))
        return xp.reshape(xp.permute_dims(parts, (2, 1, 0, 3)), shape)

    @property
    def _lead(self) -> tuple[int, ...]:
        return (self.groups,) if self.groups > 1 else ()


def _cost(copies: int, products: int, rows: int) -> int:
    """Return what rows of windows cost, measured in products: about 60 for a number copied or summed."""
    return (60 * copies + products) * rows


def spread(W: Array, Z: Array) -> Array:
    """Return W Z. With one filter in each group it is no sum, and libraries are faster without one."""
    return W * Z if W.ndim == 3 and W.shape[2] == 1 else W @ Z


def sum_of_filters(backend: Backend, planes: Array) -> Array:
    """Return the sums of planes (filters, ...), one for each filter."""
    return backend.xp.sum(backend.xp.reshape(planes, (planes.shape[0], -1)), axis=1)
