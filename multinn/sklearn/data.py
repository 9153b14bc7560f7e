"""What comes into a fit: checked as scikit-learn does it, and split."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight, validate_data

from backends import HostArray
from multinn.host.checks import as_host_array, check_not_masked, check_weights, first_not_finite
from multinn.training.plan import Examples


class Data(NamedTuple):
    """Examples on the host, as they came but checked: inputs, labels or numbers, weights or None."""

    x: HostArray
    y: HostArray
    weights: HostArray | None = None


class CheckedData(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The checks of the data of a fit. A subclass says what targets may be."""

    _y_numeric: ClassVar[bool]

    @abstractmethod
    def _check_y(self, y: HostArray, *, first: bool, incremental: bool) -> HostArray:
        """Return targets in the form in which they are split and scored, and learn what there is."""

    @abstractmethod
    def _class_weights(self, y: HostArray, *, incremental: bool) -> HostArray | None:
        """Return a weight of each example from its class, or None."""

    def _check_data(self, X: Any, y: Any, sample_weight: Any, *, first: bool, incremental: bool) -> Data:
        X, y = self._validated(X, y, reset=first)
        weights = _checked_weights(sample_weight, X)
        y = self._check_y(y, first=first, incremental=incremental)
        by_class = self._class_weights(y, incremental=incremental)
        if by_class is not None:
            check_weights(by_class, X.shape[0], "float64", name="class_weight")
            weights = by_class if weights is None else by_class * weights
        return Data(dense(X), y, weights)

    def _check_validation(self, validation_data: Any) -> Data:
        if not (isinstance(validation_data, tuple | list) and len(validation_data) in (2, 3)):
            raise ValueError("validation_data: expected (X, y) or (X, y, sample_weight)")
        X, y, *rest = validation_data
        try:
            X, y = self._validated(X, y, reset=False)
            weights = _checked_weights(rest[0] if rest else None, X)
            if self.early_stopping and X.shape[0] < 2:
                raise ValueError(f"early_stopping needs at least 2 examples to score, got {X.shape[0]}")
            return Data(dense(X), self._check_y(y, first=False, incremental=True), weights)
        except ValueError as error:
            raise ValueError(f"validation_data: {error}") from error

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, HostArray]:
        with errors_with_places(X=X, y=y):
            checked: tuple[Any, HostArray] = validate_data(
                self,
                X,
                y,
                accept_sparse=["csr", "csc"],
                multi_output=True,
                y_numeric=self._y_numeric,
                dtype=(np.float64, np.float32),
                reset=reset,
            )
        return checked

    def _split(self, examples: Examples, labels: HostArray) -> tuple[HostArray, HostArray]:
        """Return the rows to train on and those to validate on: the same of the same data, always."""
        count = len(examples.x)
        if self._count_held_out(count) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your "
                "dataset, or give validation_data."
            )
        train, held_out = train_test_split(
            np.arange(count),
            random_state=deepcopy(self._split_random_state),
            test_size=self.validation_fraction,
            stratify=self._stratify(labels),
        )
        for rows in (train, held_out):
            if examples.weights is not None and not examples.weights[rows].any():
                raise ValueError(
                    "sample_weight: expected some above 0 both to train and to validate on, got zeros "
                    "only in one part: give more of them, or validation_data"
                )
        return train, held_out

    def _count_held_out(self, examples: int) -> int:
        return math.ceil(float(self.validation_fraction) * examples)

    def _stratify(self, y: HostArray) -> HostArray | None:
        """Return the classes of which each part is to have as many; None where that cannot be."""
        return None


def _checked_weights(sample_weight: Any, X: Any) -> HostArray | None:
    """Return checked weights of the rows of X, if there are any."""
    if sample_weight is None:
        return None
    with errors_with_places(sample_weight=sample_weight):
        weights: HostArray = _check_sample_weight(sample_weight, X, dtype=np.float64)
    check_weights(weights, X.shape[0], "float64", name="sample_weight")
    return weights


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Let an estimator, and its random state, be as they were if something is refused within."""
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
    """Let errors of scikit-learn name the place of NaN or infinity, and what to do.

    Args:
        arrays: what is checked within, by name.

    Raises:
        ValueError: an array has masked entries, of which scikit-learn says nothing.
    """
    for name, array in arrays.items():
        check_not_masked(array, name)
    try:
        yield
    except ValueError as error:
        problem = str(error).partition("\n")[0].rstrip(".")
        if "contains NaN" in problem or "contains infinity" in problem:
            found = ((name, _first_not_finite(array)) for name, array in arrays.items())
            told = next((f"{name}: {place}" for name, place in found if place), "")
            raise ValueError(f"{problem}: {told}; drop or impute such values first") from error
        if "inconsistent numbers of samples" in problem:
            raise ValueError(f"{problem}: expected as many rows of y as of X") from error
        raise
    except RuntimeError:  # what PyTorch raises for an array that it does not give away
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
    """Return inputs, which may be sparse, as an array."""
    array: HostArray = X.toarray() if hasattr(X, "toarray") else X
    return array
