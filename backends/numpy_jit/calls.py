"""How one recorded call is written down so that it fills a given array.

Each form gives the same bits as the call itself, with less work around the arithmetic.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.base import HostArray
from backends.numpy_jit.recording import Call, Value
from backends.numpy_jit.source import Source

_REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: np.add.reduce,
    np.max: np.maximum.reduce,
    np.min: np.minimum.reduce,
}

_WITHOUT_FAST_NUMBERS = (np.maximum, np.minimum)
_FEW = 1024  # numbers that NumPy computes in less time than it needs to prepare a loop over several axes
_MANY = 2**19  # numbers that a cache holds, so that reading as many more costs little
_MANY_ROWS = 32
_VECTOR = 64  # bytes


def write_call(source: Source, call: Call, ids_of: Callable[[Value], Any]) -> None:
    """Write a call whose result goes to the array that is known for it.

    Args:
        source: to write to.
        call: what to write.
        ids_of: returns the array of which a value is an entry in some round of the loops around.
    """
    out, function, args = source.expression(call.result), call.function, call.args
    if isinstance(function, np.ufunc):
        _write_ufunc(source, call, out)
    elif function in _REDUCTIONS and _is_plain_reduction(call):
        _write_reduction(source, call, out)
    elif function is np.take and _write_take(source, call, out, ids_of):
        return
    elif function is np.where and _is_plain_where(call):
        condition, yes, no = (source.expression(_constant_array(arg, call.result.dtype)) for arg in args)
        source.line(f"{out}[...] = {no}")
        source.line(f"{source.constant(np.copyto)}({out}, {yes}, 'same_kind', {condition})")
    elif function is np.astype and isinstance(args[0].example, np.ndarray):  # a scalar may be refused
        source.line(f"{out}[...] = {source.expression(args[0])}")
    elif function in (np.concatenate, np.stack) and call.options.keys() <= {"axis"}:
        source.line(source.call(function, args, call.options, out))
    elif function is np.reshape and _is_plain_reshape(call):
        source.line(f"{source.reshaped(call.result, args[0].shape)}[...] = {source.expression(args[0])}")
    else:
        result = source.call(function, args, call.options)
        source.line(f"{source.constant(_store)}({out}, {result})")


def is_elementwise(call: Call) -> bool:
    """Tell whether each entry of the result may be written where an input of its layout has its own."""
    function = call.function
    return isinstance(function, np.ufunc) and function.signature is None and not call.options


def _write_ufunc(source: Source, call: Call, out: str) -> None:
    args = call.args if call.options else _constant_arrays(call)
    if not call.options and _is_plain_matrix_product(call):
        a, b = (source.expression(arg) for arg in args)
        source.line(f"{a}.dot({b}, {out})")
        if args[0].shape[1] == 1:  # where `matmul` begins at 0, and so makes 0 of -0
            source.line(f"{source.constant(np.add)}({out}, {_zero(source, call)}, {out})")
        return
    by_name = call.function in _WITHOUT_FAST_NUMBERS  # which want no third argument by position either
    parts = [_operand(source, arg, call) for arg in args] + [f"out={out}" if by_name else out]
    parts += [f"{name}={source.expression(value)}" for name, value in call.options.items()]
    source.line(f"{source.constant(call.function)}({', '.join(parts)})")


def _write_reduction(source: Source, call: Call, out: str) -> None:
    array, result = call.args[0], call.result
    if array.size == result.size and array.dtype == result.dtype:  # reductions of one number each
        one = source.reshaped(array, result.shape)
        is_sum = call.function is np.sum  # which begins at 0, and so makes 0 of -0
        add = f"{source.constant(np.add)}({one}, {_zero(source, call)}, {out})"
        source.line(add if is_sum else f"{out}[...] = {one}")
        return
    reduce, array_text = source.constant(_REDUCTIONS[call.function]), source.expression(array)
    if call.function is not np.sum and _has_short_rows(call):
        columns = source.constant(np.empty(array.shape[::-1], array.dtype))
        source.line(f"{columns}[...] = {array_text}.T")
        source.line(f"{reduce}({columns}, 0, None, {source.reshaped(result, array.shape[:1])})")
        return
    parts = [array_text, source.constant(call.options.get("axis")), "None", out]
    parts += ["True"] if call.options.get("keepdims") else []
    source.line(f"{reduce}({', '.join(parts)})")


def _zero(source: Source, call: Call) -> str:
    return source.constant(np.zeros((), call.result.dtype))


def _operand(source: Source, argument: Any, call: Call) -> str:
    """Return the text of an argument of a ufunc, in a form on which NumPy is faster.

    One number goes without its axes, but for a maximum or minimum, which has no fast loop for that. What
    is repeated along an axis is written out before, where that is less work than what NumPy does to find
    its way.
    """
    if not is_elementwise(call) or not isinstance(argument, Value | np.ndarray):
        return source.expression(argument)
    result = call.result
    if isinstance(argument, np.ndarray) and argument.size == 1:
        if call.function in _WITHOUT_FAST_NUMBERS and _FEW < result.size <= _MANY:
            return source.repeated(argument, result.example)
        return source.expression(argument)
    if isinstance(argument, Value) and argument.size == 1 < result.size:
        return source.reshaped(argument, ())
    is_simple = argument.shape == result.shape or not result.example.flags.c_contiguous
    if is_simple or result.size > _FEW or _runs_backwards(call):
        return source.expression(argument)
    if isinstance(argument, np.ndarray):
        return source.repeated(argument, result.example)
    written_out = source.constant(np.empty(result.shape, argument.dtype))
    source.line(f"{written_out}[...] = {source.expression(argument)}")
    return written_out


def _runs_backwards(call: Call) -> bool:
    """Tell whether an axis of an input runs backwards in memory.

    Where it does so in all inputs that are not repeated along it, NumPy turns the axis around, and finds
    another loop for it: those of `power` and `arctan2` differ in the last bit.
    """
    return any(min(value.example.strides, default=0) < 0 for value in call.inputs)


def _write_take(source: Source, call: Call, out: str, ids_of: Callable[[Value], Any]) -> bool:
    """Write `take` without a check of the ids where they are known to be checked once and for all."""
    if len(call.args) != 2 or call.options.keys() != {"axis"} or call.options["axis"] is None:
        return False
    table, ids = call.args
    if not (isinstance(table, Value) and isinstance(ids, Value) and table.ndim):
        return False
    all_ids, length = ids_of(ids), table.shape[call.options["axis"]]
    if length == 0 or not isinstance(all_ids, Value) or not source.is_parameter(all_ids):
        return False
    source.check(f"{source.constant(_check_ids)}({source.expression(all_ids)}, {length})")
    axis = source.constant(call.options["axis"])
    # Any mode but "raise" writes into out directly; this one counts negative ids from the end, too.
    source.line(f"{source.expression(table)}.take({source.expression(ids)}, {axis}, {out}, 'wrap')")
    return True


def _is_plain_reduction(call: Call) -> bool:
    """Tell whether it is a reduction that NumPy does in the same order when it is given an ``out``.

    It turns axes around that run backwards in memory, but not those of an ``out``.
    """
    return (
        len(call.args) == 1
        and isinstance(call.args[0], Value)
        and call.options.keys() <= {"axis", "keepdims"}
        and not _runs_backwards(call)
    )


def _has_short_rows(call: Call) -> bool:
    """Tell whether it reduces each of many rows that are no longer than a vector of the processor.

    NumPy goes through the entries of such a row one by one, and is several times as fast with a vector
    of the first entries of all rows, one of the second entries, and so on: for each row, in that order.
    """
    array = call.args[0].example
    rows, *lengths = array.shape
    return (
        array.ndim == 2
        and array.flags.c_contiguous
        and call.result.example.flags.c_contiguous
        and call.options.get("axis") in (1, -1)
        and rows >= _MANY_ROWS
        and lengths[0] * array.itemsize <= _VECTOR
        and array.size <= _MANY
    )


def _is_plain_reshape(call: Call) -> bool:
    """Tell whether it is a call ``reshape(array, shape)`` in the usual order of the entries."""
    result = call.result.example
    return len(call.args) == 2 and not call.options and result.flags.c_contiguous


def _is_plain_where(call: Call) -> bool:
    """Tell whether it is a call ``where(condition, yes, no)`` of booleans and two arrays or floats."""
    condition = call.args[0]
    return (
        len(call.args) == 3
        and isinstance(condition, Value | np.ndarray)
        and condition.dtype == np.bool
        and all(isinstance(arg, Value | np.ndarray | float) for arg in call.args[1:])
    )


def _is_plain_matrix_product(call: Call) -> bool:
    """Tell whether it is a product for which `matmul` and `dot` make the same call of BLAS.

    `dot` takes a quarter of the time to get there. The two differ where there is one row or one column,
    no term, where the axes are not contiguous, and could where a matrix meets itself.
    """
    if call.function is not np.matmul or not all(isinstance(arg, Value) for arg in call.args):
        return False
    first, second = (arg.example for arg in call.args)
    kinds = {array.dtype.char for array in (first, second, call.result)}
    return (
        kinds in ({"f"}, {"d"})
        and first.ndim == second.ndim == 2
        and first.shape[0] > 1
        and second.size > 0
        and (first.shape[1] > 1 or second.shape[1] > 1)
        and call.result.example.flags.c_contiguous
        and all(array.flags.forc and array.flags.aligned for array in (first, second))
        and not np.may_share_memory(first, second)
    )


def _constant_arrays(call: Call) -> tuple[Any, ...]:
    """Return the arguments of a ufunc with Python numbers as the arrays that it makes of them."""
    kinds = [
        type(arg) if type(arg) in (int, float) else getattr(arg, "dtype", None) for arg in call.args
    ]
    if None in kinds:
        return call.args
    function: Any = call.function
    try:
        dtypes = function.resolve_dtypes((*kinds, None))
        return tuple(
            np.asarray(arg, dtype) if type(arg) in (int, float) and dtype.kind in "biuf" else arg
            for arg, dtype in zip(call.args, dtypes, strict=False)
        )
    except (TypeError, OverflowError):  # such as a comparison with an integer that does not fit
        return call.args


def _constant_array(argument: Any, dtype: "np.dtype[Any]") -> Any:
    return np.asarray(argument, dtype) if isinstance(argument, float) else argument


def _store(out: HostArray, result: Any) -> None:
    if result.shape != out.shape:
        raise TypeError(
            f"a compiled function met an array whose shape depends on numbers: {result.shape}, when it "
            f"was compiled {out.shape}; use the backend 'numpy:eager'"
        )
    out[...] = result


def _check_ids(ids: Any, length: int) -> None:
    if ids.size and not -length <= ids.min() <= ids.max() < length:
        raise IndexError(
            f"take: expected indices in [-{length}, {length}), got {ids.min()} to {ids.max()}"
        )
