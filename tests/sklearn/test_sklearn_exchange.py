"""Estimators in ONNX, as plain layers, and converted from and to scikit-learn."""

import json

import numpy as np
import pytest
from onnxruntime import InferenceSession
from sklearn import neural_network as reference
from sklearn.exceptions import NotFittedError

from backends import get_backend
from multinn import ReduceLearningRateOnPlateau, ReLU, SoftmaxCrossEntropy, Tanh, exchange, onnx
from multinn.sklearn import MLPClassifier, MLPRegressor
from multinn.sklearn.export import Exponential
from tests.support.estimator_runs import BINARY, LABELS, NUMBERS, TARGETS, X, Y
from tests.support.onnx_runs import run_onnx

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning"),  # of scikit-learn 1.7
]

OURS = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}
RUNS = [
    ("MLPClassifier", Y, {}),
    ("MLPClassifier", BINARY, {"activation": "tanh"}),
    ("MLPClassifier", LABELS, {"activation": "logistic"}),
    ("MLPRegressor", NUMBERS[:, 0], {"activation": "identity"}),
    ("MLPRegressor", NUMBERS, {}),
    ("MLPRegressor", np.abs(NUMBERS), {"loss": "poisson"}),
]
NAMES = ["classes", "binary", "labels", "number", "numbers", "counts"]
SOLVERS = [
    {"solver": "sgd", "learning_rate_init": 0.05, "learning_rate": "invscaling"},
    {"solver": "adam"},
    {"solver": "adam", "early_stopping": True},
    {"solver": "lbfgs"},
]


def results(model):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


