"""Checks of arguments and data on the host, before anything is computed."""

import math
from collections.abc import Mapping, Sequence, Sized
from functools import partial
from numbers import Integral
from typing import Any, SupportsFloat

import numpy as np

from backends import HostArray, Shape, Tree, tree
from backends.aligned import LARGE, aligned_copy
from backends.threads import run_parts
from multinn.host.entries import IMPUTE, column_names, first_entry, first_place
from multinn.host.trees import check_keys, entries_of, entries_text, map_entries

DTYPES = ("float32", "float64")  # of parameters and computations
_CHUNK = 2**20  # entries checked at a time


def check_inputs(x: Any, dtype: str, name: str = "x") -> Tree:
    """Return ``x`` as an array (examples, ...), or a dict or a tuple of these, with an example at least.

    Booleans and integers of at most 32 bits keep their dtype; floats and larger integers are converted.

    Raises:
        TypeError: ``x`` is not numeric.
        ValueError: ``x`` is empty or ragged, has no feature axis, or holds NaN or infinity; or arrays of
            a dict or a tuple have different numbers of examples.
    """
    inputs = map_entries(partial(_check_input, dtype=dtype), entries_of(x, name), name)
    named: list[tuple[str, HostArray]] = []
    map_entries(lambda array, entry: named.append((entry, array)), inputs, name)
    first, array = named[0]
    for entry, other in named[1:]:
        _check_length(other, entry, len(array), first)
    return inputs


def _check_input(x: Any, name: str, dtype: str) -> HostArray:
    array = _as_numeric(x, name)
    if array.ndim < 2:
        raise ValueError(
            f"{name}: expected an array of shape (examples, features, ...), got {array.shape}; "
            f"use {name}.reshape(-1, 1) for one feature, {name}.reshape(1, -1) for one example"
        )
    if array.size == 0:
        raise ValueError(f"{name}: expected at least one example and one feature, got {array.shape}")
    if array.dtype.kind in "iub" and array.dtype.itemsize <= 4:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.itemsize <= np.dtype(dtype).itemsize:  # otherwise the result is checked
        check_finite(array, name, table=x)
    return rounded(array, dtype, name, table=x)


def check_targets(y: Any, examples: int, name: str = "y") -> Tree:
    """Return ``y`` as a finite array (examples, ...), or a dict or a tuple of these, in its own dtype.

    Raises:
        TypeError: ``y`` is not numeric.
        ValueError: the number of rows differs, or ``y`` holds NaN or infinity.
    """
    return map_entries(partial(_check_target, examples=examples), entries_of(y, name), name)


def _check_target(y: Any, name: str, examples: int) -> HostArray:
    array = _as_numeric(y, name)
    _check_length(array, name, examples, remedy=_several(y))
    check_finite(array, name, f"{IMPUTE}, or replace them by any number of weight 0", table=y)
    return array


def check_weights(
    weights: Any,
    examples: int,
    dtype: str,
    *,
    all_zero: bool = False,
    name: str = "weights",
    entries: Shape = (),
) -> HostArray:
    """Return ``weights`` as an array of numbers of 0 or more.

    Args:
        weights: (examples,), one weight per example, of all examples or of one batch; or with more axes,
            the first ones of ``entries``.
        examples: the number of examples.
        dtype: the dtype of the result.
        all_zero: whether all weights may be zero, as in one batch of many.
        name: the name of the weights in messages.
        entries: the shape of the parts of an example that may have weights of their own.

    Raises:
        TypeError: the weights are not numeric.
        ValueError: the shape is wrong, a weight is negative, NaN or infinite, or all are zero.
    """
    array = _as_numeric(weights, name)
    _check_length(array, name, examples, remedy=_several(weights))
    shapes = [(examples, *entries[:axes]) for axes in range(len(entries) + 1)]
    if array.shape not in shapes:
        raise ValueError(f"{name}: expected shape {' or '.join(map(str, shapes))}, got {array.shape}")
    check_finite(array, name)
    if (array < 0).any():
        index, where = first_place(array < 0)
        raise ValueError(f"{name}: expected 0 or more, got {array[index]} at {where}")
    array = rounded(array, dtype, name)
    if not all_zero:
        check_some_count(array, name)
    return array


def check_some_count(weights: HostArray, name: str) -> None:
    """Raise ValueError if all weights are 0."""
    if not weights.any():
        raise ValueError(f"{name}: expected at least one above 0, got only zeros")


def check_shape(shape: Any, name: str = "input_shape") -> Any:
    """Return the shape of one example as a tuple of integers; or a dict or a tuple of such shapes.

    Args:
        shape: the shape.
        name: the name of the argument, for messages.

    Raises:
        TypeError: it is not a sequence of integers, nor a dict or a tuple of shapes.
        ValueError: a dict is empty.
    """
    if isinstance(shape, Mapping):
        check_keys(shape, name)
        return {key: check_shape(each, f"{name}[{key!r}]") for key, each in shape.items()}
    if isinstance(shape, Sequence) and any(isinstance(each, tuple | Mapping) for each in shape):
        return tuple(check_shape(each, f"{name}[{index}]") for index, each in enumerate(shape))
    return check_lengths(shape, name, "the shape of one example without the batch")


