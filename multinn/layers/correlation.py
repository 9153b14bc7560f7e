"""Convolution as products of matrices: what the layers of convolution and their transposes share.

With the names of `Conv2D`: P (m, windows) is what all windows of the batch have, W (m, filters) the
weights, Y (filters, windows) the outputs. With several groups of channels, each of these gets an axis of
the groups in front and has the channels and filters of one group; a product is then one of all groups.
"""

import math

from backends import Array, Backend
from multinn.layers.base import Shape
from multinn.layers.geometry import Geometry, Pair, integer
from multinn.layers.windows import sum_windows, windows


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


def gather(backend: Backend, planes: Array, geometry: Geometry, groups: int) -> Array:
    """Return P of planes (channels, height, width, batch)."""
    xp = backend.xp
    if groups == 1:
        places = windows(backend, planes, geometry)
        return xp.reshape(xp.stack(places), (-1, math.prod(places[0].shape[1:])))
    grouped = xp.reshape(planes, (groups, -1, *planes.shape[1:]))
    places = windows(backend, grouped, geometry)
    return xp.reshape(xp.stack(places, axis=1), (groups, -1, math.prod(places[0].shape[2:])))


def scatter(
    backend: Backend, P: Array, geometry: Geometry, groups: int, shape: Pair, batch: int
) -> Array:
    """Return planes (channels, *shape, batch) to which each window has added its column of P.

    It is the adjoint of `gather`.
    """
    xp = backend.xp
    count = geometry.count(shape)
    if groups == 1:
        parts = xp.reshape(P, (*geometry.size, -1, *count, batch))
        return sum_windows(backend, parts, geometry, shape)
    parts = xp.reshape(P, (groups, *geometry.size, -1, *count, batch))
    planes = sum_windows(backend, xp.permute_dims(parts, (1, 2, 0, 3, 4, 5, 6)), geometry, shape)
    return xp.reshape(planes, (-1, *shape, batch))


def spread(W: Array, Y: Array) -> Array:
    """Return W Y. With one filter in each group it is no sum, and libraries are faster without one."""
    return W * Y if W.ndim == 3 and W.shape[2] == 1 else W @ Y


def as_rows(backend: Backend, planes: Array, groups: int = 1) -> Array:
    """Return planes (filters, ...) in the form of Y."""
    shape = (planes.shape[0], -1) if groups == 1 else (groups, planes.shape[0] // groups, -1)
    return backend.xp.reshape(planes, shape)


def as_matrix(backend: Backend, weights: Array, groups: int) -> Array:
    """Return weights (..., filters) as the matrix W."""
    xp = backend.xp
    filters = weights.shape[-1]
    if groups == 1:
        return xp.reshape(weights, (-1, filters))
    return xp.permute_dims(xp.reshape(weights, (-1, groups, filters // groups)), (1, 0, 2))


def as_weights(backend: Backend, matrix: Array, groups: int, shape: Shape) -> Array:
    """Return the matrix W as weights of that shape: the inverse of `as_matrix`."""
    xp = backend.xp
    return xp.reshape(matrix if groups == 1 else xp.permute_dims(matrix, (1, 0, 2)), shape)
