"""Data and comparisons for the tests of estimators."""

from typing import Any

import numpy as np

from backends import tree
from multinn.sklearn.saving import _LEARNED, describe_value

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(60, 4))
Y = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int) + (X[:, 2] > 0.5)
BINARY = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]
LABELS = np.stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 0.2], axis=1).astype(int)
NUMBERS = np.stack([X[:, 0] * X[:, 1], X[:, 2]], axis=1)
TARGETS = {
    "classes": Y,
    "binary": BINARY,
    "labels": LABELS,
    "single": np.zeros(60),
    "floats": 1.0 + Y,
    "truth": Y > 0,
}


def assert_same_parameters(one: Any, other: Any, **tolerance: float) -> None:
    """Compare coefs_ and intercepts_."""
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_allclose(a, b, **tolerance)


def assert_same_estimators(one: Any, other: Any) -> None:
    """Compare everything that a fit learns, to the bit."""
    assert vars(one).keys() == vars(other).keys()
    for name in [*_LEARNED, "n_features_in_", "n_outputs_", "n_layers_", "_improvement", "_kind"]:
        if hasattr(one, name):
            assert learned(one, name) == learned(other, name), name
    for name in ("classes_", "feature_names_in_"):
        if hasattr(one, name):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert getattr(one, name).dtype == getattr(other, name).dtype
    assert_same_states(one.trainer_.snapshot(), other.trainer_.snapshot())
    if vars(one).get("_best_state") is not None:
        assert_same_states(one._best_state, other._best_state)
    assert one.trainer_.history.losses == other.trainer_.history.losses
    for name in ("epoch", "step", "seed", "dtype", "history"):
        assert getattr(one.trainer_, name) == getattr(other.trainer_, name), name


def learned(model: Any, name: str) -> Any:
    value = getattr(model, name)
    return describe_value(value, name) if isinstance(value, np.random.RandomState) else value


def assert_same_states(one: Any, other: Any) -> None:
    tree.map(np.testing.assert_array_equal, one._asdict(), other._asdict())
