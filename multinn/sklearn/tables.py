"""Categorical columns of a table as ids for embeddings, on the host."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import _safe_indexing, check_array

from backends import HostArray
from multinn.host.checks import check_not_masked, is_integer
from multinn.host.entries import column_names, is_missing, is_number
from multinn.sklearn.errors import locate_errors

UNKNOWN: Final = 0  # the id of a category that was not in the fit
MISSING: Final = 1  # the id of a missing entry
FIRST: Final = 2  # the id of the first category; the others follow in order

_LARGEST_NUMBER = 2**53  # float64 is exact for integers up to 2⁵³
_CATEGORICAL_DTYPES = ("category", "Categorical", "Enum")  # the first is of pandas, the others of polars


@dataclass(frozen=True)
class Categories:
    """The categorical columns of a table, and their categories.

    Attributes:
        columns: the indices of the columns, in ascending order.
        encoders: a fitted encoder for each of them.
    """

    columns: tuple[int, ...]
    encoders: tuple[OrdinalEncoder, ...]

    @property
    def values(self) -> list[HostArray]:
        """The categories of each column in ascending order, text or float64, without missing entries."""
        return [
            values[:-1] if len(values) and values[-1] != values[-1] else values
            for (values,) in (encoder.categories_ for encoder in self.encoders)
        ]

    def encode(self, X: Any) -> HostArray:
        """Return X as an array of floats, with ids in the categorical columns.

        Raises:
            ValueError: X is no table of numbers apart from these columns, or one of these has text
                where the fit had numbers, or the reverse.
        """
        numbers = [column for column in range(X.shape[1]) if column not in self.columns]
        part = check_numbers(X, numbers, self.columns) if numbers else np.empty((X.shape[0], 0))
        encoded = np.empty(X.shape, part.dtype)
        encoded[:, numbers] = part
        for column, encoder, known in zip(self.columns, self.encoders, self.values, strict=True):
            entries = _entries(X, column)
            is_text = entries.dtype.kind == "O"
            if len(known) and is_text != (known.dtype.kind == "O"):
                if is_text or not np.isnan(entries).all():
                    expected, given = ("numbers", "text") if is_text else ("text", "numbers")
                    raise ValueError(
                        f"X: expected {expected} in {_place(X, column)}, as in the fit, got {given}"
                    )
                entries = entries.astype(object)
            encoded[:, column] = encoder.transform(entries[:, None])[:, 0] + FIRST
        return encoded


def learn_categories(X: Any, columns: Iterable[int]) -> Categories:
    """Return the categories of these columns of a table."""
    columns = tuple(columns)
    entries = [_entries(X, column) for column in columns]
    return Categories(columns, tuple(_encoder(each, "auto") for each in entries))


def restored_categories(columns: Iterable[int], values: Iterable[Any]) -> Categories:
    """Return categories that were saved.

    Args:
        columns: the columns.
        values: the categories of each column in ascending order; the last is NaN if some were missing.
    """
    arrays = [np.array(each, object if isinstance(each[0], str) else np.float64) for each in values]
    return Categories(tuple(columns), tuple(_encoder(each, [each]) for each in arrays))


def _encoder(entries: HostArray, categories: Any) -> OrdinalEncoder:
    """Return a fitted encoder whose codes plus `FIRST` are ids."""
    return OrdinalEncoder(
        categories=categories,
        handle_unknown="use_encoded_value",
        unknown_value=UNKNOWN - FIRST,
        encoded_missing_value=MISSING - FIRST,
    ).fit(entries[:, None])


def as_table(X: Any) -> Any:
    """Return a table with named columns as it is, and anything else as an array (examples, features).

    Raises:
        TypeError, ValueError: X is sparse, or not of two dimensions.
    """
    check_not_masked(X, "X")
    if hasattr(X, "columns"):
        return X
    if not hasattr(X, "shape"):  # NumPy would make text of the numbers in a list with text
        X = np.array(X, dtype=object)
    return check_array(X, dtype=None, ensure_all_finite=False, input_name="X")


def categorical_columns(given: Any, X: Any) -> list[int]:
    """Return the indices of the categorical columns, in ascending order.

    Args:
        given: the parameter ``categorical_features``.
        X: a table, or an array (examples, features).

    Raises:
        ValueError: these are no columns of X.
    """
    features, names = X.shape[1], column_names(X)
    if isinstance(given, str):  # "from_dtype"
        dtypes = map(str, getattr(X, "dtypes", ()))
        return [i for i, dtype in enumerate(dtypes) if dtype.startswith(_CATEGORICAL_DTYPES)]
    entries = list(given)
    if all(isinstance(entry, np.bool_ | bool) for entry in entries):
        if entries and len(entries) != features:
            raise ValueError(
                f"categorical_features: expected a mask of the {features} features of X, got "
                f"{len(entries)} entries"
            )
        return [i for i, entry in enumerate(entries) if entry]
    return sorted({_column_index("categorical_features", entry, features, names) for entry in entries})


def embedding_sizes(given: Any, categories: Categories, features: int, names: list[Any]) -> list[int]:
    """Return the length of the embeddings of each categorical column.

    Args:
        given: the parameter ``embedding_size``.
        categories: the categorical columns.
        features: the number of columns of X.
        names: the names of the columns, or an empty list.

    Raises:
        ValueError: a length is no integer of 1 or more, or a column is not categorical.
    """
    sizes: dict[int, Any] = {}
    if isinstance(given, Mapping):
        sizes = {_column_index("embedding_size", key, features, names): given[key] for key in given}
    elif given is not None:
        sizes = dict.fromkeys(categories.columns, given)
    for column, size in sizes.items():
        if column not in categories.columns:
            raise ValueError(f"embedding_size: column {column} is not one of categorical_features")
        if not is_integer(size, 1):
            raise ValueError(f"embedding_size: expected integers of 1 or more, got {size!r}")
    return [
        int(sizes.get(column, default_size(len(values))))
        for column, values in zip(categories.columns, categories.values, strict=True)
    ]


def default_size(categories: int) -> int:
    """Return the length of the embeddings of that many categories.

    Up to 40 categories have as many numbers, and begin as a one-hot encoding. More have three times
    their fourth root, rounded up.
    Source of the fourth root: TensorFlow team, Introducing TensorFlow feature columns, Google Developers
    Blog, 2017. The factor and the limit were chosen by scores on drawn tables.

    >>> [default_size(n) for n in (2, 40, 41, 200, 1000)]
    [2, 40, 8, 12, 17]
    """
    return max(1, categories) if categories <= 40 else math.ceil(3 * math.sqrt(math.sqrt(categories)))


def check_numbers(X: Any, numbers: list[int], categorical: tuple[int, ...]) -> HostArray:
    """Return the columns of numbers as floats."""
    part = _safe_indexing(X, numbers, axis=1)
    with locate_errors({"X": _NumbersOf(X, part, categorical)}):
        checked: HostArray = check_array(part, dtype=(np.float64, np.float32), input_name="X")
    return checked


class _NumbersOf:
    """A table for messages: 0 in the categorical columns, where nothing is wrong."""

    def __init__(self, X: Any, part: Any, categorical: tuple[int, ...]) -> None:
        self._table, self._categorical = X, list(categorical)
        self.columns = column_names(X)
        self.dtypes = getattr(part, "dtypes", [getattr(part, "dtype", None)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> HostArray:
        array = np.array(self._table, dtype=object)
        array[:, self._categorical] = 0
        return array


def _column_index(parameter: str, entry: Any, features: int, names: list[Any]) -> int:
    """Return the index of a column that is given by its name or its index."""
    if is_integer(entry, 0) and int(entry) < features:
        return int(entry)
    if isinstance(entry, str) and entry in names:
        return int(names.index(entry))
    known = f"the names {', '.join(map(repr, names))}" if names else "no names, as X is an array"
    raise ValueError(
        f"{parameter}: expected indices from 0 to {features - 1}, or names of columns; X has {known}; "
        f"got {entry!r}"
    )


def _entries(X: Any, column: int) -> HostArray:
    """Return a categorical column, (examples,), as float64, or as objects: text, and NaN if missing.

    None, NaN, infinity and the NA and NaT of a library are missing.

    Raises:
        ValueError: there are other entries than text or numbers, or both, or a number is too large.
    """
    entries = np.asarray(_safe_indexing(X, column, axis=1))
    if entries.dtype.kind == "U":
        return entries.astype(object)
    if entries.dtype.kind == "O":
        if set(map(type, entries)) == {str}:
            return entries
        missing = np.frompyfunc(is_missing, 1, 1)(entries).astype(bool)
        known = entries[~missing]
        if all(isinstance(entry, str) for entry in known) and len(known):
            entries = entries.copy()
            entries[missing] = np.nan
            return entries
        if not all(map(is_number, known)):
            kinds = sorted({type(entry).__name__ for entry in known})
            raise ValueError(
                f"X: expected only text or only numbers in {_place(X, column)}, got {', '.join(kinds)}: "
                "convert the column to text"
            )
        entries = np.full(len(entries), np.nan)
        entries[~missing] = known.astype(np.float64)
    if entries.dtype.kind not in "biuf":
        raise ValueError(
            f"X: expected text or numbers in {_place(X, column)}, got {entries.dtype}: convert the "
            "column to text"
        )
    numbers = entries.astype(np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    if (np.abs(numbers) > _LARGEST_NUMBER).any():
        raise ValueError(
            f"X: expected numbers up to 2**53 in {_place(X, column)}, as larger ones are not exact: "
            "convert the column to text"
        )
    return numbers


def _place(X: Any, column: int) -> str:
    """Return the name of a categorical column for messages."""
    names = column_names(X)
    return f"the categorical column {names[column]!r}" if names else f"the categorical column {column}"
