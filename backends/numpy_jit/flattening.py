"""The carry of a loop as few vectors: small arrays that are updated alike are packed into one.

An optimizer applies the same elementwise arithmetic to each parameter. For small arrays the calls of
NumPy take longer than their arithmetic, and one call for a vector replaces many. Results of other calls
that are packed into a vector are computed directly in their places.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from backends.base import HostArray
from backends.numpy_jit.calls import is_elementwise
from backends.numpy_jit.recording import Call, Loop, Value, examples_of
from backends.numpy_jit.scopes import Scope

_LARGEST = 2**14  # numbers; larger arrays are faster one by one, while they are in the cache
_DEEPEST = 50  # consecutive calls that are compared


def pack(*parts: Any) -> HostArray:
    """Return the entries of all parts as one vector."""
    return np.concatenate([np.reshape(part, (-1,)) for part in parts])


def unpack(vector: HostArray, start: int, shape: tuple[int, ...]) -> HostArray:
    """Return a part of a vector as a view of that shape."""
    return vector[start : start + math.prod(shape)].reshape(shape)


def offsets_in(packing: Call) -> list[tuple[Any, int]]:
    """Return each part of a call of `pack`, and its offset in the vector."""
    starts = np.cumsum([0, *(np.size(part) for part in examples_of(packing.args))]).tolist()
    return list(zip(packing.args, starts, strict=False))


def flatten_carry(loop: Loop, outer: Scope) -> None:
    """Pack arrays of a loop's carry that are updated alike."""
    groups: dict[Any, list[int]] = {}
    for index, (before, after) in enumerate(zip(loop.carry_in, loop.carry_out, strict=True)):
        if _can_be_packed(before) and isinstance(after, Value):
            described = _description(after, before, loop.scope)
            if described:
                groups.setdefault((before.dtype, described), []).append(index)
    flattening = _Flattening(loop, outer)
    for indices in groups.values():
        if len(indices) > 1:
            flattening.add(indices)
    flattening.finish()


class _Flattening:
    """The packing of groups of a loop's carry, each into one vector."""

    def __init__(self, loop: Loop, outer: Scope) -> None:
        self._loop, self._outer = loop, outer
        self._groups: list[list[int]] = []
        self._vectors: dict[tuple[Value, ...], Value] = {}

    def add(self, indices: list[int]) -> None:
        """Make the entries of a group parts of a vector."""
        entries = tuple(self._loop.carry_in[index] for index in indices)
        example = pack(*(entry.example for entry in entries))
        vector = Value(example, self._loop.scope)
        _unpack_into(vector, entries)
        self._vectors[entries] = vector
        self._groups.append(indices)

    def finish(self) -> None:
        """Update the vectors instead of the entries, and make the results parts of vectors."""
        loop = self._loop
        for indices in self._groups:
            entries = tuple(loop.carry_in[index] for index in indices)
            vector = self._vectors[entries]
            loop.init.append(_packed(tuple(loop.init[index] for index in indices), self._outer))
            loop.carry_in.append(vector)
            loop.carry_out.append(self._vector(tuple(loop.carry_out[index] for index in indices)))
            result = Value(vector.example, self._outer)
            result.maker = loop
            _unpack_into(result, tuple(loop.results[index] for index in indices))
            loop.results.append(result)
        packed = {index for indices in self._groups for index in indices}
        for part in (loop.init, loop.carry_in, loop.carry_out, loop.results):
            part[:] = [each for index, each in enumerate(part) if index not in packed]

    def _vector(self, values: tuple[Value, ...], depth: int = 0) -> Value:
        """Return the vector of some values that are computed alike."""
        if values not in self._vectors:
            self._vectors[values] = self._make(values, depth)
        return self._vectors[values]

    def _make(self, values: tuple[Value, ...], depth: int) -> Value:
        calls = [_elementwise_call(value, self._loop.scope) for value in values]
        columns = list(zip(*(call.args for call in calls if call), strict=False))
        functions = {call.function if call else None for call in calls}
        are_alike = len(functions) == 1 and all(_are_alike(column, values) for column in columns)
        if depth == _DEEPEST or None in functions or not are_alike:
            return _packed(values, self._loop.scope)
        args = [
            self._vector(column, depth + 1) if _has_shapes_of(column, values) else column[0]
            for column in columns
        ]
        example = pack(*(value.example for value in values))
        return _computed(functions.pop(), tuple(args), example, self._loop.scope)


