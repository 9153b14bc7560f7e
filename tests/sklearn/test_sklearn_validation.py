"""Validation data in fit: as one argument, or as X_val and y_val through scikit-learn's pipelines."""

import numpy as np
import pytest
import scipy.sparse
from sklearn import config_context
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from multinn.sklearn import MLPClassifier, MLPRegressor
from tests.support.estimator_runs import (
    BINARY,
    LABELS,
    NUMBERS,
    X,
    Y,
    assert_same_estimators,
    assert_same_parameters,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SETTINGS = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}
TRAIN, HELD_OUT = slice(0, 40), slice(40, 60)
WEIGHTS = np.linspace(0.5, 2.0, 20)
RUNS = {
    "classes": (MLPClassifier, Y),
    "text": (MLPClassifier, BINARY),
    "labels": (MLPClassifier, LABELS),
    "sparse labels": (MLPClassifier, scipy.sparse.csr_array(LABELS)),
    "numbers": (MLPRegressor, NUMBERS),
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("run", RUNS)
def test_x_val_and_y_val_are_the_validation_data(run, early_stopping):
    kind, y = RUNS[run]
    x, x_val = X[TRAIN], scipy.sparse.csr_array(X[HELD_OUT])
    given = {"X_val": x_val, "y_val": y[HELD_OUT], "sample_weight_val": WEIGHTS}
    one, other = (kind(**SETTINGS, early_stopping=early_stopping) for _ in range(2))
    one.fit(x, y[TRAIN], **given)
    other.fit(x, y[TRAIN], validation_data=(X[HELD_OUT], y[HELD_OUT], WEIGHTS))
    assert_same_estimators(one, other)
    unweighted = kind(**SETTINGS).fit(x, y[TRAIN], X_val=x_val, y_val=y[HELD_OUT])
    assert unweighted.validation_loss_curve_ != one.validation_loss_curve_


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_partial_fit_takes_them_too(kind):
    classes = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    model = kind(**SETTINGS).partial_fit(X, Y, **classes, X_val=X[:9], y_val=Y[:9])
    other = kind(**SETTINGS).partial_fit(X, Y, **classes, validation_data=(X[:9], Y[:9]))
    assert model.validation_loss_curve_ == other.validation_loss_curve_
    assert len(model.validation_loss_curve_) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": X}, "X_val, y_val: expected both, got only X_val"),
        ({"y_val": Y}, "X_val, y_val: expected both, got only y_val"),
        ({"sample_weight_val": Y}, "X_val, y_val: expected both, got only sample_weight_val"),
        (
            {"X_val": X, "sample_weight_val": Y},
            "X_val, y_val: expected both, got only X_val and sample_weight_val",
        ),
        ({"validation_data": (X, Y), "X_val": X, "y_val": Y}, "validation_data: got X_val and y_val"),
        ({"validation_data": (X, Y), "sample_weight_val": Y}, "validation_data: got sample_weight_val"),
        ({"X_val": X[:, :3], "y_val": Y}, "X_val, y_val: X has 3 features, but"),
        ({"X_val": X, "y_val": Y[:9]}, "X_val, y_val: Found input variables with inconsistent numbers"),
        ({"X_val": X, "y_val": Y + 7}, "X_val, y_val: `y` has classes not in"),
        ({"X_val": X, "y_val": Y, "sample_weight_val": -Y}, "X_val, y_val: sample_weight: expected 0"),
    ],
)
def test_validation_data_that_are_wrong_raise(given, message):
    model = MLPClassifier(**SETTINGS).fit(X, Y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=f"^{message}"):
        model.fit(X, Y, **given)
    assert vars(model) == before


def test_lbfgs_has_no_validation():
    with pytest.raises(ValueError, match=r"^X_val, y_val: solver='lbfgs' has no epochs"):
        MLPClassifier(**SETTINGS, solver="lbfgs").fit(X, Y, X_val=X, y_val=Y)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_pipeline_transforms_x_val(kind):
    x = 100.0 + 7.0 * X
    scaler = StandardScaler().fit(x[TRAIN])
    expected = kind(**SETTINGS, early_stopping=True).fit(
        scaler.transform(x[TRAIN]),
        Y[TRAIN],
        X_val=scaler.transform(x[HELD_OUT]),
        y_val=Y[HELD_OUT],
        sample_weight_val=WEIGHTS,
    )
    with config_context(enable_metadata_routing=True):
        model = kind(**SETTINGS, early_stopping=True)
        model.set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        pipeline = Pipeline([("scale", StandardScaler()), ("mlp", model)], transform_input=["X_val"])
        pipeline.fit(x[TRAIN], Y[TRAIN], X_val=x[HELD_OUT], y_val=Y[HELD_OUT], sample_weight_val=WEIGHTS)
        assert_same_parameters(pipeline["mlp"], expected, rtol=0)
        assert pipeline["mlp"].validation_loss_curve_ == expected.validation_loss_curve_
        assert pipeline["mlp"].validation_scores_ == expected.validation_scores_


def test_a_search_over_a_pipeline_routes_x_val():
    with config_context(enable_metadata_routing=True):
        model = MLPClassifier(**SETTINGS).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), model, transform_input=["X_val"])
        search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1.0]}, cv=2)
        search.fit(X[TRAIN], Y[TRAIN], X_val=X[HELD_OUT], y_val=Y[HELD_OUT])
        assert len(search.best_estimator_[-1].validation_loss_curve_) == 3


def test_without_a_request_a_pipeline_refuses_x_val():
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SETTINGS), transform_input=["X_val"])
        with pytest.raises(ValueError, match=r"\[X_val, y_val\] are passed but are not explicitly set"):
            pipeline.fit(X, Y, X_val=X, y_val=Y)
