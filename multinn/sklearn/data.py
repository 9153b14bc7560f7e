"""Checks of the data of a fit, by scikit-learn."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight, _num_samples, validate_data

from backends import HostArray
from multinn.host.checks import as_host_array, check_not_masked, check_weights, kind_text
from multinn.host.entries import first_entry
from multinn.training.examples import counting_rows

# Parts of messages of scikit-learn and Python.
_NO_LABELS = (
    "not supported between",
    "did not contain a loop",
    "Unknown label type",
    "Mix of label input types",
    "can't handle a mix of",
)
_NO_NUMBER = ("could not convert string to float", "Complex data not supported")


class Data(NamedTuple):
    """Checked examples on the host: inputs, targets, and weights or None."""

    x: HostArray
    y: HostArray
    weights: HostArray | None = None


class Validation(NamedTuple):
    """Validation data as they were given to `fit`, and the name of the argument."""

    x: Any
    y: Any
    weights: Any
    name: str


def given_validation(
    validation_data: Any, X_val: Any, y_val: Any, sample_weight_val: Any
) -> Validation | None:
    """Return the validation data, or None if there are none.

    Raises:
        ValueError: they are given twice or in part, or ``validation_data`` is no pair or triple.
    """
    given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
    names = [name for name, value in given.items() if value is not None]
    if validation_data is None:
        if names and (X_val is None or y_val is None):
            raise ValueError(f"X_val, y_val: expected both, got only {' and '.join(names)}")
        return Validation(X_val, y_val, sample_weight_val, "X_val, y_val") if names else None
    if names:
        raise ValueError(
            f"validation_data: got {' and '.join(names)}, too: pass the validation data only once"
        )
    if not (isinstance(validation_data, tuple | list) and len(validation_data) in (2, 3)):
        raise ValueError(
            "validation_data: expected (X, y) or (X, y, sample_weight), got "
            f"{kind_text(validation_data)}"
        )
    X, y, *weights = validation_data
    return Validation(X, y, weights[0] if weights else None, "validation_data")


def validate(estimator: Any, X: Any, y: Any, *, reset: bool) -> tuple[Any, HostArray]:
    """Return inputs and targets after scikit-learn's checks.

    Args:
        estimator: the estimator to fit.
        X: (examples, features), dense or sparse.
        y: the targets.
        reset: whether the estimator learns the number and names of the features, or compares them.
    """
    numbers, labels = ({"X": X, "y": y}, {}) if estimator._y_numeric else ({"X": X}, {"y": y})
    with locate_errors(numbers, labels):
        checked: tuple[Any, HostArray] = validate_data(
            estimator,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=estimator._y_numeric,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
    return checked


def check_sample_weight(sample_weight: Any, X: Any) -> HostArray | None:
    """Return checked weights for the rows of X, or None."""
    if sample_weight is None:
        return None
    with locate_errors({"sample_weight": sample_weight}):
        weights: HostArray = _check_sample_weight(sample_weight, X, dtype=np.float64)
    check_weights(weights, X.shape[0], "float64", name="sample_weight")
    return weights


def without_left_out(estimator: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Return X and y with other examples in place of those of weight 0, whose score would be 0 · ∞.

    If these are no weights of the examples, nothing changes, and scikit-learn's checks tell so.

    Raises:
        TypeError, ValueError: as in `validate`, of all examples.
    """
    weights = np.asarray(sample_weight)
    if weights.ndim != 1 or weights.dtype.kind not in "biuf" or weights.all() or not weights.any():
        return X, y
    validate(estimator, X, y, reset=False)  # while each example is in its row
    if _num_samples(X) != len(weights):
        return X, y
    rows = counting_rows(weights)
    return _safe_indexing(X, rows), _safe_indexing(y, rows)


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Restore an estimator and its random state if the context raises."""
    attributes, generator = dict(vars(estimator)), estimator.random_state
    state = generator.get_state() if isinstance(generator, np.random.RandomState) else None
    try:
        yield
    except BaseException:
        if state is not None:
            generator.set_state(state)
        vars(estimator).clear()
        vars(estimator).update(attributes)
        raise


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


def to_dense(X: Any) -> HostArray:
    """Return dense or sparse inputs as a dense array."""
    array: HostArray = X.toarray() if hasattr(X, "toarray") else X
    return array