def _description(value: Value, entry: Value, scope: Scope) -> Any:
    """Return a key that is equal for values computed alike, or None if packing gains nothing."""
    call = _unpack_call(value)
    if call is not None and call.args[0].scope is scope:
        return unpack, call.args[0]
    return _described(value, entry, scope, {}, 0) if _elementwise_call(value, scope) else None


def _described(argument: Any, entry: Value, scope: Scope, numbers: dict[Value, int], depth: int) -> Any:
    """Describe an argument and how it is computed; ``numbers`` counts the values met before."""
    if not isinstance(argument, Value):
        if isinstance(argument, int | float):
            return type(argument), str(argument)
        return id(argument) if np.ndim(argument) == 0 else object()  # equal to no other
    if argument.shape != entry.shape or argument.dtype != entry.dtype:
        return argument if argument.shape in ((), (1,)) else object()
    if argument in numbers:
        return numbers[argument]
    numbers[argument] = len(numbers)
    call = _elementwise_call(argument, scope)
    if call is None or depth == _DEEPEST:
        return "another value"
    parts = [_described(each, entry, scope, numbers, depth + 1) for each in call.args]
    return call.function, *parts


def _elementwise_call(value: Value, scope: Scope) -> Call | None:
    """Return the call that computes the value, if it is elementwise and in that scope."""
    call = value.maker
    return call if isinstance(call, Call) and value.scope is scope and is_elementwise(call) else None


def _are_alike(column: Sequence[Any], values: Sequence[Value]) -> bool:
    """Return whether arguments can become one: arrays that can be packed, or the same number."""
    return _has_shapes_of(column, values) or all(
        each is column[0] or (isinstance(each, int | float) and repr(each) == repr(column[0]))
        for each in column
    )


def _has_shapes_of(column: Sequence[Any], values: Sequence[Value]) -> bool:
    return all(
        isinstance(each, Value) and (each.shape, each.dtype) == (value.shape, value.dtype)
        for each, value in zip(column, values, strict=True)
    )


def _can_be_packed(value: Value) -> bool:
    example = value.example
    return (
        isinstance(example, np.ndarray)
        and example.ndim > 0
        and 0 < example.size <= _LARGEST
        and example.dtype.kind == "f"
        and example.flags.c_contiguous
    )


def _packed(values: tuple[Any, ...], scope: Scope) -> Value:
    """Return the vector that the values are all the parts of, or a new one."""
    calls = [call for call in map(_unpack_call, values) if call is not None]
    if len(calls) == len(values):
        vector: Value = calls[0].args[0]
        *starts, end = np.cumsum([0, *(value.size for value in values)]).tolist()
        are_its_parts = all(
            call.args[0] is vector and call.args[1] == start
            for call, start in zip(calls, starts, strict=True)
        )
        if are_its_parts and end == vector.size:
            return vector
    return _computed(pack, values, pack(*examples_of(values)), scope)


def _unpack_call(value: Any) -> Call | None:
    """Return the call of `unpack` that computes a value, if there is one."""
    call = value.maker if isinstance(value, Value) else None
    return call if isinstance(call, Call) and call.function is unpack else None


def _unpack_into(vector: Value, parts: tuple[Value, ...]) -> None:
    """Make values the parts of a vector."""
    start = 0
    for part in parts:
        part.maker = Call(unpack, (vector, start, part.shape), {}, part, viewed=vector)
        start += part.size


def _computed(function: Any, args: tuple[Any, ...], example: HostArray, scope: Scope) -> Value:
    value = Value(example, scope)
    value.maker = Call(function, args, {}, value)
    return value
