"""Checks of the data of a fit, by scikit-learn."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_X_y, validate_data

from backends import HostArray
from multinn.host.checks import check_weights, kind_text
from multinn.sklearn.errors import locate_errors
from multinn.sklearn.tables import as_table, categorical_columns, learn_categories
from multinn.training.examples import counting_rows

FLOATS = (np.float64, np.float32)  # the dtypes of inputs that are kept


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
        X: (examples, features), dense or sparse, or a table with categories.
        y: the targets.
        reset: whether the estimator learns the number, the names and the categories of the features, or
            compares them.
    """
    table = encoded_table(estimator, X, reset=reset)
    X = X if table is None else table
    numbers, labels = ({"X": X, "y": y}, {}) if estimator._y_numeric else ({"X": X}, {"y": y})
    with locate_errors(numbers, labels):
        check = partial(validate_data, estimator, reset=reset) if table is None else check_X_y
        checked: tuple[Any, HostArray] = check(
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=estimator._y_numeric,
            dtype=FLOATS,
        )
    return checked


def validate_inputs(estimator: Any, X: Any) -> Any:
    """Return the inputs of a fitted estimator after scikit-learn's checks, dense or sparse."""
    table = encoded_table(estimator, X, reset=False)
    if table is not None:
        return table
    with locate_errors({"X": X}):
        return validate_data(estimator, X, accept_sparse="csr", dtype=FLOATS, reset=False)


def encoded_table(estimator: Any, X: Any, *, reset: bool) -> HostArray | None:
    """Return a table as an array of floats, with ids of categories; None without categories.

    Args:
        estimator: the estimator.
        X: the inputs of `fit` or `predict`.
        reset: whether the estimator learns the number, the names and the categories of the features, or
            compares them.
    """
    if reset:
        given = estimator.categorical_features
        vars(estimator).pop("_categories", None)  # of an earlier fit
        if given is None or (isinstance(given, str) and not hasattr(X, "dtypes")):
            return None
    elif estimator._categories is None:
        return None
    X = as_table(X)
    columns = categorical_columns(given, X) if reset else estimator._categories.columns
    if not columns:
        return None
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    if reset:
        estimator._categories = learn_categories(X, columns)
    encoded: HostArray = estimator._categories.encode(X)
    return encoded


def encoded_by_weights(estimator: Any, X: Any, weights: HostArray) -> HostArray:
    """Return a checked table as `encoded_table` does; examples of weight 0 add no categories."""
    X = as_table(X)
    counting = _safe_indexing(X, np.flatnonzero(weights))
    estimator._categories = learn_categories(counting, estimator._categories.columns)
    encoded: HostArray = estimator._categories.encode(X)
    return encoded


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


def to_dense(X: Any) -> HostArray:
    """Return dense or sparse inputs as a dense array."""
    array: HostArray = X.toarray() if hasattr(X, "toarray") else X
    return array
