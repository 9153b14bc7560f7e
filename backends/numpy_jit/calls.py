"""The source of a recorded call, which writes its result into a given array.

Each form gives the same bits as the call itself, with less work around the arithmetic.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from backends.base import HostArray
from backends.numpy_convolution import convolve, convolve_weights
from backends.numpy_jit.padding import AddWithin
from backends.numpy_jit.recording import Call, Value
from backends.numpy_jit.source import Source

_REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: np.add.reduce,
    np.max: np.maximum.reduce,
    np.min: np.minimum.reduce,
}

_CONVOLUTIONS = (convolve, convolve_weights)
_EXTREMA = (np.maximum, np.minimum)
FEW = 1024  # numbers; for fewer, NumPy takes longer to prepare a loop over several axes than to compute
_MANY = 2**19  # numbers; a larger repeated constant would leave the cache
_MANY_ROWS = 32
_ROW = 512  # numbers, over which NumPy spends little of the time on the loop itself
_VECTOR = 64  # bytes of a register
_FEW_VECTORS = 4 * _VECTOR
_BLOCK = 2**13  # numbers, which fit into the first cache


def write_call(source: Source, call: Call, whole_array: Callable[[Value], Any]) -> None:
    """Write a call whose result belongs into a known array.

    Args:
        source: the function to write to.
        call: the call.
        whole_array: returns the array over whose entries loops run, given the value of one entry.
    """
    out, function, args = source.expression(call.result), call.function, call.args
    if isinstance(function, np.ufunc):
        _write_ufunc(source, call, out)
    elif function in _REDUCTIONS and len(args) == 1 and call.options.keys() <= {"axis", "keepdims"}:
        _write_reduction(source, call, out)
    elif function is np.take and _write_take(source, call, out, whole_array):
        return
    elif function is np.where and is_plain_where(call):
        condition, yes, no = (source.expression(_constant_array(arg, call.result.dtype)) for arg in args)
        source.line(f"{out}[...] = {no}")
        if _needs_no_broadcast(call):  # takes two thirds of the time of copyto
            source.line(f"{source.constant(np.putmask)}({out}, {condition}, {yes})")
        else:
            source.line(f"{source.constant(np.copyto)}({out}, {yes}, 'same_kind', {condition})")
    elif function is np.astype and isinstance(args[0].example, np.ndarray):  # a scalar may overflow
        source.line(f"{out}[...] = {source.expression(args[0])}")
    elif isinstance(function, AddWithin):
        _write_add_within(source, call, function.index)
    elif function in _CONVOLUTIONS or (
        function in (np.concatenate, np.stack) and call.options.keys() <= {"axis"}
    ):
        source.line(source.call(function, args, call.options, out))
    elif function is np.reshape and len(args) == 2 and not call.options:
        source.line(f"{source.reshaped(call.result, args[0].shape)}[...] = {source.expression(args[0])}")
    else:
        result = source.call(function, args, call.options)
        source.line(f"{source.constant(_store)}({out}, {result})")


def is_convolution(value: Value) -> bool:
    """Return whether a value is the result of a convolution, which shares its work out to threads."""
    return isinstance(value.maker, Call) and value.maker.function in _CONVOLUTIONS


def is_elementwise(call: Call) -> bool:
    """Return whether the result may overwrite an input of the same layout, entry by entry."""
    function = call.function
    if isinstance(function, AddWithin):
        return True
    return isinstance(function, np.ufunc) and function.signature is None and not call.options


def _write_ufunc(source: Source, call: Call, out: str) -> None:
    if _is_plain_matrix_product(call):
        a, b = map(source.expression, call.args)
        source.line(f"{a}.dot({b}, {out})")
        return
    args = call.args if call.options else _constant_arrays(call)
    by_name = call.function in _EXTREMA  # these deprecate a third argument by position
    parts = [_operand(source, arg, call) for arg in args] + [f"out={out}" if by_name else out]
    parts += [f"{name}={source.expression(value)}" for name, value in call.options.items()]
    source.line(f"{source.constant(call.function)}({', '.join(parts)})")


def _write_add_within(source: Source, call: Call, index: tuple[slice, ...]) -> None:
    whole, part = call.args
    out, place = source.expression(call.result), source.part(call.result, index)
    if source.expression(whole) != out:
        source.line(f"{out}[...] = {source.expression(whole)}")
    source.line(f"{source.constant(np.add)}({place}, {source.expression(part)}, {place})")


def _write_reduction(source: Source, call: Call, out: str) -> None:
    array, result = call.args[0], call.result
    if array.size == result.size:  # each reduction has one number
        one = source.reshaped(array, result.shape)
        zero = source.constant(np.zeros((), result.dtype))  # at which a sum begins: it makes 0 of -0
        add = f"{source.constant(np.add)}({one}, {zero}, {out})"
        source.line(add if call.function is np.sum else f"{out}[...] = {one}")
        return
    reduce, array_text = source.constant(_REDUCTIONS[call.function]), source.expression(array)
    if call.function is not np.sum and has_short_rows(call):
        columns = source.constant(np.empty(array.shape[::-1], array.dtype))
        source.line(f"{columns}[...] = {array_text}.T")
        source.line(f"{reduce}({columns}, 0, None, {source.reshaped(result, array.shape[:1])})")
        return
    if call.function is not np.sum and has_many_rows(call):
        length, rows = array.shape[-1], array.size // array.shape[-1]
        columns = source.constant(np.empty((length, _BLOCK // length), array.dtype))
        args = [source.reshaped(array, (rows, length)), columns, source.reshaped(result, (rows,))]
        source.line(f"{source.constant(_reduce_rows)}({reduce}, {', '.join(args)})")
        return
    parts = [array_text, source.constant(call.options.get("axis")), "None", out]
    parts += ["True"] if call.options.get("keepdims") else []
    source.line(f"{reduce}({', '.join(parts)})")


def _operand(source: Source, argument: Any, call: Call) -> str:
    """Return the text of a ufunc's argument, in the form for which NumPy is fastest.

    A single number is passed without axes, but maximum and minimum are faster on a repeated constant.
    For a small result, an argument that is repeated along an axis is written out first. For a large one,
    a short argument, such as one number per channel, is written out up to a row of some length.
    """
    if not is_elementwise(call) or not isinstance(argument, Value | np.ndarray):
        return source.expression(argument)
    result = call.result
    if isinstance(argument, np.ndarray) and argument.size == 1:
        if call.function in _EXTREMA and result.size <= _MANY:
            return source.repeated(argument, result.example)
        return source.expression(argument)
    if isinstance(argument, Value) and argument.size == 1 < result.size:
        return source.reshaped(argument, ())
    if argument.shape == result.shape or _runs_backwards(call):
        return source.expression(argument)
    like = result.example if result.size <= FEW else _row_of(result.example, argument.shape)
    if like is None:
        return source.expression(argument)
    if isinstance(argument, np.ndarray):
        return source.repeated(argument, like)
    written_out = source.constant(np.empty_like(like, argument.dtype))
    source.line(f"{written_out}[...] = {source.expression(argument)}")
    return written_out


def _row_of(result: Any, shape: tuple[int, ...]) -> Any:
    """Return the last axes of a large result, over which an argument of that shape is written out.

    NumPy's loop is over the axes on which all arrays are contiguous: without a row, over the last alone.
    Returns None if the loop is long enough, or the argument differs along earlier axes.
    """
    if not (result.ndim > 2 and result.flags.c_contiguous and shape[-1:] == result.shape[-1:]):
        return None
    axes, own = 1, (*(1,) * (result.ndim - len(shape)), *shape)
    while math.prod(result.shape[-axes:]) < _ROW and axes < result.ndim - 1 and own[-axes - 1] == 1:
        axes += 1
    return result[(0,) * (result.ndim - axes)] if axes > 1 and math.prod(own[:-1]) == 1 else None


def _runs_backwards(call: Call) -> bool:
    """Return whether an axis of an input runs backwards in memory.

    If it does in all inputs that are not repeated along it, NumPy reverses the axis and uses another
    loop; those of `power` and `arctan2` differ in the last bit.
    """
    return any(min(value.example.strides, default=0) < 0 for value in call.inputs)


def _write_take(source: Source, call: Call, out: str, whole_array: Callable[[Value], Any]) -> bool:
    """Write `take` of ids that are an argument, and check them once; return False for other calls."""
    if call.options.keys() != {"axis"} or call.options["axis"] is None:
        return False
    table, ids = call.args
    all_ids = whole_array(ids)
    if not isinstance(all_ids, Value) or not source.is_parameter(all_ids) or not table.ndim:
        return False
    length, axis = table.shape[call.options["axis"]], source.constant(call.options["axis"])
    source.check(f"{source.constant(_check_ids)}({source.expression(all_ids)}, {length})")
    # Any mode but "raise" writes directly into out; "wrap" counts negative ids from the end.
    source.line(f"{source.expression(table)}.take({source.expression(ids)}, {axis}, {out}, 'wrap')")
    return True


def has_short_rows(call: Call) -> bool:
    """Return whether the call reduces each of many rows that fit into a register of the processor.

    NumPy reduces such rows one entry at a time. The columns of the transposed array are many times as
    fast: 2 instead of 9 µs for 200 rows of 10.
    """
    array = call.args[0].example
    return (
        array.ndim == 2
        and call.options.get("axis") in (1, -1)
        and len(array) >= _MANY_ROWS
        and array[0].nbytes <= _VECTOR
    )


def has_many_rows(call: Call) -> bool:
    """Return whether the call reduces each of many rows of a few registers of the processor."""
    array = call.args[0].example
    return bool(
        array.flags.c_contiguous
        and call.options.get("axis") in (array.ndim - 1, -1)
        and array.shape[-1] * array.itemsize <= _FEW_VECTORS
        and array.size >= 2 * _BLOCK
    )


def _reduce_rows(reduce: Any, rows: HostArray, columns: HostArray, results: HostArray) -> None:
    """Write the maximum or minimum of each row, from blocks of rows that are transposed in the cache.

    Among zeros of both signs, NumPy may return either, so rows with the result 0 are left to NumPy.
    """
    size = columns.shape[1]
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        transposed = columns[:, : len(block)]
        transposed[...] = block.T
        reduce(transposed, 0, None, results[start : start + size])
    zeros = np.flatnonzero(results == 0) if results.dtype.kind == "f" else ()
    if len(zeros):
        results[zeros] = reduce(rows[zeros], 1)


def is_plain_where(call: Call) -> bool:
    """Return whether it is ``where(condition, yes, no)`` of booleans and two arrays or floats."""
    condition, *choices = call.args
    return (
        isinstance(condition, Value | np.ndarray)
        and condition.dtype == np.bool
        and all(isinstance(arg, Value | np.ndarray | float) for arg in choices)
    )


def _needs_no_broadcast(call: Call) -> bool:
    """Return whether the condition and the first choice of a plain where are like the result."""
    condition, yes, _ = (np.asarray(getattr(arg, "example", arg)) for arg in call.args)
    return bool(condition.shape == yes.shape == call.result.shape and yes.dtype == call.result.dtype)


def _is_plain_matrix_product(call: Call) -> bool:
    """Return whether `dot`, which has a quarter of `matmul`'s overhead, gives the bits of `matmul`.

    They differ without BLAS, and in the sign of a zero that is the product of two numbers.
    """
    if call.function is not np.matmul or call.options:
        return False
    return (
        all(isinstance(arg, Value) and arg.ndim == 2 for arg in call.args)
        and {arg.dtype.char for arg in call.args} in ({"f"}, {"d"})
        and all(arg.example.flags.forc and arg.example.flags.aligned for arg in call.args)
        and call.result.size > 1
    )


def _constant_arrays(call: Call) -> tuple[Any, ...]:
    """Return the arguments of a ufunc, with Python numbers as the arrays that NumPy makes of them."""
    is_number = [type(arg) in (int, float) for arg in call.args]
    kinds = [
        type(arg) if number else getattr(arg, "dtype", None)
        for arg, number in zip(call.args, is_number, strict=True)
    ]
    function: Any = call.function
    try:
        dtypes = function.resolve_dtypes((*kinds, None))
        return tuple(
            np.asarray(arg, dtype) if number else arg
            for arg, number, dtype in zip(call.args, is_number, dtypes, strict=False)
        )
    except (TypeError, OverflowError):  # such as a comparison with an integer that does not fit
        return call.args


def _constant_array(argument: Any, dtype: "np.dtype[Any]") -> Any:
    return np.asarray(argument, dtype) if isinstance(argument, float) else argument


def _store(out: HostArray, result: Any) -> None:
    if result.shape != out.shape:
        raise TypeError(
            f"a compiled function: expected an array of shape {out.shape}, as at compilation, got "
            f"{result.shape}; if its shape depends on numbers, use the backend 'numpy:eager'"
        )
    out[...] = result


def _check_ids(ids: Any, length: int) -> None:
    if ids.size and not -length <= ids.min() <= ids.max() < length:
        raise IndexError(
            f"take: expected indices in [-{length}, {length}), got {ids.min()} to {ids.max()}"
        )
