"""Memory aligned to the processor's cache lines."""

from typing import Any

import numpy as np

CACHE_LINE = 64


def aligned_bytes(size: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return ``size`` uninitialized bytes that begin at a cache line."""
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size]
