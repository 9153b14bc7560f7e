"""Sliding windows over images, for convolution and pooling.

Inside these layers, images are *planes*: (channels, height, width, batch), in this memory layout. So
windows copy long contiguous blocks of memory, and a convolution is one large matrix product. Between
layers, images have the shape (batch, height, width, channels), a permutation of the axes, which copies
nothing. So only the first of these layers changes the memory layout of its input. Sequences
(batch, length, channels) are images of height 1.
"""

import math

from backends import Array, Backend
from multinn.layers.images.geometry import Geometry, Margins, Pair


def to_planes(backend: Backend, x: Array) -> Array:
    """Return images (batch, height, width, channels), or sequences, as planes."""
    xp = backend.xp
    images = x[:, None, :, :] if x.ndim == 3 else x
    planes = xp.permute_dims(images, (3, 1, 2, 0))
    return xp.reshape(xp.reshape(planes, (-1,)), planes.shape)  # copies into this memory layout


def from_planes(backend: Backend, planes: Array, axes: int = 4) -> Array:
    """Return planes as images (batch, height, width, channels), or as sequences if axes is 3."""
    images = backend.xp.permute_dims(planes, (3, 1, 2, 0))
    return images[:, 0, :, :] if axes == 3 else images


def windows(backend: Backend, planes: Array, geometry: Geometry, fill: float = 0.0) -> list[Array]:
    """Return the entries of all windows, one array for each place in a window, row by row.

    Args:
        backend: the backend of the arrays.
        planes: (..., height, width, batch), no smaller than a window.
        geometry: the windows.
        fill: the value of the padding.

    Returns:
        Arrays (..., rows of windows, columns of windows, batch).
    """
    shape = planes.shape[-3:-1]
    (height, width), (down, across), dilation = geometry.size, geometry.stride, geometry.dilation
    rows, columns = geometry.count(shape)
    ends = [(rows - 1) * down + 1, (columns - 1) * across + 1]
    planes = _with_margins(backend, planes, geometry.margins(shape), fill)
    return [
        planes[..., i : i + ends[0] : down, j : j + ends[1] : across, :]
        for i in range(0, height * dilation[0], dilation[0])
        for j in range(0, width * dilation[1], dilation[1])
    ]


def sum_windows(backend: Backend, parts: Array, geometry: Geometry, shape: Pair) -> Array:
    """Return planes that sum the entries of all windows: the adjoint of `windows`.

    `windows` copies entry p of the planes to place k of window w if p = w stride + k dilation. Its
    adjoint sums over all such k and w. With k dilation = q stride + r and 0 <= r < stride,
    p = (w + q) stride + r: for each remainder r, the parts with this remainder are shifted by q and
    added. The sums for all r are then interleaved, and the padding is removed.

    Args:
        backend: the backend of the arrays.
        parts: (height of a window, width of a window, ..., rows, columns, batch): the arrays that
            `windows` returns, stacked.
        geometry: the windows.
        shape: the height and width of the planes.
    """
    height, width, *channels, _, _, batch = parts.shape
    axis = len(channels)  # of the rows of the planes
    (down, across), dilation = geometry.stride, geometry.dilation
    padded = zip(geometry.padded(shape), geometry.stride, strict=True)
    steps = [-(-length // step) for length, step in padded]

    def sum_of_remainder(a: int, b: int) -> Array:
        rows, columns = _places(a, height, down, dilation[0]), _places(b, width, across, dilation[1])
        if not rows or not columns:  # no place has these remainders
            return backend.xp.zeros((*channels, *steps, batch), dtype=parts.dtype)
        own = parts[_slice(rows), _slice(columns), ...]
        shifts = [place * dilation[1] // across for place in columns]
        line = [own[:, q, ...] for q in range(len(columns))]
        sums = _sum_shifted(backend, line, shifts, axis + 2, steps[1])
        shifts = [place * dilation[0] // down for place in rows]
        return _sum_shifted(backend, [sums[q, ...] for q in range(len(rows))], shifts, axis, steps[0])

    lines = [
        _interleave(backend, [sum_of_remainder(a, b) for b in range(across)], axis + 1)
        for a in range(down)
    ]
    (top, _), (left, _) = geometry.margins(shape)
    return _interleave(backend, lines, axis)[..., top : top + shape[0], left : left + shape[1], :]


def _places(remainder: int, size: int, stride: int, dilation: int) -> range:
    """Return the places k of a window for which k dilation % stride is the remainder."""
    first = next((k for k in range(size) if k * dilation % stride == remainder), size)
    return range(first, size, stride // math.gcd(stride, dilation))


def _slice(places: range) -> slice:
    return slice(places.start, None, places.step)


def _with_margins(backend: Backend, planes: Array, margins: Margins, fill: float) -> Array:
    for axis, (before, after) in zip((planes.ndim - 3, planes.ndim - 2), margins, strict=True):
        length = before + planes.shape[axis] + after
        planes = _padded(backend, planes, axis, before, length, fill)
    return planes


def _sum_shifted(
    backend: Backend, parts: list[Array], positions: list[int], axis: int, length: int
) -> Array:
    """Return the sum of the parts, each shifted to its position on an axis of this length."""
    total = None
    for position, part in zip(positions, parts, strict=True):
        # Adding -0.0 changes no bit of any number, not even of 0.0 and -0.0.
        shifted = _padded(backend, part, axis, position, length, -0.0)
        total = shifted if total is None else total + shifted
    return total


def _padded(backend: Backend, part: Array, axis: int, position: int, length: int, fill: float) -> Array:
    """Return the part at this position of an axis of this length, with the rest filled."""
    xp = backend.xp
    missing = [position, length - position - part.shape[axis]]
    filled = [
        xp.full((*part.shape[:axis], n, *part.shape[axis + 1 :]), fill, dtype=part.dtype)
        for n in missing
    ]
    return xp.concat([filled[0], part, filled[1]], axis=axis) if any(missing) else part


def _interleave(backend: Backend, parts: list[Array], axis: int) -> Array:
    """Return the parts interleaved along an axis."""
    if len(parts) == 1:
        return parts[0]
    xp = backend.xp
    shape = parts[0].shape
    stacked = xp.stack(parts, axis=axis + 1)
    return xp.reshape(stacked, (*shape[:axis], shape[axis] * len(parts), *shape[axis + 1 :]))
