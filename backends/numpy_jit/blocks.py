"""Loops over blocks of rows: several calls on large arrays use a block while it is in the cache.

Successive calls form a chain if row i of each result, along the first axis, depends only on rows i of
other arrays of the chain and on arrays that the chain does not write: elementwise calls, reductions
along other axes, and products of matrices for each row. Then the rows can be computed in any order, and
by several threads. The bits do not change, as NumPy computes a number alike wherever it is in an array.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends.base import HostArray
from backends.numpy_jit.calls import (
    FEW,
    has_many_rows,
    has_short_rows,
    is_elementwise,
    is_plain_where,
    write_call,
)
from backends.numpy_jit.recording import Call, Value
from backends.numpy_jit.source import Source
from backends.threads import run_parts

_BLOCK = 2**18  # bytes of the largest array: several of them fit into the cache of a core
_SHARE = 2**20  # bytes of a block for threads, which wait for each other at each call
LARGE = 2**18  # bytes; a chain of smaller arrays is in the cache anyhow
_MUCH_WORK = 2**27  # bytes of all results; for less, threads gain little beside those of BLAS
_WORK = 2**23  # the same where BLAS has one thread
_SMALL_PRODUCT = 2**18  # multiplications, up to which BLAS uses one thread
# These have other loops for other strides, or take the sign of a zero from either operand.
_UNLIKE = (np.power, np.float_power, np.arctan2, np.fmax, np.fmin)


class Chain:
    """Successive calls whose rows are independent, not yet written."""

    def __init__(
        self, source: Source, arrays: Mapping[Value, HostArray], *, blas_has_threads: bool
    ) -> None:
        self._source, self._arrays = source, arrays
        self._much_work = _MUCH_WORK if blas_has_threads else _WORK
        self._calls: list[Call] = []
        self._by_rows: dict[Value, None] = {}  # used row by row
        self._read_whole: dict[Value, None] = {}
        self._written: dict[Value, None] = {}

    def add(self, call: Call) -> bool:
        """Add a call, whose result has its array; return False if it does not belong to any chain."""
        if not self._can_be_added(call):
            self.write()
            if not self._can_be_added(call):
                return False
        by_rows, whole = self._operands(call)
        self._by_rows |= dict.fromkeys(by_rows)
        self._read_whole |= dict.fromkeys(whole)
        self._written[call.result] = None
        self._calls.append(call)
        return True

    def write(self) -> None:
        """Write the calls, and begin a new chain."""
        calls, by_rows = self._calls, list(self._by_rows)
        if not calls:
            return
        largest = max(self._arrays[value].nbytes for value in by_rows)
        work = sum(self._arrays[call.result].nbytes for call in calls)
        if largest < LARGE or (len(calls) == 1 and work < self._much_work):
            for call in calls:
                write_call(self._source, call, lambda value: value)
        else:
            self._write_blocks(calls, by_rows, largest, work >= self._much_work)
        for part in (self._by_rows, self._read_whole, self._written):
            part.clear()
        self._calls = []

    def _write_blocks(
        self, calls: list[Call], by_rows: list[Value], largest: int, by_threads: bool
    ) -> None:
        rows = len(self._arrays[by_rows[0]])
        step = max(1, (_SHARE if by_threads else _BLOCK) * rows // largest)
        body = _Body({v: array for v, array in self._arrays.items() if v not in self._by_rows}, step)
        for value in by_rows:
            body.parameter(value)
        for call in calls:
            write_call(body, call, lambda value: value)
        arrays = [self._arrays[value] for value in by_rows]
        blocks = [
            [array[start : start + step] for array in arrays]
            + [array[: min(step, rows - start)] for array in body.scratch]
            for start in range(0, rows, step)
        ]
        function = body.function()
        source = self._source
        if by_threads:
            part = source.constant(lambda index: function(*blocks[index]))
            source.line(f"{source.constant(run_parts)}({part}, {len(blocks)})")
        else:
            source.line(f"for block in {source.constant(blocks)}: {source.constant(function)}(*block)")

    def _can_be_added(self, call: Call) -> bool:
        if call.result.size <= FEW or not _has_independent_rows(call):
            return False
        if not all(value in self._arrays for value in call.inputs):
            return False
        by_rows, whole = self._operands(call)
        rows = len(self._arrays[call.result])
        return (
            rows > 1
            and all(_rows_are_apart(self._arrays[value]) for value in by_rows)
            and all(len(self._arrays[value]) == rows for value in self._written)
            and self._by_rows.keys().isdisjoint(whole)
            and self._read_whole.keys().isdisjoint(by_rows)
            and not any(self._clash(call.result, other) for other in (*self._by_rows, *by_rows))
            and not any(self._overlap(call.result, other) for other in (*self._read_whole, *whole))
            and not any(self._clash(written, value) for written in self._written for value in by_rows)
            and not any(self._overlap(written, value) for written in self._written for value in whole)
        )

    def _operands(self, call: Call) -> tuple[list[Value], list[Value]]:
        """Return the values that a call uses row by row, its result among them, and others."""
        by_rows, whole = [call.result], list[Value]()
        for value in call.inputs:
            (by_rows if _is_used_by_rows(value, call) else whole).append(value)
        return by_rows, whole

    def _overlap(self, written: Value, other: Value) -> bool:
        return bool(np.may_share_memory(self._arrays[written], self._arrays[other]))

    def _clash(self, written: Value, other: Value) -> bool:
        """Return whether a row of one array may be in the memory of another row of the other."""
        a, b = self._arrays[written], self._arrays[other]
        same_rows = a.ctypes.data == b.ctypes.data and a.strides[0] == b.strides[0]
        return not same_rows and self._overlap(written, other)


class _Body(Source):
    """The calls of one block; its parameters are the blocks of arrays that are used row by row.

    Attributes:
        scratch: arrays for the last parameters, of which a block takes as many rows as it has.
    """

    def __init__(self, arrays: Mapping[Value, HostArray], rows: int) -> None:
        super().__init__(arrays)
        self.scratch: list[HostArray] = []
        self._rows = rows
        self._scratch_names: dict[Any, str] = {}

    def repeated(self, constant: HostArray, like: Any) -> str:
        key = (constant.tobytes(), constant.dtype, like.shape[1:])
        if key not in self._scratch_names:
            name = self._scratch_names[key] = f"scratch{len(self.scratch)}"
            self.scratch.append(np.full((self._rows, *like.shape[1:]), constant, constant.dtype))
            self._parameters.append(name)
        return self._scratch_names[key]


def _has_independent_rows(call: Call) -> bool:
    function, result = call.function, call.result
    if not isinstance(result.example, np.ndarray):
        return False
    if any(value.dtype.kind not in "fiub" for value in (result, *call.inputs)):
        return False  # of other kinds, the bits may depend on the place
    if function is np.matmul:
        return _is_small_product(call)
    if function in (np.sum, np.max, np.min):
        return _reduces_rows(call)
    if function is np.astype:
        return isinstance(call.args[0].example, np.ndarray) and not call.options
    if not all(map(_is_value_or_number, call.args)):
        return False
    if isinstance(function, np.ufunc):
        return is_elementwise(call) and function not in _UNLIKE
    return function is np.where and is_plain_where(call)


def _is_value_or_number(argument: Any) -> bool:
    if isinstance(argument, np.ndarray):
        return argument.size == 1
    return isinstance(argument, Value | np.generic | int | float)


def _is_small_product(call: Call) -> bool:
    if call.options or not all(isinstance(arg, Value) and arg.ndim >= 2 for arg in call.args):
        return False
    a, b = (arg.shape for arg in call.args)
    return bool(call.result.ndim > 2 and a[-2] * a[-1] * b[-1] <= _SMALL_PRODUCT)


def _reduces_rows(call: Call) -> bool:
    """Return whether it is a reduction along other axes than the first, without shortcuts."""
    if len(call.args) != 1 or not call.options.keys() <= {"axis", "keepdims"}:
        return False
    array, axes = call.args[0], call.options.get("axis")
    if axes is None or array.size == call.result.size:
        return False
    if call.function is not np.sum and (has_short_rows(call) or has_many_rows(call)):
        return False  # written in blocks of its own
    return all(axis % array.ndim for axis in (axes if isinstance(axes, tuple) else (axes,)))


def _is_used_by_rows(value: Value, call: Call) -> bool:
    """Return whether row i of the result needs row i of an input only; else it may need all."""
    is_reduced = call.function in (np.sum, np.max, np.min)
    same_axes = is_reduced or value.ndim == call.result.ndim
    return bool(same_axes and value.shape[0] == call.result.shape[0])


def _rows_are_apart(array: HostArray) -> bool:
    """Return whether each row has memory of its own, and rows follow each other."""
    low, high = np.lib.array_utils.byte_bounds(array[:1])
    return array.strides[0] >= high - low and array.ctypes.data == low
