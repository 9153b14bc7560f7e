"""Windows that slide over images: what convolution and pooling have in common.

Within these layers images are *planes*: (channels, height, width, batch), in this order in memory. Every
window then shifts long runs of memory, and the product of a convolution is one large matrix product.
Between layers images keep the shape (batch, height, width, channels): the same numbers, seen through a
permutation of the axes, which array libraries do without copying. So the first of these layers
converts its input, and those after it find it converted.
"""

from numbers import Integral
from typing import Any

from backends import Array, Backend
from multinn.layers.base import Shape

Pair = tuple[int, int]


def to_planes(backend: Backend, x: Array) -> Array:
    """Return images (batch, height, width, channels) as planes."""
    xp = backend.xp
    planes = xp.permute_dims(x, (3, 1, 2, 0))
    return xp.reshape(xp.reshape(planes, (-1,)), planes.shape)  # in this order in memory, too


def from_planes(backend: Backend, planes: Array) -> Array:
    """Return planes as images (batch, height, width, channels)."""
    return backend.xp.permute_dims(planes, (3, 1, 2, 0))


def windows(planes: Array, size: Pair, stride: Pair) -> list[Array]:
    """Return, for each place in a window, row by row, what all windows have there.

    Args:
        planes: (channels, height, width, batch).
        size: of a window, no larger than the planes.
        stride: from one window to the next.

    Returns:
        size[0] size[1] arrays, each (channels, rows, columns, batch) with as many rows and columns as
        there are windows.
    """
    height, width = size
    rows, columns = count(planes.shape[1:3], size, stride)
    ends = [(rows - 1) * stride[0] + 1, (columns - 1) * stride[1] + 1]
    return [
        planes[:, i : i + ends[0] : stride[0], j : j + ends[1] : stride[1], :]
        for i in range(height)
        for j in range(width)
    ]


def sum_windows(backend: Backend, parts: Array, stride: Pair, shape: Pair) -> Array:
    """Return planes to which each window has added its entries: the adjoint of `windows`.

    `windows` copies entry p of the planes to place k of window w wherever p = w stride + k, so its
    adjoint sums over these. With k = q stride + r and 0 <= r < stride, p = (w + q) stride + r: for each
    remainder r, the parts with that remainder are shifted by q and added; then the results interleave.

    Args:
        backend: whose arrays the others are.
        parts: (height of a window, width of a window, channels, rows, columns, batch): what `windows`
            returns, stacked.
        stride: as for `windows`.
        shape: height and width of the planes.
    """
    height, width, channels, _, _, batch = parts.shape
    steps = [-(-length // step) for length, step in zip(shape, stride, strict=True)]

    def sum_of_remainder(a: int, b: int) -> Array:
        if a >= height or b >= width:  # no window reaches there
            return backend.xp.zeros((channels, *steps, batch), dtype=parts.dtype)
        own = parts[a :: stride[0], b :: stride[1], ...]
        columns = [own[:, q, ...] for q in range(own.shape[1])]
        rows = _sum_shifted(backend, columns, axis=3, length=steps[1])
        return _sum_shifted(backend, [rows[q, ...] for q in range(own.shape[0])], 1, steps[0])

    rows = [
        _interleave(backend, [sum_of_remainder(a, b) for b in range(stride[1])], axis=2)
        for a in range(stride[0])
    ]
    return _interleave(backend, rows, axis=1)[:, : shape[0], : shape[1], :]


def count(shape: Shape, size: Pair, stride: Pair) -> Pair:
    """Return how many windows fit into images of that height and width, as (rows, columns)."""
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(shape, size, stride, strict=True))
    return rows, columns


def pair(layer: str, name: str, value: Any) -> Pair:
    """Return a hyperparameter as (for the height, for the width).

    Raises:
        ValueError: it is neither an integer of 1 or more nor a pair of such.
    """
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(isinstance(each, Integral) and int(each) >= 1 for each in both):
        raise ValueError(f"{layer}: expected {name} of 1 or more, or a pair of such, got {value!r}")
    return int(both[0]), int(both[1])


def check_images(layer: str, input_shape: Shape, size: Pair) -> None:
    """Raise ValueError unless the shape, without the batch, is of images no smaller than a window."""
    if len(input_shape) != 3:
        hint = "; add an axis for the channel with x[..., None]" if len(input_shape) == 2 else ""
        raise ValueError(
            f"{layer}: expected images of shape (batch, height, width, channels), "
            f"got {('batch', *input_shape)}{hint}"
        )
    if input_shape[0] < size[0] or input_shape[1] < size[1] or input_shape[2] < 1:
        raise ValueError(
            f"{layer}: expected images of at least {size[0]} x {size[1]}, the size of a window, with at "
            f"least one channel, got (height, width, channels) {input_shape}; images with the channels "
            "first go through the layer ChannelsLast before"
        )


def _sum_shifted(backend: Backend, parts: list[Array], axis: int, length: int) -> Array:
    """Return the sum of parts, the q-th of which begins at position q of an axis of that length."""
    total = None
    for position, part in enumerate(parts):
        shifted = _padded(backend, part, axis, position, length)
        total = shifted if total is None else total + shifted
    return total


def _padded(backend: Backend, part: Array, axis: int, position: int, length: int) -> Array:
    """Return the part at that position of an axis of that length, between negative zeros.

    A negative zero is what can be added to any number, even to 0 and -0, without changing a bit.
    """
    xp = backend.xp
    missing = [position, length - position - part.shape[axis]]
    zeros = [
        xp.full((*part.shape[:axis], n, *part.shape[axis + 1 :]), -0.0, dtype=part.dtype)
        for n in missing
    ]
    return xp.concat([zeros[0], part, zeros[1]], axis=axis) if any(missing) else part


def _interleave(backend: Backend, parts: list[Array], axis: int) -> Array:
    """Return an array with the entries of the parts in turn along an axis."""
    if len(parts) == 1:
        return parts[0]
    xp = backend.xp
    shape = parts[0].shape
    stacked = xp.stack(parts, axis=axis + 1)
    return xp.reshape(stacked, (*shape[:axis], shape[axis] * len(parts), *shape[axis + 1 :]))
