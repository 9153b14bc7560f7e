"""The checks that scikit-learn has for any estimator."""

from importlib.util import find_spec

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from multinn.sklearn import MLPClassifier, MLPRegressor

ESTIMATORS = [MLPClassifier(backend="numpy"), MLPRegressor(backend="numpy")]
if find_spec("jax"):
    # A program for the many shapes of these checks takes JAX a minute to compile with the other solvers.
    SMALL = {"hidden_layer_sizes": (8,), "solver": "lbfgs", "backend": "jax"}
    ESTIMATORS += [MLPClassifier(**SMALL), MLPRegressor(**SMALL)]


# Some checks stop the fit early on purpose, or give a column as y, and none of them expects a warning.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS)
def test_estimators_pass(estimator, check):
    check(estimator)
