"""Buffers, allocated once and reused as soon as nothing needs what is in them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backends.numpy_jit.recording import HostArray, Value

_CACHE_LINE = 64


@dataclass(eq=False)
class Buffer:
    """Some aligned memory.

    Attributes:
        memory: the bytes.
        needed_until: the time at which it may be given to another value.
        residents: the values that are in it, one after another.
    """

    memory: "np.ndarray[Any, np.dtype[np.uint8]]"
    needed_until: int
    residents: list[Value] = field(default_factory=list)


class Memory:
    """Which value is in which buffer, while time passes.

    Attributes:
        arrays: the array of each value that has one.
    """

    def __init__(self, last_read: dict[Value, int]) -> None:
        self.arrays: dict[Value, HostArray] = {}
        self._last_read = last_read
        self._buffers: dict[Value, Buffer] = {}
        self._in_use: list[Buffer] = []
        self._free: dict[int, list[Buffer]] = {}

    def allocate(self, value: Value, until: int) -> None:
        """Give a value a buffer of its own."""
        size = max(_CACHE_LINE, -(-value.example.nbytes // _CACHE_LINE) * _CACHE_LINE)
        free = self._free.get(size)
        buffer = free.pop() if free else Buffer(_aligned(size), until)
        buffer.residents, buffer.needed_until = [], until
        self._in_use.append(buffer)
        self._move_in(value, buffer)

    def take_over(self, value: Value, previous: Value, until: int) -> None:
        """Put a value into the buffer of a previous one."""
        buffer = self._buffers[previous]
        buffer.needed_until = max(buffer.needed_until, until)
        self._move_in(value, buffer)

    def can_take_over(self, value: Value, previous: Any, time: int) -> bool:
        """Tell whether, at that time, a value may overwrite a previous one, entry by entry."""
        buffer = self._buffers.get(previous) if isinstance(previous, Value) else None
        return (
            buffer is not None
            and all(self._last_read.get(resident, -1) <= time for resident in buffer.residents)
            and _layout(value.example) == _layout(previous.example)
        )

    def is_kept(self, value: Value, time: int) -> bool:
        """Tell whether the buffer of a value is needed after that time, for the next round of a loop."""
        return self._buffers[value].needed_until > time

    def same_place(self, value: Any, other: Value) -> bool:
        """Tell whether two values are in the same buffer."""
        return isinstance(value, Value) and self._buffers.get(value) is self._buffers[other]

    def release(self, time: int) -> None:
        """Free the buffers that nothing needs after that time."""
        for buffer in [buffer for buffer in self._in_use if buffer.needed_until <= time]:
            self._in_use.remove(buffer)
            self._free.setdefault(buffer.memory.nbytes, []).append(buffer)

    def _move_in(self, value: Value, buffer: Buffer) -> None:
        buffer.residents.append(value)
        self._buffers[value] = buffer
        self.arrays[value] = _array_like(value.example, buffer.memory)


def _aligned(size: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    memory = np.empty(size + _CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE
    return memory[start : start + size]


def _array_like(example: HostArray, memory: HostArray) -> HostArray:
    """Return an array of the example's shape, dtype and order of axes on that memory."""
    flat = memory[: example.nbytes].view(example.dtype)
    if _is_fortran_ordered(example):
        return flat.reshape(example.shape[::-1]).T
    return flat.reshape(example.shape)


def _layout(example: HostArray) -> tuple[Any, ...]:
    return example.shape, example.dtype, _is_fortran_ordered(example)


def _is_fortran_ordered(example: HostArray) -> bool:
    return bool(example.flags.f_contiguous and not example.flags.c_contiguous)
