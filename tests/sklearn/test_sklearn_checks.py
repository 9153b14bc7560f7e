"""The checks that scikit-learn has for any estimator: all of them, of estimators as they come."""

from importlib.util import find_spec
from unittest import SkipTest

import pytest
from sklearn import neural_network
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from multinn.sklearn import MLPClassifier, MLPRegressor

BACKENDS = ["numpy", "jax"] if find_spec("jax") else ["numpy"]
ESTIMATORS = [kind(backend=name) for name in BACKENDS for kind in (MLPClassifier, MLPRegressor)]


def peer(estimator):
    """Scikit-learn's own class of that name."""
    return getattr(neural_network, type(estimator).__name__)()


def checks_of(estimator):
    """The checks that are made of an estimator, by name; some are made more than once."""
    checks = [check for _, check in estimator_checks_generator(estimator)]
    return {f"{check.func.__name__} {check.keywords}": check for check in checks}


# Some checks stop the fit early on purpose, or give a column as y, and none of them expects a warning.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS)
def test_estimators_pass(estimator, check):
    try:
        check(estimator)
    except SkipTest as reason:
        own = checks_of(peer(estimator))[f"{check.func.__name__} {check.keywords}"]
        with pytest.raises(SkipTest):
            own(peer(estimator))
        pytest.skip(f"{reason} Nor is it checked of scikit-learn's own.")


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_all_is_checked_that_is_checked_of_those_of_scikit_learn(estimator):
    assert checks_of(peer(estimator)).keys() <= checks_of(estimator).keys()