def check_lengths(shape: Any, name: str, what: str) -> Shape:
    """Return the shape of one array as a tuple.

    Args:
        shape: the shape.
        name: the name of the argument, for messages.
        what: what the shape is, for messages.

    Raises:
        TypeError: it is not a sequence of integers.
    """
    if not isinstance(shape, Sequence | np.ndarray) or isinstance(shape, str | bytes):
        raise TypeError(f"{name}: expected a tuple, {what}, such as (4,), got {shape!r}")
    lengths = tuple(shape)
    if not all(map(is_integer, lengths)):
        raise TypeError(f"{name}: expected integers, {what}, such as (4,), got {lengths!r}")
    return lengths


def check_parameters(drawn: Tree, given: Any, argument: str = "params") -> Tree:
    """Return given parameters, or a given state of layers, as arrays like those of the model.

    Args:
        drawn: the initial tree of the model, which has the structure and the shapes.
        given: the tree.
        argument: the name of the tree, "params" or "layer_state".

    Raises:
        TypeError, ValueError: they do not fit; the message names the entry.
    """
    try:
        tree.map(lambda *leaves: None, drawn, given)
    except ValueError as error:
        raise ValueError(f"{argument}: {error}") from None
    kind = "parameter" if argument == "params" else argument
    return tree.map_with_paths(partial(check_parameter, kind=kind), drawn, given)


def check_parameter(path: str, drawn: HostArray, given: Any, kind: str = "parameter") -> HostArray:
    """Return a given parameter as an array of the same shape as the drawn one.

    Raises:
        TypeError: it is no array of numbers.
        ValueError: the shape differs, or it holds NaN or infinity.
    """
    array = _as_numeric(given, f"{kind} {path}")
    if array.shape != drawn.shape:
        raise ValueError(
            f"{kind} {path}: expected shape {tuple(drawn.shape)}, as drawn by the model, got "
            f"{array.shape}"
        )
    check_finite(array, f"{kind} {path}", "they may be damaged, or of a run that diverged")
    return array


def is_integer(value: Any, minimum: float = -math.inf) -> bool:
    """Return whether a value is an integer of Python or NumPy, no boolean, and at least ``minimum``."""
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= minimum


def check_integers(*, minimum: int = 1, **values: Any) -> None:
    """Raise TypeError or ValueError unless each value is an integer of at least the minimum."""
    for name, value in values.items():
        if not is_integer(value):
            raise TypeError(f"{name}: expected an integer, got {value!r}")
        if value < minimum:
            raise ValueError(f"{name}: expected at least {minimum}, got {value}")


def check_flags(**values: Any) -> None:
    """Raise TypeError unless each value is a boolean of Python or NumPy."""
    for name, value in values.items():
        if not isinstance(value, bool | np.bool):
            raise TypeError(f"{name}: expected True or False, got {value!r}")


def check_ignored_class(name: str, ignored_class: int | None) -> None:
    """Raise ValueError unless ``ignored_class`` is a 32-bit integer, as classes are, or None."""
    if ignored_class is None:
        return
    if not isinstance(ignored_class, Integral):
        raise ValueError(f"{name}: expected an integer ignored_class, or None, got {ignored_class!r}")
    if not -(2**31) <= ignored_class < 2**31:
        raise ValueError(
            f"{name}: expected an ignored_class of at most 32 bits, as classes become int32, got "
            f"{ignored_class}; choose another, such as -1"
        )


def check_number(owner: str, name: str, value: Any) -> None:
    """Raise TypeError unless the value is one number, of Python or of any array library."""
    if not isinstance(value, SupportsFloat) or np.ndim(value) != 0:  # type: ignore[arg-type]
        raise TypeError(f"{owner}: expected {name}: a number, got {value!r}")


def check_dtype(dtype: Any, choices: Sequence[str] = DTYPES, name: str = "dtype") -> None:
    """Raise TypeError or ValueError unless this is the name of one of some dtypes."""
    if not isinstance(dtype, str) or dtype not in choices:
        kind = ValueError if isinstance(dtype, str) else TypeError
        raise kind(f"{name}: expected one of {', '.join(map(repr, choices))}, got {dtype!r:.100}")


def rounded(array: HostArray, dtype: str, name: str, table: Any = None) -> HostArray:
    """Return numbers converted to a dtype.

    Raises:
        ValueError: a number is too large for the dtype; or the dtype is narrower, and a number is NaN or
            infinite.
    """
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):  # an overflow gives infinity, which is reported below
        is_large = array.nbytes >= LARGE and array.flags.c_contiguous
        result = aligned_copy(array, dtype) if is_large else array.astype(dtype)
    if np.dtype(dtype).itemsize < array.dtype.itemsize and first_not_finite(result):
        check_finite(array, name, table=table)
        check_finite(result, name, f"the number there is too large for {dtype}: scale such values")
    return result


