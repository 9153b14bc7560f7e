"""Arrays that take no memory: a recording needs the shapes of its results, not the numbers in them.

All intermediate results of a large network at once would be many times what a run of it ever needs.
"""

import mmap
from typing import Any

import numpy as np

_LARGE = 2**18  # bytes; below that, the bookkeeping is not worth it


def without_numbers(array: Any) -> Any:
    """Return zeros of the shape, the dtype and the strides of a large array; another as it is.

    The memory is that of the operating system's page of zeros until somebody writes to it.
    """
    if not isinstance(array, np.ndarray) or array.nbytes < _LARGE:
        return array
    low, high = np.lib.array_utils.byte_bounds(array)
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    memory = mmap.mmap(-1, high - low, **private)
    return np.ndarray(array.shape, array.dtype, memory, array.ctypes.data - low, array.strides)