@pytest.mark.parametrize("target", TARGETS)
def test_onnx_gives_the_probabilities(tmp_path, target):
    path = str(tmp_path / "model.onnx")
    model = MLPClassifier((8, 5), batch_norm=True, dropout=0.1, max_iter=5, random_state=0)
    model.fit(X, TARGETS[target])
    for dtype in ("float32", "float64"):
        onnx.export(model, path, dtype=dtype)
        (got,) = run_onnx(path, X.astype(dtype))
        np.testing.assert_allclose(got, model.predict_proba(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("y", [np.abs(NUMBERS), np.abs(NUMBERS[:, 0])], ids=["two", "one"])
def test_onnx_gives_the_predictions(tmp_path, loss, y):
    path = str(tmp_path / "model.onnx")
    model = MLPRegressor(loss, (8,), "tanh", layer_norm=True, max_iter=5).fit(X.astype(np.float32), y)
    onnx.export(model, path)
    (got,) = run_onnx(path, X.astype(np.float32))
    expected = model.predict(X.astype(np.float32)).reshape(60, -1)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_the_plain_network_gives_the_probabilities(target):
    model = MLPClassifier((5,), max_iter=2, layer_norm=True).fit(X, TARGETS[target])
    network, params, state = model.network_
    p, _ = network.forward_with_state(get_backend("numpy:eager"), params, state, X)
    np.testing.assert_allclose(p, model.predict_proba(X), rtol=1e-12)
    assert "1.weight" in exchange.to_state_dict(network, params, state)


def test_an_exported_trainer_gives_logits(tmp_path):
    model = MLPClassifier((5,), max_iter=1).fit(X, Y)
    onnx.export(model.trainer_, tmp_path / "model.onnx")
    (got,) = run_onnx(str(tmp_path / "model.onnx"), X)
    np.testing.assert_allclose(got, model.trainer_.predict(X), rtol=1e-12)


def test_classes_are_in_the_metadata_of_onnx(tmp_path):
    model = MLPClassifier((5,), max_iter=1).fit(X, BINARY)
    onnx.export(model, tmp_path / "model.onnx")
    metadata = InferenceSession(tmp_path / "model.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == ["no", "yes"]


def test_an_unfitted_estimator_cannot_be_exported(tmp_path):
    with pytest.raises(NotFittedError, match="MLPRegressor"):
        onnx.export(MLPRegressor(), tmp_path / "model.onnx")


def test_the_gradient_of_the_exponential():
    backend, layer, h = get_backend("numpy:eager"), Exponential(), 1e-6
    _, cache = layer.forward(backend, {}, X)
    dx, _ = layer.backward(backend, {}, cache, np.ones_like(X))
    differences = [layer.forward(backend, {}, X + step)[0] for step in (h, -h)]
    np.testing.assert_allclose(dx, (differences[0] - differences[1]) / (2 * h), rtol=1e-8)


@pytest.mark.parametrize("solver", SOLVERS, ids=["sgd", "adam", "early stopping", "lbfgs"])
@pytest.mark.parametrize(("name", "y", "settings"), RUNS, ids=NAMES)
def test_estimators_are_converted_from_and_to_scikit_learn(name, y, settings, solver):
    """Without shuffling, both copies continue as the original does."""
    if "early_stopping" in solver and y is BINARY:
        y = (y == "yes").astype(int)  # scikit-learn 1.7 cannot score strings
    small = {"hidden_layer_sizes": (7, 5), "max_iter": 4, "random_state": 3, "shuffle": False}
    theirs = getattr(reference, name)(**small | settings | solver, batch_size=25).fit(X, y)
    ours = OURS[name].from_sklearn(theirs)
    again = ours.to_sklearn()
    np.testing.assert_allclose(results(ours), results(theirs), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_array_equal(results(again), results(theirs))
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y))
    for attribute in ("loss_", "n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(ours, attribute) == getattr(theirs, attribute) == getattr(again, attribute)
    assert getattr(again, "loss_curve_", None) == getattr(theirs, "loss_curve_", None)
    if solver["solver"] == "lbfgs" or "early_stopping" in solver:
        return
    for model in (theirs, ours, again):
        model.partial_fit(X, y).partial_fit(X, y)
    np.testing.assert_allclose(results(ours), results(theirs), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(results(again), results(theirs), rtol=1e-12, atol=1e-14)


def test_learned_attributes_are_copied():
    theirs = reference.MLPClassifier((5,), early_stopping=True, max_iter=5, random_state=0)
    theirs.fit(X.astype(np.float32), Y % 2)
    theirs.feature_names_in_ = np.array(["a", "b", "c", "d"], dtype=object)
    ours = MLPClassifier.from_sklearn(theirs, backend="numpy:eager")
    assert ours.get_params()["backend"] == "numpy:eager"
    assert {array.dtype for array in ours.coefs_} == {np.dtype("float32")}
    again = ours.to_sklearn()
    for model in (ours, again):
        assert list(model.feature_names_in_) == ["a", "b", "c", "d"]
        assert list(model.classes_) == [0, 1]
        assert model.validation_scores_ == theirs.validation_scores_
        assert model.best_validation_score_ == theirs.best_validation_score_
    assert vars(again).keys() == vars(theirs).keys()


def test_copies_share_no_state():
    theirs = reference.MLPRegressor(hidden_layer_sizes=(5,), max_iter=2).fit(X, NUMBERS)
    before = theirs.predict(X)
    ours = MLPRegressor.from_sklearn(theirs)
    ours.partial_fit(X, NUMBERS)
    predicted = ours.predict(X)
    ours.to_sklearn().partial_fit(X, NUMBERS)
    np.testing.assert_array_equal(theirs.predict(X), before)
    np.testing.assert_array_equal(ours.predict(X), predicted)


def test_training_continues_in_scikit_learn():
    settings = {"hidden_layer_sizes": (5,), "solver": "sgd", "shuffle": False, "random_state": 0}
    ours = MLPClassifier(**settings, learning_rate="adaptive").partial_fit(X, Y, classes=[0, 1, 2])
    theirs = ours.to_sklearn()
    for model in (ours, theirs):
        model.partial_fit(X, Y)
    np.testing.assert_allclose(results(ours), results(theirs), rtol=1e-12)


def test_scikit_learn_continues_to_count_epochs_without_an_improvement():
    settings = {"tol": 9.0, "n_iter_no_change": 5, "warm_start": True, "random_state": 0}
    ours = MLPClassifier((5,), max_iter=4, **settings).fit(X, Y)
    theirs = ours.to_sklearn()
    for model in (ours, theirs):
        model.set_params(max_iter=50).fit(X, Y)
    assert len(ours.loss_curve_) == len(theirs.loss_curve_) == 7


@pytest.mark.parametrize(
    ("solver", "changed"),
    [
        ("sgd", {"momentum": 0.5}),
        ("sgd", {"momentum": 0.0}),
        ("sgd", {"nesterovs_momentum": False}),
        ("adam", {"beta_1": 0.5}),
    ],
)
def test_a_solver_with_a_changed_parameter_restarts_in_scikit_learn_too(solver, changed):
    settings = {"hidden_layer_sizes": (5,), "solver": solver, "shuffle": False, "random_state": 0}
    ours = MLPClassifier(**settings, max_iter=5).fit(X, Y).set_params(**changed)
    theirs = ours.to_sklearn()
    for model in (ours, theirs):
        model.partial_fit(X, Y)
    np.testing.assert_allclose(results(ours), results(theirs), rtol=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 1e-50, 1e-20, np.float64(0.9)])
def test_velocities_are_finite_and_of_the_dtype_for_any_momentum(momentum):
    x = X.astype(np.float32)
    ours = MLPClassifier((5,), solver="sgd", momentum=momentum, max_iter=3, random_state=0).fit(x, Y)
    theirs = ours.to_sklearn()
    velocities = theirs._optimizer.velocities
    assert all(each.dtype == np.float32 and np.isfinite(each).all() for each in velocities)
    assert np.isfinite(theirs.partial_fit(x, Y).loss_)


@pytest.mark.parametrize("solver", SOLVERS[:2], ids=["sgd", "adam"])
def test_a_reduced_learning_rate_is_converted_from_and_to_scikit_learn(solver):
    plateau = ReduceLearningRateOnPlateau("loss", patience=1, min_delta=100.0, factor=0.1)
    settings = {"hidden_layer_sizes": (5,), "shuffle": False, "random_state": 0, "max_iter": 3}
    ours = MLPClassifier(**settings | solver, callbacks=plateau).fit(X, Y).set_params(callbacks=None)
    theirs = ours.to_sklearn()
    again = MLPClassifier.from_sklearn(theirs)
    for model in (ours, theirs, again):
        model.partial_fit(X, Y).partial_fit(X, Y)
    for model in (theirs, again):
        np.testing.assert_allclose(results(model), results(ours), rtol=1e-7)


def test_a_loss_on_another_scale_does_not_stop_the_training():
    """For several outputs, our loss is larger than theirs, and their best must not count."""
    theirs = reference.MLPRegressor(hidden_layer_sizes=(5,), max_iter=300, warm_start=True)
    ours = MLPRegressor.from_sklearn(theirs.fit(X, NUMBERS)).set_params(max_iter=20)
    assert ours.fit(X, NUMBERS).n_iter_ == 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 0.1}, "to_sklearn: dropout: scikit-learn's MLPClassifier has no such parameter"),
        ({"batch_norm": True}, "to_sklearn: batch_norm"),
        ({"layer_norm": True}, "to_sklearn: layer_norm"),
        ({"loss": SoftmaxCrossEntropy()}, "to_sklearn: loss: .*expected 'log_loss'"),
        ({"class_weight": "balanced"}, "to_sklearn: class_weight"),
        ({"callbacks": [print]}, "to_sklearn: callbacks"),
        ({"activation": "elu"}, "The 'activation' parameter of MLPClassifier"),
        ({"activation": Tanh()}, "The 'activation' parameter of MLPClassifier"),
        ({"activation": (ReLU(), "relu")}, "The 'activation' parameter of MLPClassifier"),
    ],
)
def test_parameters_that_scikit_learn_lacks_raise(settings, message, capsys):
    model = MLPClassifier((5, 4), max_iter=1, **settings).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        model.to_sklearn()


