"""Buffers, allocated once and reused as soon as their content is no longer needed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.aligned import CACHE_LINE, aligned_bytes
from backends.base import HostArray
from backends.numpy_jit.recording import Value


@dataclass(eq=False)
class Buffer:
    """Aligned memory for one value at a time.

    Attributes:
        memory: the bytes.
        needed_until: the time after which another value may use the buffer.
        last_read: the time of the last read of a value in it.
    """

    memory: "np.ndarray[Any, np.dtype[np.uint8]]"
    needed_until: int = -1
    last_read: int = -1


class Memory:
    """The assignment of values to buffers over time.

    Attributes:
        arrays: the arrays that are known before the function runs: in the value's own buffer or, for a
            view, in the buffer of its base.
        nbytes: the size of all buffers.
    """

    def __init__(self, last_read: dict[Value, int], base: dict[Value, Value]) -> None:
        self.arrays: dict[Value, HostArray] = {}
        self.nbytes = 0
        self._last_read = last_read
        self._base = base
        self._buffers: dict[Value, Buffer] = {}
        self._free: dict[int, list[Buffer]] = {}
        self._needed_until: dict[int, list[Buffer]] = {}

    def allocate(self, value: Value, until: int) -> None:
        """Assign a buffer to a value."""
        low, high = np.lib.array_utils.byte_bounds(np.asarray(value.example))
        size = max(CACHE_LINE, -(-(high - low) // CACHE_LINE) * CACHE_LINE)
        free = self._free.get(size)
        buffer = free.pop() if free else self._new_buffer(size)
        buffer.needed_until = buffer.last_read = -1
        self._move_in(value, buffer, until)

    def take_over(self, value: Value, previous: Value, until: int) -> None:
        """Assign to a value the buffer that a previous value is in or, as a view, shows."""
        self._move_in(value, self._buffers[self._root(previous)], until)
        # The same array, because NumPy recognizes identical arrays faster than identical memory.
        self.arrays[value] = self.arrays[previous]

    def can_take_over(self, value: Value, previous: Any, time: int) -> bool:
        """Return whether, at that time, a value may overwrite a previous one, entry by entry.

        Both need the same layout, without repeated entries.
        """
        buffer = self.shown_buffer(previous)
        return (
            buffer is not None
            and previous in self.arrays
            and self.arrays[previous].flags.writeable
            and buffer.last_read <= time
            and _layout(value.example) == _layout(previous.example)
        )

    def is_kept(self, value: Value, time: int) -> bool:
        """Return whether the value's buffer is needed after that time, for the next round of a loop."""
        return self._buffers[self._root(value)].needed_until > time

    def buffer(self, value: Any) -> Buffer | None:
        """Return the buffer of a value that is in one itself, and is no view."""
        return self._buffers.get(value) if isinstance(value, Value) else None

    def shown_buffer(self, value: Any) -> Buffer | None:
        """Return the buffer that a value is in or, as a view, shows; None if there is none."""
        return self.buffer(self._root(value)) if isinstance(value, Value) else None

    def _new_buffer(self, size: int) -> Buffer:
        self.nbytes += size
        return Buffer(aligned_bytes(size))

    def _root(self, value: Value) -> Value:
        return self._base.get(value, value)

    def release(self, time: int) -> None:
        """Free the buffers that are not needed after that time; called once for each time."""
        for buffer in self._needed_until.pop(time, []):
            if buffer.needed_until == time:  # not extended since
                self._free.setdefault(buffer.memory.nbytes, []).append(buffer)

    def _move_in(self, value: Value, buffer: Buffer, until: int) -> None:
        if until > buffer.needed_until:
            buffer.needed_until = until
            self._needed_until.setdefault(until, []).append(buffer)
        buffer.last_read = max(buffer.last_read, self._last_read.get(value, -1))
        self._buffers[value] = buffer
        self.arrays[value] = _array_like(np.asarray(value.example), buffer.memory)


def _array_like(example: HostArray, memory: HostArray) -> HostArray:
    """Return an array with the example's shape, dtype and strides in that memory."""
    offset = example.ctypes.data - np.lib.array_utils.byte_bounds(example)[0] if example.size else 0
    return np.ndarray(example.shape, example.dtype, memory, offset, example.strides)


def _layout(example: Any) -> tuple[Any, ...]:
    return example.shape, example.dtype, example.strides
