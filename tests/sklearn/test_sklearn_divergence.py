"""Fits that diverge, and outputs that overflow: the error says so, and the parameters stay finite."""

import re

import numpy as np
import pytest

from multinn import EarlyStopping
from multinn.sklearn import MLPClassifier, MLPRegressor, lbfgs
from multinn.sklearn.epochs import NOT_FINITE
from multinn.sklearn.stopping import HeldOut
from tests.support.estimator_runs import X, Y, assert_same_parameters

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

HUGE = X * 1e9
SETTINGS = {"hidden_layer_sizes": (20,), "solver": "sgd", "random_state": 0, "batch_size": 25}
DIVERGED = re.escape(NOT_FINITE) + ".* training diverged: the loss became NaN or infinite at epoch"
WAYS = {
    "plain": ({}, {}),
    "early stopping": ({"early_stopping": True}, {}),
    "validation data": ({}, {"validation_data": (HUGE, HUGE[:, 0])}),
    "both": ({"early_stopping": True}, {"X_val": HUGE, "y_val": HUGE[:, 0]}),
    "a callback": (
        {"early_stopping": True, "callbacks": EarlyStopping("validation_score", mode="max")},
        {},
    ),
    "huber": ({"early_stopping": True, "loss": "huber", "learning_rate_init": 1e3}, {}),
    "poisson": ({"early_stopping": True, "loss": "poisson"}, {}),
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS)
def test_a_regressor_that_diverges_says_so_however_it_is_scored(way, dtype):
    settings, data = WAYS[way]
    x = HUGE.astype(dtype) / (1e7 if way == "poisson" else 1.0)
    model = MLPRegressor(**SETTINGS | settings)
    with pytest.raises(ValueError, match=DIVERGED):
        model.fit(x, np.abs(x[:, 0]), **data)
    assert all(np.isfinite(array).all() for array in model.coefs_ + model.intercepts_)
    assert model.n_iter_ == len(model.loss_curve_) == model.trainer_.epoch


@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_a_classifier_that_diverges_says_so(name):
    pytest.importorskip(name)
    model = MLPClassifier(**SETTINGS, early_stopping=True, backend=name, max_iter=20)
    with pytest.raises(ValueError, match=DIVERGED):
        model.fit(HUGE.astype("float32"), Y)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_partial_fit_that_diverges_says_so(early_stopping):
    model = MLPRegressor(**SETTINGS, early_stopping=early_stopping)

    def train():
        for _ in range(9):
            model.partial_fit(HUGE, HUGE[:, 0])

    with pytest.raises(ValueError, match=DIVERGED):
        train()


def test_the_best_parameters_are_restored_after_a_divergence():
    settings = SETTINGS | {"early_stopping": True, "batch_size": "auto"}
    best = MLPRegressor(**settings, max_iter=1).fit(HUGE, HUGE[:, 0])
    model = MLPRegressor(**settings)
    with pytest.raises(ValueError, match="diverged"):
        model.fit(HUGE, HUGE[:, 0])
    assert np.argmax(model.validation_scores_) == 0
    assert_same_parameters(model, best, rtol=0)


def test_the_loss_of_an_earlier_fit_is_forgotten():
    model = MLPRegressor(**SETTINGS, max_iter=1).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="diverged"):
        model.fit(X * 1e200, X[:, 0])
    assert not hasattr(model, "loss_")


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_the_score_of_outputs_that_are_not_finite_is_the_worst(wrong):
    """Classes could be read from them, but would mean nothing."""
    model = MLPClassifier((3,), max_iter=1).fit(X, Y)
    examples = model.trainer_.check(X, Y, None)
    held_out = HeldOut(model.trainer_, examples, Y, model._score)
    outputs = held_out.outputs()
    assert 0.0 <= held_out.score(outputs) <= 1.0
    assert held_out.score(np.where(np.arange(60)[:, None] == 7, wrong, outputs)) == -np.inf


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of a check of scikit-learn
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_lbfgs_raises_if_the_loss_overflows_at_the_start(kind, dtype):
    x = (np.sign(X) * 0.99 * np.finfo(dtype).max).astype(dtype)
    settings = {"hidden_layer_sizes": (20,), "activation": "identity", "random_state": 0}
    model = kind(**settings, solver="lbfgs")
    with pytest.raises(ValueError, match=re.escape(NOT_FINITE) + ".* after 0 iteration.*Scale X"):
        model.fit(x, Y)
    start = kind(**settings, solver="sgd", learning_rate_init=1e-300, max_iter=1).fit(X.astype(dtype), Y)
    assert_same_parameters(model, start, rtol=1e-6)


def test_lbfgs_raises_if_its_direction_overflows():
    """The loss at the start is finite, but the square of its gradient is not."""
    model = MLPRegressor("poisson", solver="lbfgs", random_state=0)
    with pytest.raises(ValueError, match="lbfgs diverged"):
        model.fit(X * 2e3, np.abs(X[:, 0]))
    assert all(np.isfinite(array).all() for array in model.coefs_)


def test_the_loss_after_a_failed_line_search_is_that_of_the_parameters():
    """SciPy returns the loss of its last trial with the parameters of the last iteration."""
    y = np.abs(X[:, 0])
    model = MLPRegressor("poisson", solver="lbfgs", random_state=0, alpha=0.0).fit(X * 1e3, y)
    assert not model.converged_
    z = model.trainer_.predict(X * 1e3)[:, 0]
    deviance = np.exp(z) - y + y * (np.log(y) - z)
    assert model.loss_ == pytest.approx(np.mean(deviance), rel=1e-9)


def test_lbfgs_recovers_from_an_overflow_within_a_line_search(monkeypatch):
    losses, minimize = [], lbfgs.minimize

    def spy(function, *given, **options):
        def recorded(flat):
            loss, gradient = function(flat)
            losses.append(loss)
            return loss, gradient

        return minimize(recorded, *given, **options)

    monkeypatch.setattr(lbfgs, "minimize", spy)
    x = (X * 1e19).astype("float32")
    model = MLPRegressor(solver="lbfgs", random_state=0).fit(x, X[:, 0])
    assert np.inf in losses
    assert np.isfinite(losses[0])
    assert model.loss_ <= losses[0]


def test_a_prediction_that_overflows_has_no_score():
    model = MLPRegressor("poisson", (3,), max_iter=1, random_state=0).fit(X, np.abs(X[:, 0]))
    message = "^predictions: expected finite numbers, got inf at row [0-9]+; .* scale X as in training"
    with pytest.warns(RuntimeWarning, match="overflow"), pytest.raises(ValueError, match=message):
        model.score(X * 1e10, np.abs(X[:, 0]))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_an_output_that_is_nan_has_no_class():
    model = MLPClassifier((2,), max_iter=1).fit(X, Y)
    model.coefs_ = [np.full((4, 2), 1e300), np.array([[1.0] * 3, [-1.0] * 3])]
    x = np.where(np.arange(60)[:, None] == 5, 1e300, X)
    message = "^outputs: expected numbers, got nan at row 5, column 0; .* scale X as in training"
    for call in (lambda: model.predict(x), lambda: model.score(x, Y)):
        with pytest.raises(ValueError, match=message):
            call()
    np.testing.assert_array_equal(np.isnan(model.predict_proba(x)).all(axis=1), np.arange(60) == 5)
