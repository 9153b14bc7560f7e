"""Errors of scikit-learn with the position of the wrong entry."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from multinn.host.checks import as_host_array, check_not_masked
from multinn.host.entries import first_entry

# Parts of messages of scikit-learn and Python.
_NO_LABELS = (
    "not supported between",
    "did not contain a loop",
    "Unknown label type",
    "Mix of label input types",
    "can't handle a mix of",
)
_NO_NUMBER = ("could not convert string to float", "Complex data not supported")


@contextmanager
def locate_errors(numbers: Mapping[str, Any], labels: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Add the position of a wrong entry, and advice, to the errors of scikit-learn.

    Args:
        numbers: the arrays of numbers that are checked in the context, by name.
        labels: the arrays whose entries can be text or dates, too, by name.

    Raises:
        TypeError: an array of numbers holds dates or durations, which scikit-learn would take for
            numbers in their unit.
        ValueError: an array has masked entries, which scikit-learn would ignore.
    """
    given = {**numbers, **(labels or {})}
    arrays = {name: array for name, array in given.items() if array is not None}
    for name, array in arrays.items():
        check_not_masked(array, name)
    for name, array in numbers.items():
        if _has_dates(array):
            raise TypeError(f"{name}: expected numbers, got {first_entry(array, numbers=True)}")
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        problem = str(error).partition("\n")[0].rstrip(".")
        where = _wrong_entry(error, problem, numbers, arrays)
        if where:
            raise kind(f"{problem}: {where}") from error
        if "inhomogeneous shape" in problem:
            _check_arrays(arrays)
        if "inconsistent numbers of samples" in problem:
            others = " and ".join(name for name in given if name != "X")
            raise ValueError(f"{problem}: expected as many rows of {others} as of X") from error
        if labels and any(each in problem for each in _NO_LABELS):
            raise kind(
                f"{problem}: {next(iter(labels))}: expected only text, only whole numbers, only "
                "booleans or only dates, in an array of such a dtype: convert it first"
            ) from error
        raise
    except RuntimeError:  # from PyTorch, for a tensor that NumPy cannot read
        _check_arrays(arrays)
        raise


def _check_arrays(arrays: Mapping[str, Any]) -> None:
    """Raise the error of the first array that NumPy cannot read."""
    for name, array in arrays.items():
        as_host_array(array, name)


def _wrong_entry(
    error: Exception, problem: str, numbers: Mapping[str, Any], arrays: Mapping[str, Any]
) -> str | None:
    """Return the entry that causes an error, with the name of its array; None for other errors."""
    if any(each in problem for each in ("contains NaN", "contains infinity", *_NO_LABELS)):
        numbers = {}
    elif not (isinstance(error, TypeError | OverflowError) or problem.startswith(_NO_NUMBER)):
        return None
    for name, array in arrays.items():
        found = first_entry(array, numbers=name in numbers)
        if found:
            return f"{name}: {found}"
    return None


def _has_dates(array: Any) -> bool:
    """Return whether an array, or a column of a table, holds dates or durations."""
    dtypes = getattr(array, "dtypes", None)
    columns = [getattr(array, "dtype", None)] if dtypes is None else np.atleast_1d(dtypes)
    return any(getattr(dtype, "kind", None) in ("M", "m") for dtype in columns)
