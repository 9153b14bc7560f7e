"""All checks of scikit-learn for estimators, with default parameters."""

from importlib.util import find_spec
from unittest import SkipTest

import pytest
from sklearn import neural_network
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from multinn.sklearn import MLPClassifier, MLPRegressor

BACKENDS = ["numpy", "jax"] if find_spec("jax") else ["numpy"]
ESTIMATORS = [kind(backend=name) for name in BACKENDS for kind in (MLPClassifier, MLPRegressor)]


def peer(estimator):
    """Return scikit-learn's estimator of the same name."""
    return getattr(neural_network, type(estimator).__name__)()


def checks_of(estimator):
    """Return the checks of an estimator by name; scikit-learn lists some more than once."""
    checks = [check for _, check in estimator_checks_generator(estimator)]
    return {f"{check.func.__name__} {check.keywords}": check for check in checks}


# Some checks end the fit early or pass y as a column, which warns.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS)
def test_estimators_pass(estimator, check):
    try:
        check(estimator)
    except SkipTest as reason:
        own = checks_of(peer(estimator))[f"{check.func.__name__} {check.keywords}"]
        with pytest.raises(SkipTest):
            own(peer(estimator))
        pytest.skip(f"{reason} scikit-learn skips this check of its own estimator, too.")


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_no_check_of_scikit_learns_own_estimators_is_missing(estimator):
    assert checks_of(peer(estimator)).keys() <= checks_of(estimator).keys()
