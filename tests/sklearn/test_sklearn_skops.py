"""Files of skops and of pickle: what was read continues as if it had stayed in memory."""

import copy
import pickle
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from backends import get_backend
from multinn import CSVLogger, EarlyStopping, Focal, ReduceLearningRateOnPlateau, SaveCheckpoint, Tanh
from multinn.sklearn import MLPClassifier, MLPRegressor
from multinn.sklearn.losses import REGRESSION_LOSSES
from multinn.sklearn.network import ACTIVATIONS
from tests.support.estimator_runs import BINARY, NUMBERS, TARGETS, X, Y, assert_same_estimators

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL: dict[str, Any] = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 2}
RUNS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "early": (MLPClassifier, Y, {"early_stopping": True}),
    "normalized": (MLPClassifier, BINARY, {"dropout": 0.2, "batch_norm": True, "layer_norm": True}),
    "sgd": (MLPRegressor, NUMBERS, {"solver": "sgd", "momentum": 0.5, "learning_rate": "adaptive"}),
    "lbfgs": (MLPRegressor, NUMBERS, {"solver": "lbfgs", "activation": (Tanh(),)}),
    "random": (MLPRegressor, NUMBERS[:, 0], {"random_state": np.random.RandomState(0)}),
    "classes": (MLPClassifier, Y, {"class_weight": {0: 1, 1: 2, 2: 3}, "loss": Focal(3.0)}),
    "callbacks": (MLPClassifier, Y, {"callbacks": [EarlyStopping("loss"), len]}),
    "instance": (MLPClassifier, Y, {"backend": get_backend("numpy:eager")}),
}


def through_skops(value: Any) -> Any:
    data = skops.io.dumps(value)
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


def through_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def types_of(value: Any) -> set[str]:
    """Return the types that skops asks to trust."""
    return set(skops.io.get_untrusted_types(data=skops.io.dumps(value)))


def more_epochs(model: Any, y: Any) -> Any:
    """Train on with the same random numbers, whatever a shared generator has drawn."""
    return model.set_params(warm_start=True, random_state=0).fit(X, y)


@pytest.mark.parametrize("copied", [through_skops, through_pickle, copy.deepcopy])
@pytest.mark.parametrize("run", RUNS)
def test_a_copy_predicts_the_same_bits_and_trains_on(run, copied):
    kind, y, settings = RUNS[run]
    model = kind(**SMALL | settings | {"callbacks": None}).fit(X, y)
    model.set_params(callbacks=settings.get("callbacks"))
    other = copied(model)
    assert_same_estimators(other, model)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    model.set_params(callbacks=None)
    other.set_params(callbacks=None)
    assert_same_estimators(more_epochs(other, y), more_epochs(model, y))


@pytest.mark.parametrize("target", TARGETS)
def test_skops_keeps_the_classes(target):
    model = MLPClassifier(**SMALL).fit(X, TARGETS[target])
    other = through_skops(model)
    assert_same_estimators(other.partial_fit(X, TARGETS[target]), model.partial_fit(X, TARGETS[target]))


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_skops_keeps_the_backend(backend):
    pytest.importorskip(backend)
    model = MLPRegressor(**SMALL, backend=get_backend(backend)).fit(X, Y)
    other = through_skops(model)
    assert repr(other.trainer_.backend) == repr(other.backend) == repr(get_backend(backend))
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    assert_same_estimators(other.partial_fit(X, Y), model.partial_fit(X, Y))
    assert_same_estimators(through_pickle(other), model)


def test_a_pipeline_and_a_search_go_through_skops():
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SMALL))
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.1, 1.0]}, cv=2).fit(X, Y)
    other = through_skops(search)
    np.testing.assert_array_equal(other.predict_proba(X), search.predict_proba(X))
    assert_same_estimators(other.best_estimator_[-1], search.best_estimator_[-1])


def test_joblib_writes_and_reads_a_file(tmp_path):
    model = MLPClassifier(**SMALL, early_stopping=True).fit(X, Y)
    joblib.dump(model, tmp_path / "model")
    assert_same_estimators(joblib.load(tmp_path / "model"), model)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_all_types_to_trust_are_of_this_library(kind, tmp_path):
    losses = [Focal()] if kind is MLPClassifier else REGRESSION_LOSSES.values()
    model = kind(**SMALL, early_stopping=True).fit(X, Y)
    model.set_params(
        activation=tuple(ACTIVATIONS.values()),
        loss=tuple(losses),
        callbacks=[EarlyStopping(), ReduceLearningRateOnPlateau()],
    )
    assert {name.partition(".")[0] for name in types_of(model)} == {"backends", "multinn"}
    model.set_params(callbacks=[CSVLogger(tmp_path / "log"), SaveCheckpoint(tmp_path / "best")])
    foreign = {name for name in types_of(model) if not name.startswith(("backends.", "multinn."))}
    path = type(tmp_path)
    assert foreign == {f"{path.__module__}.{path.__name__}"}


def test_compiled_programs_stay_out_of_files():
    assert "programs" not in MLPClassifier(**SMALL).fit(X, Y).trainer_.__getstate__()
