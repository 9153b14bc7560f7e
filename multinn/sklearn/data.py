"""Checks of the data of a fit, by scikit-learn."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import _check_sample_weight, validate_data

from backends import HostArray
from multinn.host.checks import as_host_array, check_not_masked, check_weights, first_not_finite


class Data(NamedTuple):
    """Checked examples on the host: inputs, targets, and weights or None."""

    x: HostArray
    y: HostArray
    weights: HostArray | None = None


def validate(estimator: Any, X: Any, y: Any, *, reset: bool) -> tuple[Any, HostArray]:
    """Return inputs and targets after scikit-learn's checks.

    Args:
        estimator: the estimator to fit.
        X: (examples, features), dense or sparse.
        y: the targets.
        reset: whether the estimator learns the number and names of the features, or compares them.
    """
    with locate_errors(X=X, y=y):
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
    with locate_errors(sample_weight=sample_weight):
        weights: HostArray = _check_sample_weight(sample_weight, X, dtype=np.float64)
    check_weights(weights, X.shape[0], "float64", name="sample_weight")
    return weights


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
def locate_errors(**arrays: Any) -> Iterator[None]:
    """Add the position of NaN or infinity, and advice, to the errors of scikit-learn.

    Args:
        arrays: the arrays that are checked in the context, by name.

    Raises:
        ValueError: an array has masked entries, which scikit-learn would ignore.
    """
    for name, array in arrays.items():
        check_not_masked(array, name)
    try:
        yield
    except ValueError as error:
        problem = str(error).partition("\n")[0].rstrip(".")
        if "contains NaN" in problem or "contains infinity" in problem:
            found = ((name, _first_not_finite(array)) for name, array in arrays.items())
            where = next((f"{name}: {value}" for name, value in found if value), "")
            raise ValueError(f"{problem}: {where}; drop or impute such values first") from error
        if "inconsistent numbers of samples" in problem:
            raise ValueError(f"{problem}: expected as many rows of y as of X") from error
        raise
    except RuntimeError:  # from PyTorch, for a tensor that NumPy cannot read
        for name, array in arrays.items():
            as_host_array(array, name)  # raises an error with the name
        raise


def _first_not_finite(array: Any) -> str | None:
    """Return the first NaN or infinity and its position, if the array holds numbers."""
    try:
        return first_not_finite(np.asarray(to_dense(array), np.float64))
    except (TypeError, ValueError):
        return None


def to_dense(X: Any) -> HostArray:
    """Return dense or sparse inputs as a dense array."""
    array: HostArray = X.toarray() if hasattr(X, "toarray") else X
    return array
