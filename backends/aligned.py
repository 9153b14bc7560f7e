"""Memory that begins with a line of the processor's cache."""

from typing import Any

import numpy as np

CACHE_LINE = 64


def aligned_bytes(size: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return that many bytes, which hold anything."""
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size]
