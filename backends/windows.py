"""Windows on images (batch, height, width, channels): their number, their entries, and the padding."""

from typing import Any

Array = Any
Pair = tuple[int, int]
Margins = tuple[Pair, Pair]


def count(shape: Any, size: Any, stride: Pair, dilation: Pair) -> Pair:
    """Return the number of windows on padded images (height, width), as (rows, columns)."""
    axes = zip(shape, size, stride, dilation, strict=True)
    rows, columns = (max(0, (n - d * (k - 1) - 1) // s + 1) for n, k, s, d in axes)
    return rows, columns


def padded(xp: Any, x: Array, padding: Margins, fill: float = 0.0) -> Array:
    """Return images with margins of the fill; a negative number removes rows or columns."""
    for axis, (before, after) in zip((1, 2), padding, strict=True):
        if before > 0 or after > 0:
            sides = [
                xp.full((*x.shape[:axis], max(n, 0), *x.shape[axis + 1 :]), fill, dtype=x.dtype)
                for n in (before, after)
            ]
            x = xp.concat([sides[0], x, sides[1]], axis=axis)
        kept = slice(max(-before, 0), max(x.shape[axis] - max(-after, 0), 0))
        x = x[:, kept, ...] if axis == 1 else x[:, :, kept, ...]
    return x


def windows(X: Array, size: Pair, stride: Pair, dilation: Pair) -> list[Array]:
    """Return the entries of all windows, one view for each place in a window, row by row.

    Args:
        X: padded images (batch, height, width, channels), no smaller than a window.
        size: the places of a window, (down, across).
        stride: the distances between windows.
        dilation: the distances between the places of a window.

    Returns:
        Arrays (batch, rows of windows, columns of windows, channels).
    """
    rows, columns = count(X.shape[1:3], size, stride, dilation)
    down, across = stride
    ends = [max(0, (rows - 1) * down + 1), max(0, (columns - 1) * across + 1)]
    return [
        X[:, i : i + ends[0] : down, j : j + ends[1] : across, :]
        for i in range(0, size[0] * dilation[0], dilation[0])
        for j in range(0, size[1] * dilation[1], dilation[1])
    ]
