"""The checks that scikit-learn has for any estimator."""

from importlib.util import find_spec

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from multinn.sklearn import MLPClassifier, MLPRegressor

ESTIMATORS = [MLPClassifier(backend="numpy"), MLPRegressor(backend="numpy")]
if find_spec("jax"):
    # Programs for the many shapes of these checks take JAX minutes to compile with the other solvers.
    ESTIMATORS += [MLPRegressor(backend="jax", hidden_layer_sizes=(8,), solver="lbfgs")]


# Some checks stop the fit early on purpose, or give a column as y, and none of them expects a warning.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS)
def test_estimators_pass(estimator, check):
    check(estimator)
