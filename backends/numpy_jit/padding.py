"""Adding a padded array without making it, so that a sum of shifted arrays costs only its parts.

Adding -0.0 changes no number, to the bit. A recorded call that adds an array padded with -0.0 therefore
adds only the part between the padding, in place. The column sums of convolutions are such calls.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.base import HostArray
from backends.numpy_jit.recording import Call, Value


@dataclass(frozen=True)
class AddWithin:
    """A function that adds a part to an array.

    Attributes:
        axis: the axis along which the part is shorter.
        start: the first index of the part along that axis.
        stop: the index after the last.
    """

    axis: int
    start: int
    stop: int

    @property
    def index(self) -> tuple[slice, ...]:
        """The slices of the part in the array."""
        return (*[slice(None)] * self.axis, slice(self.start, self.stop))

    def __call__(self, whole: HostArray, part: HostArray) -> HostArray:
        """Return a new array, the sum."""
        result = whole.copy("K")
        result[self.index] += part
        return result


def simplify(call: Call) -> None:
    """Let a call that adds an array padded with -0.0 add only the part between the padding."""
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
    """Return the part that is padded with -0.0, the axis of the padding, and the start of the part."""
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
