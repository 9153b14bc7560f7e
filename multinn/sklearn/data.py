"""The data of a fit, checked as scikit-learn checks them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import _check_sample_weight, validate_data

from backends import HostArray
from multinn.host.checks import as_host_array, check_not_masked, check_weights, first_not_finite


class Data(NamedTuple):
    """Checked examples on the host: inputs, labels or numbers, and weights or None."""

    x: HostArray
    y: HostArray
    weights: HostArray | None = None


def validated(estimator: Any, X: Any, y: Any, *, reset: bool) -> tuple[Any, HostArray]:
    """Return inputs and targets that have passed scikit-learn's checks.

    Args:
        estimator: learns the number and the names of the features if ``reset``, else compares them.
        X: (examples, features), dense or sparse.
        y: the targets.
        reset: whether this is the first fit.
    """
    with errors_with_places(X=X, y=y):
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


def checked_weights(sample_weight: Any, X: Any) -> HostArray | None:
    """Return checked weights of the rows of X, if there are any."""
    if sample_weight is None:
        return None
    with errors_with_places(sample_weight=sample_weight):
        weights: HostArray = _check_sample_weight(sample_weight, X, dtype=np.float64)
    check_weights(weights, X.shape[0], "float64", name="sample_weight")
    return weights


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Restore an estimator and its random state if the context raises."""
    before, random_state = dict(vars(estimator)), estimator.random_state
    drawn = random_state.get_state() if isinstance(random_state, np.random.RandomState) else None
    try:
        yield
    except BaseException:
        if drawn is not None:
            random_state.set_state(drawn)
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


@contextmanager
def errors_with_places(**arrays: Any) -> Iterator[None]:
    """Add to scikit-learn's errors the place of NaN or infinity, and what to do.

    Args:
        arrays: the arrays that are checked in the context, by name.

    Raises:
        ValueError: an array has masked entries, which scikit-learn ignores.
    """
    for name, array in arrays.items():
        check_not_masked(array, name)
    try:
        yield
    except ValueError as error:
        problem = str(error).partition("\n")[0].rstrip(".")
        if "contains NaN" in problem or "contains infinity" in problem:
            found = ((name, _first_not_finite(array)) for name, array in arrays.items())
            where = next((f"{name}: {place}" for name, place in found if place), "")
            raise ValueError(f"{problem}: {where}; drop or impute such values first") from error
        if "inconsistent numbers of samples" in problem:
            raise ValueError(f"{problem}: expected as many rows of y as of X") from error
        raise
    except RuntimeError:  # PyTorch, for a tensor that NumPy cannot read
        for name, array in arrays.items():
            as_host_array(array, name)
        raise


def _first_not_finite(array: Any) -> str | None:
    """Return the first NaN or infinity and its place, if it can be found."""
    try:
        return first_not_finite(np.asarray(dense(array), np.float64))
    except (TypeError, ValueError):
        return None


def dense(X: Any) -> HostArray:
    """Return dense or sparse inputs as a dense array."""
    array: HostArray = X.toarray() if hasattr(X, "toarray") else X
    return array
