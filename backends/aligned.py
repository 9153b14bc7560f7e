"""Memory aligned to the processor's cache lines, and large copies into it."""

import mmap
from contextlib import suppress
from typing import Any
from weakref import finalize

import numpy as np

from backends.threads import run_parts

CACHE_LINE = 64
LARGE = 2**22  # bytes; from this size on, NumPy requests huge pages
_PART = 2**20  # numbers that a thread copies at a time
_MOST_SPARE = 4

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

_spare: list[mmap.mmap] = []  # memory that nothing refers to, the last used at the end


def aligned_bytes(size: int) -> Bytes:
    """Return ``size`` uninitialized bytes that begin at a cache line."""
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size]


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """Return an uninitialized array that begins at a cache line, in reused memory if it is large."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = aligned_bytes(size) if size < LARGE else _reused_bytes(size)
    array: np.ndarray[Any, Any] = memory.view(dtype).reshape(shape)
    return array


def aligned_copy(array: np.ndarray[Any, Any], dtype: Any = None) -> np.ndarray[Any, Any]:
    """Return a copy of an array, converted to a dtype, that begins at a cache line.

    Several threads copy a large array. The array has at least one axis.
    """
    copy = aligned_empty(array.shape, array.dtype if dtype is None else dtype)
    rows = max(1, _PART * len(array) // max(1, array.size))

    def copy_part(index: int) -> None:
        part = slice(index * rows, (index + 1) * rows)
        copy[part] = array[part]

    run_parts(copy_part, -(-len(array) // rows))
    return copy


def _reused_bytes(size: int) -> Bytes:
    """Return bytes in memory that earlier arrays used, if any, which nothing refers to any more.

    To touch new memory takes longer than to copy: the operating system clears each page. Memory that is
    spare can be taken back by the operating system, if it needs it, without being copied anywhere.
    """
    memory = _take_spare(size) or _map(size)
    if memory is None:
        return aligned_bytes(size)
    # Every view of these bytes refers to this array, and JAX to one of the views.
    array = np.frombuffer(memory, np.uint8, size)
    finalize(array, _keep, memory).atexit = False
    return array


def _take_spare(size: int) -> mmap.mmap | None:
    for memory in reversed(_spare):
        if size <= len(memory) <= 2 * size:
            with suppress(ValueError):  # another thread was quicker
                _spare.remove(memory)
                return memory
    return None


def _map(size: int) -> mmap.mmap | None:
    """Return new memory; None if the operating system could not take it back when it is spare."""
    if not hasattr(mmap, "MADV_FREE"):
        return None
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:
        _spare.clear()  # spare memory counts too where the address space is limited
        return None
    with suppress(AttributeError, OSError):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _keep(memory: mmap.mmap) -> None:
    """Keep memory that nothing refers to any more, and let the operating system take it if it must."""
    with suppress(OSError):
        memory.madvise(mmap.MADV_FREE)
        _spare.append(memory)
        del _spare[:-_MOST_SPARE]
