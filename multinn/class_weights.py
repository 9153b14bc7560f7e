"""Weights of classes, as weights of examples."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from backends import HostArray
from multinn.checks import check_number, check_targets, check_weights


def with_class_weights(
    y: Any, examples: int, class_weights: Mapping[Any, float] | str, weights: Any = None
) -> HostArray:
    """Return the weight of each example: that of its class, times its own.

    "balanced" is n / (K n_k) for class k of K, with n_k of the n examples, so that all classes weigh
    the same. Source: G. King and L. Zeng, Logistic regression in rare events data, 2001; the formula is
    that of scikit-learn.

    Args:
        y: (examples,) or (examples, 1), a class each.
        examples: how many there are.
        class_weights: numbers of 0 or more by class, 1 where one is missing; or "balanced".
        weights: (examples,) or None.

    Raises:
        TypeError, ValueError: y are no classes, a class or a weight cannot be.

    >>> with_class_weights([0, 0, 0, 1], 4, "balanced").tolist()
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0]
    """
    targets = check_targets(y, examples)
    if targets.ndim > 2 or targets.shape[1:] not in ((), (1,)):
        raise ValueError(
            f"class_weights: expected y of shape ({examples},) or ({examples}, 1), one class each, got "
            f"{targets.shape}; for other targets use weights"
        )
    classes, places, counts = np.unique(targets, return_inverse=True, return_counts=True)
    factors = _factors(classes, counts, class_weights)[places.reshape(-1)]
    return factors if weights is None else factors * check_weights(weights, examples, "float64")


def _factors(
    classes: HostArray, counts: HostArray, class_weights: Mapping[Any, float] | str
) -> HostArray:
    """Return the weight of each class."""
    if isinstance(class_weights, str) and class_weights == "balanced":
        return np.asarray(counts.sum() / (len(classes) * counts))
    if not isinstance(class_weights, Mapping):
        raise TypeError(
            f'class_weights: expected a dict of weights by class, or "balanced", got {class_weights!r}'
        )
    known = classes.tolist()
    for label, weight in class_weights.items():
        if label not in known:
            shown = ", ".join(map(str, known[:10])) + (", ..." if len(known) > 10 else "")
            raise ValueError(f"class_weights: no example has the class {label!r}, y has {shown}")
        check_number("class_weights", f"the weight of class {label!r}", weight)
        if not 0.0 <= weight < math.inf:
            raise ValueError(
                f"class_weights: expected a finite weight of 0 or more, got {weight} for class {label!r}"
            )
    return np.array([class_weights.get(label, 1.0) for label in known], np.float64)