def check_finite(array: HostArray, name: str, remedy: str = IMPUTE, table: Any = None) -> None:
    """Raise ValueError if the array has a NaN or an infinity, and name the place of the first.

    Args:
        array: the numbers.
        name: their name, for the message.
        remedy: what to do.
        table: what the array was made of: if it is a table, the message names the column.
    """
    found = first_not_finite(array, table)
    if found:
        raise ValueError(f"{name}: expected finite numbers, got {found}; {remedy}")


def first_not_finite(array: HostArray, table: Any = None) -> str | None:
    """Return the first NaN or infinity with its place, such as "nan at row 3, column 1", or None."""
    if array.dtype.kind != "f":
        return None
    if array.ndim == 0:
        array = array.reshape(1)
    rows = max(1, _CHUNK * len(array) // max(1, array.size))
    chunks = [array[start : start + rows] for start in range(0, len(array), rows)]
    suspects: list[int] = []

    def check(index: int) -> None:
        if not np.isfinite(np.sum(chunks[index])):  # a mask would take memory
            suspects.append(index)

    with np.errstate(over="ignore", invalid="ignore"):  # finite numbers can have an infinite sum
        if len(chunks) == 1:
            check(0)
        else:
            run_parts(check, len(chunks))
    for index in sorted(suspects):
        wrong = ~np.isfinite(chunks[index])
        if wrong.any():
            place, where = first_place(wrong, index * rows, column_names(table))
            return f"{array[place]} at {where}"
    return None


def _as_numeric(values: Any, name: str) -> HostArray:
    if hasattr(values, "toarray"):
        raise TypeError(
            f"{name}: expected a dense array, got a sparse {type(values).__name__}: use {name}.toarray()"
        )
    array = as_host_array(values, name)
    if array.dtype.kind not in "fiub":
        found = first_entry(values, numbers=True)
        remedy = found or "convert it with numpy.asarray(..., float)"
        raise TypeError(f"{name}: expected numbers, got an array of dtype {array.dtype}: {remedy}")
    return array


def as_host_array(values: Any, name: str) -> HostArray:
    """Return an array of any library, or nested lists of numbers, as a NumPy array.

    Raises:
        TypeError: NumPy cannot read the array, for example because it is on a GPU; or it is a dict.
        ValueError: the rows have different lengths, or entries are masked.
    """
    check_not_masked(values, name)
    if isinstance(values, Mapping):
        raise TypeError(f"{name}: expected one array, got {kind_text(values)}")
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name}: expected one array, or rows of one common length, got {kind_text(values)}"
            f"{_several(values)}"
        ) from error
    except (TypeError, RuntimeError) as error:  # PyTorch raises RuntimeError
        kind = f"{type(values).__module__}.{type(values).__name__}"
        raise TypeError(
            f"{name}: expected an array that NumPy can read, got a {kind}: convert it first: {error}"
        ) from error


def kind_text(values: Any) -> str:
    """Return the type of a value, and what is in a dict, a list or a tuple, for messages."""
    name = type(values).__name__
    if isinstance(values, Mapping):
        return entries_text(values) if values else f"an empty {name}"
    if isinstance(values, list | tuple):
        sizes = [*map(_size_text, values[:4]), *(["..."] if len(values) > 4 else [])]
        return f"a {name} of {len(values)}: {', '.join(sizes)}"
    return _size_text(values) if hasattr(values, "shape") else f"{values!r:.100}"


def _size_text(value: Any) -> str:
    name = type(value).__name__
    if hasattr(value, "shape"):
        return f"{name} of shape {tuple(value.shape)}"
    return f"{name} of length {len(value)}" if isinstance(value, Sized) else name


def check_not_masked(values: Any, name: str) -> None:
    """Raise ValueError if an array has masked entries, whose values NumPy would use."""
    masked = int(np.sum(values.mask)) if isinstance(values, np.ma.MaskedArray) else 0
    if masked:
        raise ValueError(
            f"{name}: expected numbers everywhere, got a masked array with {masked} entries "
            "masked: drop or impute them first"
        )


def _check_length(array: HostArray, name: str, examples: int, like: str = "x", remedy: str = "") -> None:
    rows = array.shape[0] if array.ndim else "a single number"
    if rows != examples:
        raise ValueError(f"{name}: expected {examples} rows, as many as {like} has, got {rows}{remedy}")


def _several(values: Any) -> str:
    """Return the remedy for a list of arrays, which is read as the rows of one array."""
    if isinstance(values, list) and values and all(getattr(each, "shape", ()) for each in values):
        return "; several arrays are a tuple or a dict of arrays"
    return ""
