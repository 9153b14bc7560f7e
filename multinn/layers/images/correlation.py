"""Convolution as matrix products, for convolutions and their transposes."""

import math
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.descriptions.bounds import check_integers
from multinn.initializers import Initializer
from multinn.layers.base import Layer
from multinn.layers.images.geometry import Geometry, Padding, Padding1D, Pair
from multinn.layers.images.windows import sum_windows, windows


@dataclass(frozen=True)
class Correlation:
    """Y = R(Wᵀ P): P holds the windows, W the weights, and R sums rows. There are two forms.

    The first is that of `Conv2D`: P (m, windows) holds the entries of all windows of the batch, W
    (m, filters) the weights, and Y (filters, windows) the outputs; R is the identity. P copies each
    channel k² times.

    The second often copies less. The windows in P are one row high and lie on all rows of the images. P
    copies each channel k times, and m = (j, c). W has columns (i, f), so Z = Wᵀ P is the product of row
    i of a kernel with each row of the images, and R sums the rows of a window, d apart:
        Y_f,h = Σ_i Z_if,h+di      and with the adjoint of R,      dZ_if,h+di = dY_f,h, elsewhere 0,
        dW = P dZᵀ      dP = W dZ.
    P and Z together then have k channels + k filters rows instead of k² channels. The arithmetic per row
    is the same, but it covers all rows of the padded images, which are at least as many as the rows of
    Y. Groups gain most, as they have less arithmetic for the same copies.

    With several groups of channels, the groups are the first axis of each matrix, which holds the
    channels and filters of one group, and one product computes all groups.
    Source: M. Cho and D. Brand, MEC: memory-efficient convolution for deep neural network, ICML 2017
    (copies along one axis). A. Vasudevan, A. Anderson and D. Gregg, Parallel multi channel convolution
    using general matrix multiplication, ASAP 2017 (sums of shifted products).

    Attributes:
        columns: the windows in P.
        rows: windows on Z, one column wide; R sums the rows of each.
        groups: the number of groups.
    """

    columns: Geometry
    rows: Geometry
    groups: int

    @classmethod
    def of(cls, geometry: Geometry, groups: int, weights: Array, shape: Pair) -> "Correlation":
        """Return the cheaper of the two forms for these windows.

        Args:
            geometry: the windows.
            groups: the number of groups.
            weights: (..., channels of a group, filters).
            shape: the height and width of the images.
        """
        (height, width), (down, across) = geometry.size, geometry.stride
        channels, filters = weights.shape[-2], weights.shape[-1] // groups
        products = height * width * channels * filters
        whole = _cost(height * width * channels, products, geometry.count(shape)[0])
        divided = _cost(width * channels + height * filters, products, geometry.padded(shape)[0])
        if down > 1 or divided >= whole:  # with a stride, some rows of Z are unused
            return cls(geometry, Geometry((1, 1), (1, 1)), groups)
        margins, (apart, dilation) = geometry.margins(shape), geometry.dilation
        columns = Geometry((1, width), (1, across), (1, dilation), margins)
        return cls(columns, Geometry((height, 1), (1, 1), (apart, 1)), groups)

    def gather(self, backend: Backend, planes: Array) -> Array:
        """Return P for planes (channels, height, width, batch)."""
        xp = backend.xp
        grouped = xp.reshape(planes, (*self._lead, -1, *planes.shape[1:]))
        places = windows(backend, grouped, self.columns)
        columns = math.prod(places[0].shape[-3:])
        return xp.reshape(xp.stack(places, axis=len(self._lead)), (*self._lead, -1, columns))

    def scatter(self, backend: Backend, P: Array, shape: Pair, batch: int) -> Array:
        """Return planes (channels, *shape, batch), the sum of the windows: the adjoint of `gather`."""
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
        """Return dZ for planes dY (filters, height, width, batch): the adjoint of `add_rows`."""
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
        """Return dW = P dZᵀ in the shape of the weights."""
        xp = backend.xp
        height, filters = self.rows.size[0], shape[-1] // self.groups
        if self.groups > 1 and height > 1 and filters == 1:
            # The rows are long and few: libraries compute their inner products faster one by one.
            dW = xp.vecdot(P[:, :, None, :], dZ[:, None, :, :])
        else:
            dW = P @ dZ.mT
        parts = xp.reshape(dW, (self.groups, -1, height, filters))
        return xp.reshape(xp.permute_dims(parts, (2, 1, 0, 3)), shape)

    @property
    def _lead(self) -> tuple[int, ...]:
        return (self.groups,) if self.groups > 1 else ()


def _cost(copies: int, products: int, rows: int) -> int:
    """Return the cost of rows of windows in multiplications; a copy or an addition costs about 60."""
    return (60 * copies + products) * rows


def multiply(W: Array, Z: Array) -> Array:
    """Return W Z. With one filter per group there is no sum, and an elementwise product is faster."""
    return W * Z if W.ndim == 3 and W.shape[2] == 1 else W @ Z


class CorrelationLayer(Layer):
    """The base class of convolutions and transposed convolutions."""

    filters: int
    kernel_size: int | Pair
    stride: int | Pair
    padding: Padding | Padding1D
    dilation: int | Pair
    groups: int
    use_bias: bool
    weight_initializer: Initializer
    bias_initializer: Initializer

    mixes_steps: ClassVar[bool] = True

    def _check_filters(self) -> None:
        check_integers(self, "filters", "groups")
        if self.filters % self.groups:
            raise ValueError(
                f"{type(self).__name__}: expected filters divisible by {self.groups} groups, "
                f"got {self.filters}"
            )

    def _draw(self, generator: np.random.Generator, shape: Shape, channels: int) -> Tree:
        """Draw W of this shape and, with a bias, b (filters,)."""
        fans = (
            math.prod(shape[:-2]) * channels // self.groups,
            math.prod(shape[:-2]) * self.filters // self.groups,
        )
        params = {"W": self.weight_initializer(generator, shape, *fans)}
        if self.use_bias:
            params["b"] = self.bias_initializer(generator, (self.filters,), *fans)
        return params

    def _check_channels(self, channels: int) -> None:
        if channels % self.groups:
            raise ValueError(
                f"{type(self).__name__}: expected input channels divisible by {self.groups} groups, "
                f"got {channels}"
            )

    @property
    def _geometry(self) -> Geometry:
        normalized: Any = self  # the sizes are pairs
        return Geometry(
            normalized.kernel_size, normalized.stride, normalized.dilation, normalized.padding
        )

    def _correlation(self, params: Tree, shape: Pair) -> Correlation:
        return Correlation.of(self._geometry, self.groups, params["W"], shape)

    def _gradients(
        self, backend: Backend, params: Tree, correlation: Correlation, P: Array, dZ: Array, dY: Array
    ) -> Tree:
        """Return {"W": P dZᵀ, "b": Σ dY}."""
        gradients = {"W": correlation.gradient(backend, P, dZ, params["W"].shape)}
        if self.use_bias:
            gradients["b"] = backend.xp.sum(backend.xp.reshape(dY, (dY.shape[0], -1)), axis=1)
        return gradients