def test_losses_that_scikit_learn_lacks_raise():
    model = MLPRegressor("huber", (5,), max_iter=1).fit(X, NUMBERS)
    with pytest.raises(ValueError, match="The 'loss' parameter of MLPRegressor"):
        model.to_sklearn()


def test_parameters_of_the_model_that_changed_after_the_fit_raise():
    model = MLPClassifier((5,), dropout=0.2, batch_norm=True, max_iter=1).fit(X, Y)
    with pytest.raises(ValueError, match="expected the parameters of the last fit"):
        model.set_params(dropout=0.0, batch_norm=False).to_sklearn()
    model = MLPClassifier((5,), dropout=0.2, max_iter=1).fit(X, Y).set_params(dropout=0.0)
    np.testing.assert_allclose(results(model.to_sklearn()), results(model), rtol=1e-12)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"hidden_layer_sizes": 6},
            r"hidden_layer_sizes: expected \[5\], as in the last fit, got \[6\]:",
        ),
        (
            {"hidden_layer_sizes": (5, 5)},
            r"hidden_layer_sizes: expected \[5\].* got \[5, 5\]: set it back",
        ),
        ({"loss": "poisson"}, "the out_activation_ of loss: expected identity, .*got exp"),
    ],
)
def test_parameters_that_changed_after_the_fit_in_scikit_learn_raise(changed, message):
    theirs = reference.MLPRegressor(hidden_layer_sizes=(5,), max_iter=1).fit(X, NUMBERS)
    with pytest.raises(ValueError, match=f"^from_sklearn: {message}"):
        MLPRegressor.from_sklearn(theirs.set_params(**changed))


def test_other_classes_and_unfitted_estimators_raise():
    with pytest.raises(TypeError, match="from_sklearn: expected a MLPClassifier of sklearn"):
        MLPClassifier.from_sklearn(reference.MLPRegressor())
    for convert in (
        lambda: MLPClassifier.from_sklearn(reference.MLPClassifier()),
        MLPRegressor().to_sklearn,
    ):
        with pytest.raises(NotFittedError):
            convert()
