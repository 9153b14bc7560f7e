"""Windows that slide over images: what convolution and pooling have in common.

Within these layers images are *planes*: (channels, height, width, batch), in this order in memory. Every
window then shifts long runs of memory, and the product of a convolution is one large matrix product.
Between layers images keep the shape (batch, height, width, channels): the same numbers, seen through a
permutation of the axes, which array libraries do without copying. So the first of these layers
converts its input, and those after it find it converted. Sequences (batch, length, channels) are images
of height 1.
"""

import math

from backends import Array, Backend
from multinn.layers.images.geometry import Geometry, Margins, Pair


def to_planes(backend: Backend, x: Array) -> Array:
    """Return images (batch, height, width, channels), or sequences, as planes."""
    xp = backend.xp
    images = x[:, None, :, :] if x.ndim == 3 else x
    planes = xp.permute_dims(images, (3, 1, 2, 0))
    return xp.reshape(xp.reshape(planes, (-1,)), planes.shape)  # in this order in memory, too


def from_planes(backend: Backend, planes: Array, axes: int = 4) -> Array:
    """Return planes as images (batch, height, width, channels), or as sequences, which have 3 axes."""
    images = backend.xp.permute_dims(planes, (3, 1, 2, 0))
    return images[:, 0, :, :] if axes == 3 else images


def windows(backend: Backend, planes: Array, geometry: Geometry, fill: float = 0.0) -> list[Array]:
    """Return, for each place in a window, row by row, what all windows have there.

    Args:
        backend: whose arrays the others are.
        planes: (..., height, width, batch), no smaller than a window.
        geometry: where the windows lie.
        fill: what the padding consists of.

    Returns:
        For each place an array (..., rows, columns, batch) with as many rows and columns as there are
        windows.
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
    """Return planes to which each window has added its entries: the adjoint of `windows`.

    `windows` copies entry p of the planes to place k of window w wherever p = w stride + k dilation, so
    its adjoint sums over these. With k dilation = q stride + r and 0 <= r < stride,
    p = (w + q) stride + r: for each remainder r, the parts with that remainder are shifted by q and
    added; then the results interleave. What was added to the padding is left out.

    Args:
        backend: whose arrays the others are.
        parts: (height of a window, width of a window, ..., rows, columns, batch): what `windows`
            returns, stacked.
        geometry: as for `windows`.
        shape: height and width of the planes.
    """
    height, width, *channels, _, _, batch = parts.shape
    axis = len(channels)  # of the rows of the planes
    (down, across), dilation = geometry.stride, geometry.dilation
    padded = zip(geometry.padded(shape), geometry.stride, strict=True)
    steps = [-(-length // step) for length, step in padded]

    def sum_of_remainder(a: int, b: int) -> Array:
        rows, columns = _places(a, height, down, dilation[0]), _places(b, width, across, dilation[1])
        if not rows or not columns:  # no window reaches there
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
    """Return the places k of a window for which k dilation leaves that remainder."""
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
    """Return the sum of parts that begin at these positions of an axis of that length."""
    total = None
    for position, part in zip(positions, parts, strict=True):
        # A negative zero can be added to any number, even to 0 and -0, without changing a bit.
        shifted = _padded(backend, part, axis, position, length, -0.0)
        total = shifted if total is None else total + shifted
    return total


def _padded(backend: Backend, part: Array, axis: int, position: int, length: int, fill: float) -> Array:
    """Return the part at that position of an axis of that length, which is filled up."""
    xp = backend.xp
    missing = [position, length - position - part.shape[axis]]
    filled = [
        xp.full((*part.shape[:axis], n, *part.shape[axis + 1 :]), fill, dtype=part.dtype)
        for n in missing
    ]
    return xp.concat([filled[0], part, filled[1]], axis=axis) if any(missing) else part


def _interleave(backend: Backend, parts: list[Array], axis: int) -> Array:
    """Return an array with the entries of the parts in turn along an axis."""
    if len(parts) == 1:
        return parts[0]
    xp = backend.xp
    shape = parts[0].shape
    stacked = xp.stack(parts, axis=axis + 1)
    return xp.reshape(stacked, (*shape[:axis], shape[axis] * len(parts), *shape[axis + 1 :]))
