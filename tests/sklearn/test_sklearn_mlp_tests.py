"""scikit-learn's own tests of its multilayer perceptrons, as installed, run on our estimators."""

import importlib.util
import os
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
from sklearn import neural_network

from backends.registry import ENVIRONMENT_VARIABLE
from multinn.sklearn import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # of the Poisson regressor of scikit-learn 1.7, with a later SciPy
    pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning"),
]

# The tests that cannot hold, with the error that they end with here, and the reason.
PRIVATE = "it reads or calls the private attribute {} of scikit-learn"
DIFFERENT: dict[str, tuple[type[BaseException], str]] = {
    "test_gradient": (AttributeError, PRIVATE.format("_loss_grad_lbfgs")),
    "test_learning_rate_warmstart": (AttributeError, PRIVATE.format("_optimizer")),
    "test_adaptive_learning_rate": (AttributeError, PRIVATE.format("_optimizer")),
    "test_n_iter_no_change": (AttributeError, PRIVATE.format("_no_improvement_count")),
    "test_n_iter_no_change_inf": (AttributeError, PRIVATE.format("_no_improvement_count")),
    "test_fit": (
        AttributeError,
        "it sets coefs_ and the private arrays of a fit on an estimator that is not fitted: here, only "
        "a fitted one has coefs_",
    ),
    "test_predict_proba_multilabel": (
        AssertionError,
        "it expects the largest probability and its largest logarithm at the same label; where several "
        "probabilities round to 1, only our logarithms, which are computed from the logits, differ",
    ),
    "test_verbose_sgd": (
        AssertionError,
        "it expects lines with 'Iteration' on the standard output: ours are on the standard error, and "
        "say 'epoch'",
    ),
    "test_early_stopping_stratified": (
        AssertionError,
        "it expects the error of a split that cannot be stratified: ours is stratified where possible, "
        "and the error is that one held-out example is too few",
    ),
    "test_mlp_partial_fit_after_fit": (
        pytest.fail.Exception,
        "it expects that partial_fit refuses early_stopping, which it supports here",
    ),
    "test_mlp_diverging_loss": (
        ValueError,
        "it expects that a diverging fit with early_stopping ends with the score NaN: here, it raises",
    ),
}


def load_tests() -> ModuleType:
    """Return a copy of scikit-learn's module, in which the names of its estimators stand for ours."""
    spec: Any = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    module = importlib.util.module_from_spec(spec)
    with patch.multiple(neural_network, MLPClassifier=MLPClassifier, MLPRegressor=MLPRegressor):
        spec.loader.exec_module(module)
    return module


def marked(name: str, test: Any) -> Any:
    """Return the test; one that cannot hold has to end with its error."""
    if name not in DIFFERENT:
        return test
    error, reason = DIFFERENT[name]
    return pytest.mark.xfail(raises=error, reason=reason, strict=True)(test)


@pytest.fixture(autouse=True)
def backend_of_the_estimators(no_backend_from_the_environment, monkeypatch) -> None:
    """Run on the backend that MULTINN_MLP_TESTS names, such as jax; on NumPy if it is unset."""
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, os.environ.get("MULTINN_MLP_TESTS", "numpy"))


@pytest.fixture
def global_random_seed() -> int:
    """The seed that scikit-learn's own fixture gives by default."""
    return 42


TESTS = {
    name: marked(name, test) for name, test in vars(load_tests()).items() if name.startswith("test_")
}
globals().update(TESTS)  # pytest collects each, with scikit-learn's own parameters


def test_most_tests_hold():
    assert len(TESTS) > 40
