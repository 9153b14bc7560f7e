"""The first wrong entry of an array or a table, and its place, for messages."""

import math
from collections.abc import Sequence
from typing import Any, Final, SupportsFloat

import numpy as np

from backends import HostArray
from multinn.host.text import shorten

IMPUTE: Final = "drop or impute such values first"
_ENCODE: Final = "encode text, categories and dates as numbers first"

# NumPy's scalars of any dtype have the method __float__.
_NO_NUMBERS = (str, bytes, complex, np.complexfloating, np.datetime64, np.timedelta64, np.void)


def first_entry(values: Any, *, numbers: bool) -> str | None:
    """Return the first entry that is missing, NaN or infinite, its place, and what to do; or None.

    For example "nan at row 3, column 1 ('age'); drop or impute such values first".

    Args:
        values: an array of any dtype, nested lists, a table with named columns, or a sparse matrix.
        numbers: whether an entry that is no real number is wrong, too.
    """
    if hasattr(values, "tocoo"):
        return _first_of_sparse(values.tocoo())
    try:
        array = np.asarray(values)
        if array.dtype.kind in "US":  # of a list, it may have become text only here
            array = np.asarray(values, dtype=object)
    except (TypeError, ValueError, RuntimeError):  # NumPy cannot read them
        return None
    array = np.atleast_1d(array)
    if array.dtype.kind in "fiub":
        wrong = ~np.isfinite(array)
    else:
        array = np.fromiter(array.flat, object, array.size).reshape(array.shape)
        wrong = np.frompyfunc(_is_no_number if numbers else is_missing, 1, 1)(array).astype(bool)
    if not wrong.any():
        return None
    index, where = first_place(wrong, columns=column_names(values))
    entry = array[index]
    shown = repr(str(entry)) if isinstance(entry, str) else str(entry)
    return f"{shorten(shown, 60)} at {where}; {IMPUTE if is_missing(entry) else _ENCODE}"


def column_names(values: Any) -> list[Any]:
    """Return the names of the columns of a table; an empty list for an array."""
    return list(getattr(values, "columns", ()))


def first_place(
    wrong: HostArray, first_row: int = 0, columns: Sequence[Any] = ()
) -> tuple[tuple[int, ...], str]:
    """Return the first index at which ``wrong`` is True, and its name, such as "row 3, column 1".

    Args:
        wrong: a mask of some rows of an array.
        first_row: the number of the first of these rows.
        columns: the names of the columns of a table; those that are text are shown.
    """
    row, *others = (int(i) for i in np.argwhere(wrong)[0])
    index = (row + first_row, *others)
    axes = ["row", "column"] if len(index) == 2 else ["row", *["index"] * (len(index) - 1)]
    where = ", ".join(f"{axis} {i}" for axis, i in zip(axes, index, strict=True))
    column = columns[index[1]] if len(index) == 2 and columns else None
    return index, f"{where} ({str(column)!r})" if isinstance(column, str) else where


def _first_of_sparse(coo: Any) -> str | None:
    """Return the first NaN or infinity of a sparse matrix in coordinates, as `first_entry` does."""
    wrong = np.flatnonzero(~np.isfinite(coo.data))
    if not wrong.size:
        return None
    first = wrong[np.lexsort((coo.col[wrong], coo.row[wrong]))[0]]
    return f"{coo.data[first]} at row {coo.row[first]}, column {coo.col[first]}; {IMPUTE}"


def _is_no_number(entry: Any) -> bool:
    return is_missing(entry) or not is_number(entry)


def is_number(entry: Any) -> bool:
    """Return whether an entry is a real number, a boolean among them."""
    return isinstance(entry, SupportsFloat) and not isinstance(entry, _NO_NUMBERS)


def is_missing(entry: Any) -> bool:
    """Return whether an entry is NaN, infinite, None, or the NA or NaT of a library."""
    try:
        return not math.isfinite(entry) if is_number(entry) else entry is None or bool(entry != entry)
    except OverflowError:  # an integer beyond all floats
        return True
    except TypeError:  # pandas.NA is neither equal nor unequal to itself
        return True
    except ValueError:  # an array
        return False
