"""Cutting examples into pieces of few different sizes, so that few programs are compiled."""

from collections.abc import Iterator

import numpy as np

from backends import HostArray
from multinn.training import Examples


def pieces(count: int, size: int) -> Iterator[tuple[slice, int]]:
    """Yield the rows of each piece, and the size that it is padded to.

    All pieces have ``size`` rows but the last, which is padded to a power of two.

    >>> list(pieces(21, 8))
    [(slice(0, 8, None), 8), (slice(8, 16, None), 8), (slice(16, 21, None), 8)]
    >>> list(pieces(3, 8))
    [(slice(0, 3, None), 4)]
    """
    for start in range(0, count, size):
        rows = min(size, count - start)
        yield slice(start, start + rows), min(size, 1 << (rows - 1).bit_length())


def padded(array: HostArray, size: int) -> HostArray:
    """Return the array with its last row repeated, up to that many: nothing that a model never saw."""
    missing = size - array.shape[0]
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array


def weighted_pieces(examples: Examples, size: int, dtype: str) -> Iterator[Examples]:
    """Yield examples in pieces, padded with examples of weight zero; weights are of that dtype."""
    for rows, padded_size in pieces(examples.x.shape[0], size):
        weights = np.zeros(padded_size, dtype)
        weights[: rows.stop - rows.start] = 1.0 if examples.weights is None else examples.weights[rows]
        yield Examples(
            padded(examples.x[rows], padded_size), padded(examples.targets[rows], padded_size), weights
        )
