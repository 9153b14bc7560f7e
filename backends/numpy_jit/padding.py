"""Adding a padded array without making it: a sum of shifted arrays costs what its parts do.

A negative zero leaves whatever it is added to as it is, to the bit. So where a recorded call adds an
array that is padded with negative zeros, it is enough to add the part between them where it lies.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.base import HostArray
from backends.numpy_jit.recording import Call, Value


@dataclass(frozen=True)
class AddWithin:
    """A function of an array and of a part: the array with the part added from a place on.

    Attributes:
        axis: along which the part is shorter.
        start: where it begins along that axis.
        stop: where it ends.
    """

    axis: int
    start: int
    stop: int

    @property
    def index(self) -> tuple[slice, ...]:
        """Where the part lies in the array."""
        return (*[slice(None)] * self.axis, slice(self.start, self.stop))

    def __call__(self, whole: HostArray, part: HostArray) -> HostArray:
        """Return a new array."""
        result = whole.copy("K")
        result[self.index] += part
        return result


def simplify(call: Call) -> None:
    """Let a call that adds an array padded with -0.0 add the part between them instead."""
    if call.function is not np.add or len(call.args) != 2 or call.options:
        return
    for whole, padded in (call.args, call.args[::-1]):
        place = _padding(padded)
        if place is not None and isinstance(whole, Value) and _layout(whole) == _layout(padded):
            part, axis, start = place
            stop = start + part.shape[axis]
            call.function, call.args = AddWithin(axis, start, stop), (whole, part)
            return


def _padding(padded: Any) -> tuple[Value, int, int] | None:
    """Return what is padded with -0.0 along an axis, that axis, and where it begins."""
    call = padded.maker if isinstance(padded, Value) else None
    if not isinstance(call, Call) or call.function is not np.concatenate:
        return None
    if len(call.args) != 1 or call.options.keys() != {"axis"} or call.options["axis"] is None:
        return None
    pieces = call.args[0]
    inner = [place for place, piece in enumerate(pieces) if not _is_neutral(piece)]
    part = pieces[inner[0]] if len(inner) == 1 else None
    if not isinstance(part, Value) or part.dtype != padded.dtype or part.shape == padded.shape:
        return None
    axis = call.options["axis"] % padded.ndim
    return part, axis, sum(piece.shape[axis] for piece in pieces[: inner[0]])


def _is_neutral(piece: Any) -> bool:
    if not isinstance(piece, np.ndarray) or piece.dtype.kind != "f":
        return False
    return bool(np.all(np.signbit(piece) & (piece == 0.0)))


def _layout(value: Value) -> tuple[Any, ...]:
    return value.shape, value.dtype, value.example.strides
