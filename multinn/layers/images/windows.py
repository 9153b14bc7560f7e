"""Sliding windows over images (batch, height, width, channels), for pooling."""

import math

from backends import Array, Backend
from backends import windows as images
from multinn.layers.images.geometry import Geometry, Pair


def as_images(x: Array) -> Array:
    """Return images unchanged, and sequences (batch, length, channels) as images of height 1."""
    return x[:, None, :, :] if x.ndim == 3 else x


def in_form_of(x: Array, images: Array) -> Array:
    """Return images (batch, height, width, channels), as sequences if x is sequences."""
    return images if x.ndim == 4 else images[:, 0, :, :]


def windows(backend: Backend, x: Array, geometry: Geometry, fill: float = 0.0) -> list[Array]:
    """Return the entries of all windows, one array for each place in a window, row by row.

    Args:
        backend: the backend of the arrays.
        x: (batch, height, width, channels), no smaller than a window.
        geometry: the windows.
        fill: the value of the padding.

    Returns:
        Arrays (batch, rows of windows, columns of windows, channels).
    """
    X = images.padded(backend.xp, x, geometry.margins(x.shape[1:3]), fill)
    return images.windows(X, geometry.size, geometry.stride, geometry.dilation)


def sum_windows(backend: Backend, parts: list[Array], geometry: Geometry, shape: Pair) -> Array:
    """Return images that sum the entries of all windows: the adjoint of `windows`.

    `windows` copies entry p of the images to place k of window w if p = w stride + k dilation. Its
    adjoint sums over all such k and w. With k dilation = q stride + r and 0 <= r < stride,
    p = (w + q) stride + r: for each remainder r, the parts with this remainder are shifted by q and
    added. The sums for all r are then interleaved, and the padding is removed.

    Args:
        backend: the backend of the arrays.
        parts: (batch, rows, columns, channels) each: the arrays that `windows` returns.
        geometry: the windows.
        shape: the height and width of the images.
    """
    height, width = geometry.size
    (down, across), dilation = geometry.stride, geometry.dilation
    padded = zip(geometry.padded(shape), geometry.stride, strict=True)
    steps = [-(-length // step) for length, step in padded]

    def sum_of_remainder(a: int, b: int) -> Array:
        rows, columns = _places(a, height, down, dilation[0]), _places(b, width, across, dilation[1])
        if not rows or not columns:  # no place has these remainders
            batch, *_, channels = parts[0].shape
            return backend.xp.zeros((batch, *steps, channels), dtype=parts[0].dtype)
        shifts = [place * dilation[1] // across for place in columns]
        lines = [
            _sum_shifted(backend, [parts[i * width + j] for j in columns], shifts, 2, steps[1])
            for i in rows
        ]
        shifts = [place * dilation[0] // down for place in rows]
        return _sum_shifted(backend, lines, shifts, 1, steps[0])

    lines = [
        _interleave(backend, [sum_of_remainder(a, b) for b in range(across)], 2) for a in range(down)
    ]
    (top, _), (left, _) = geometry.margins(shape)
    return _interleave(backend, lines, 1)[:, top : top + shape[0], left : left + shape[1], :]


def _places(remainder: int, size: int, stride: int, dilation: int) -> range:
    """Return the places k of a window for which k dilation % stride is the remainder."""
    first = next((k for k in range(size) if k * dilation % stride == remainder), size)
    return range(first, size, stride // math.gcd(stride, dilation))


def _sum_shifted(
    backend: Backend, parts: list[Array], positions: list[int], axis: int, length: int
) -> Array:
    """Return the sum of the parts, each shifted to its position on an axis of this length."""
    total = None
    for position, part in zip(positions, parts, strict=True):
        margin = (position, length - position - part.shape[axis])
        margins = (margin, (0, 0)) if axis == 1 else ((0, 0), margin)
        # Adding -0.0 changes no bit of any number, not even of 0.0 and -0.0.
        shifted = images.padded(backend.xp, part, margins, -0.0)
        total = shifted if total is None else total + shifted
    return total


def _interleave(backend: Backend, parts: list[Array], axis: int) -> Array:
    """Return the parts interleaved along an axis."""
    if len(parts) == 1:
        return parts[0]
    xp = backend.xp
    shape = parts[0].shape
    stacked = xp.stack(parts, axis=axis + 1)
    return xp.reshape(stacked, (*shape[:axis], shape[axis] * len(parts), *shape[axis + 1 :]))
