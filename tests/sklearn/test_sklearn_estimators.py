"""The estimators compared with scikit-learn's own, and their additional features."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn import config_context
from sklearn import neural_network as reference
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from multinn import BinaryFocal, Tanh
from multinn.sklearn import MLPClassifier, MLPRegressor
from multinn.sklearn import trainer as trainer_module
from multinn.sklearn.trainer import PenalizedTrainer
from tests.support.estimator_runs import BINARY, LABELS, NUMBERS, X, Y, assert_same_parameters

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WEIGHTS = np.random.default_rng(1).uniform(0.5, 2.0, size=60)
SMALL = {"hidden_layer_sizes": (7, 5), "max_iter": 4, "random_state": 3}
TARGETS = {"classes": Y, "binary": BINARY, "labels": LABELS}


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_and_defaults_are_those_of_scikit_learn(name):
    theirs = getattr(reference, name)().get_params()
    ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[name]().get_params()
    assert {key: ours[key] for key in theirs} == theirs


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "sgd", "learning_rate_init": 0.1},
        {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5, "learning_rate": "invscaling"},
        {"solver": "sgd", "activation": "logistic", "shuffle": False, "batch_size": 25, "alpha": 1.0},
    ],
)
def test_sgd_takes_the_steps_of_scikit_learn(target, settings):
    y = TARGETS[target]
    ours, theirs = (
        kind(**SMALL | settings).fit(X, y) for kind in (MLPClassifier, reference.MLPClassifier)
    )
    assert_same_parameters(ours, theirs, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.best_loss_ == pytest.approx(theirs.best_loss_)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_regression_takes_the_steps_of_scikit_learn(loss):
    y = np.abs(NUMBERS)
    settings = SMALL | {"loss": loss, "solver": "sgd", "learning_rate_init": 0.01}
    ours, theirs = (kind(**settings).fit(X, y) for kind in (MLPRegressor, reference.MLPRegressor))
    assert_same_parameters(ours, theirs, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    # For two outputs, our squared error is the sum, and theirs the mean.
    scale = 2.0 if loss == "squared_error" else 1.0
    settings["alpha"] = 0.0
    ours, theirs = (kind(**settings).fit(X, y) for kind in (MLPRegressor, reference.MLPRegressor))
    np.testing.assert_allclose(ours.loss_curve_, scale * np.array(theirs.loss_curve_), rtol=1e-9)


@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
def test_adam_takes_the_steps_of_scikit_learn(epsilon):
    ours, theirs = (
        kind(**SMALL, activation="tanh", epsilon=epsilon).fit(X, Y, WEIGHTS)
        for kind in (MLPClassifier, reference.MLPClassifier)
    )
    assert_same_parameters(ours, theirs, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("rate", ["constant", "adaptive"])
def test_it_stops_when_scikit_learn_stops(rate, early_stopping):
    settings = {
        "hidden_layer_sizes": (5,),
        "solver": "sgd",
        "learning_rate": rate,
        "learning_rate_init": 0.2,
        "random_state": 0,
        "tol": 1e-3,
        "n_iter_no_change": 3,
        "max_iter": 300,
        "early_stopping": early_stopping,
        "validation_fraction": 0.2,
    }
    ours, theirs = (
        kind(**settings).fit(X, LABELS[:, 0]) for kind in (MLPClassifier, reference.MLPClassifier)
    )
    assert ours.n_iter_ == theirs.n_iter_ < 300
    assert ours.validation_scores_ == theirs.validation_scores_
    assert ours.best_validation_score_ == theirs.best_validation_score_
    assert_same_parameters(ours, theirs, rtol=1e-7, atol=1e-9)


def test_accuracy_is_that_of_scikit_learn():
    inputs, classes = load_digits(return_X_y=True)
    scores = []
    for seed in range(3):
        train, test, train_y, test_y = train_test_split(inputs / 16, classes, random_state=seed)
        models = [
            kind(random_state=seed, max_iter=30) for kind in (MLPClassifier, reference.MLPClassifier)
        ]
        scores.append([model.fit(train, train_y).score(test, test_y) for model in models])
    ours, theirs = np.mean(scores, axis=0)
    assert ours > theirs - 0.003


@pytest.mark.parametrize("name", ["jax", "numpy"])
def test_backends_agree(name):
    if name == "jax":
        pytest.importorskip("jax")
    model = MLPClassifier((5,), backend=name, max_iter=2, random_state=0, early_stopping=True).fit(X, Y)
    expected = MLPClassifier((5,), max_iter=2, random_state=0, early_stopping=True).fit(X, Y)
    assert_same_parameters(model, expected, rtol=1e-9, atol=1e-10)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("y", [NUMBERS, NUMBERS[:, 0]], ids=["two", "one"])
def test_lbfgs_has_the_gradient_of_its_loss(y):
    """At the minimum, no step along a weight lowers the loss."""
    model = MLPRegressor(
        "squared_error", (3,), "tanh", solver="lbfgs", max_iter=5000, tol=1e-7, random_state=0, alpha=0.1
    )
    model.fit(X, y)

    def loss():
        error = model.predict(X) - y
        penalty = sum(float(np.sum(W * W)) for W in model.coefs_)
        return (0.5 * float(np.sum(error**2)) + 0.05 * penalty) / len(X)

    assert model.loss_ == pytest.approx(loss())
    least = loss()
    for index, W in enumerate(list(model.coefs_)):
        for sign in (-1e-4, 1e-4):
            changed = W.copy()
            changed[0, 0] += sign
            model.coefs_[index] = changed
            assert loss() > least
        model.coefs_[index] = W


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_warm_start_and_partial_fit_continue_exactly(solver):
    settings = {"hidden_layer_sizes": (5,), "solver": solver, "random_state": 0, "batch_size": 25}
    settings |= {"dropout": 0.2, "batch_norm": True}
    whole = MLPClassifier(**settings, max_iter=6).fit(X, Y)
    warm = MLPClassifier(**settings, max_iter=3, warm_start=True).fit(X, Y).fit(X, Y)
    assert_same_parameters(whole, warm, rtol=0)
    assert warm.loss_curve_ == whole.loss_curve_
    step = MLPClassifier(**settings)
    for _ in range(3):
        step.partial_fit(X, Y, classes=[0, 1, 2])
    step = pickle.loads(pickle.dumps(step))
    for _ in range(3):
        step.partial_fit(X, Y)
    assert_same_parameters(whole, step, rtol=0)


def test_warm_start_takes_new_parameters():
    model = MLPClassifier((5,), solver="sgd", max_iter=2, warm_start=True, random_state=0).fit(X, Y)
    model.set_params(learning_rate_init=0.5).fit(X, Y)
    assert model.trainer_.rate == 0.5
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        model.set_params(hidden_layer_sizes=(6,)).fit(X, Y)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize(
    ("before", "after", "layers"),
    [
        (0.2, 0.0, ["ReLU", "ReLU"]),
        (0.0, 0.2, ["ReLU", "Dropout", "ReLU", "Dropout"]),
        ((0.0, 0.3), (0.3, 0.0), ["ReLU", "Dropout", "ReLU"]),
    ],
)
def test_warm_start_takes_another_dropout(solver, before, after, layers):
    model = MLPClassifier((5, 4), solver=solver, max_iter=2, warm_start=True, batch_norm=True)
    model.set_params(dropout=before, random_state=0).fit(X, Y)
    state, coefs = model.trainer_.snapshot(), list(model.coefs_)
    model.set_params(dropout=after, learning_rate_init=1e-12, max_iter=1).fit(X, Y)
    names = [type(layer).__name__ for layer in model.trainer_.model.layers]
    assert [name for name in names if name in ("ReLU", "Dropout")] == layers
    for one, other in zip(coefs, model.coefs_, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-2)
    if solver == "adam":
        assert model.trainer_.snapshot().optimizer_state["step"] == state.optimizer_state["step"] + 1


def test_the_best_epoch_is_restored_with_another_dropout():
    model = MLPClassifier(**SMALL, early_stopping=True, warm_start=True).fit(X, Y)
    best = list(model.coefs_)
    model.set_params(dropout=0.2, learning_rate_init=1e-9).fit(X, Y)
    assert len(model.validation_scores_) == 8
    for one, other in zip(best, model.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("before", "after"),
    [({"solver": "lbfgs"}, {"solver": "sgd"}), ({"solver": "adam"}, {"early_stopping": True})],
)
def test_warm_start_takes_another_solver(before, after):
    model = MLPClassifier((5,), max_iter=3, warm_start=True, random_state=0, **before).fit(X, Y)
    start = model.coefs_[0]
    model.set_params(learning_rate_init=1e-9, **after).fit(X, Y)
    np.testing.assert_allclose(model.coefs_[0], start, atol=1e-6)
    assert len(model.loss_curve_) == 3


def test_a_solver_restarts_after_another():
    """The first step of Adam is the learning rate in every direction, whatever the gradient."""
    model = MLPClassifier((5,), "tanh", batch_size=60, max_iter=3, warm_start=True, random_state=0)
    model.fit(X, Y).set_params(solver="lbfgs").fit(X, Y)
    before = model.coefs_[0]
    model.set_params(solver="adam", max_iter=1).fit(X, Y)
    np.testing.assert_allclose(np.abs(model.coefs_[0] - before), 0.001, rtol=1e-3)


@pytest.mark.parametrize("other", ["adam", "lbfgs"])
def test_velocities_are_dropped_with_their_solver(other):
    settings = {"solver": "sgd", "learning_rate_init": 0.5, "momentum": 0.99}
    model = MLPClassifier((5,), **settings, max_iter=3, warm_start=True, random_state=0).fit(X, Y)
    before = model.set_params(solver=other).fit(X, Y).coefs_[0]
    model.set_params(solver="sgd", learning_rate_init=1e-9, max_iter=1).fit(X, Y)
    np.testing.assert_allclose(model.coefs_[0], before, atol=1e-6)


def test_partial_fit_continues_after_a_fit_that_stopped():
    model = MLPClassifier((5,), tol=1.0, max_iter=50, early_stopping=True, random_state=0).fit(X, Y)
    assert model.converged_
    before = model.coefs_[0]
    model.partial_fit(X, Y)
    assert not np.array_equal(before, model.coefs_[0])


def test_partial_fit_stops_early():
    model = MLPClassifier(
        (5,), learning_rate_init=0.05, early_stopping=True, n_iter_no_change=2, random_state=0
    )
    for _ in range(200):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    assert model.converged_
    assert len(model.loss_curve_) < 200
    best = max(model.validation_scores_)
    assert model.best_validation_score_ == best


def test_validation_data_are_evaluated():
    model = MLPClassifier((5,), max_iter=3, random_state=0)
    model.fit(X, Y, validation_data=(X[:20], Y[:20]))
    assert len(model.validation_loss_curve_) == 3
    assert model.validation_scores_ is None
    model.set_params(early_stopping=True).fit(X, Y, validation_data=(X[:20], Y[:20]))
    assert len(model.validation_scores_) == 3
    expected = r"^validation_data: expected \(X, y\) or \(X, y, sample_weight\), got "
    with pytest.raises(ValueError, match=f"{expected}ndarray"):
        model.fit(X, Y, validation_data=X)
    with pytest.raises(ValueError, match=f"{expected}a tuple of 4: ndarray of .*, NoneType, list"):
        model.fit(X, Y, validation_data=(X, Y, None, []))
    with pytest.raises(ValueError, match="validation_data: Input X contains NaN"):
        model.fit(X, Y, validation_data=(X * np.nan, Y))
    with pytest.raises(ValueError, match="validation_data: solver='lbfgs' has no epochs"):
        model.set_params(solver="lbfgs").fit(X, Y, validation_data=(X, Y))


def test_callbacks_see_each_epoch_and_can_stop():
    seen = []

    def callback(model):
        seen.append(model.n_iter_)
        return model.n_iter_ == 3

    MLPClassifier((5,), callbacks=callback).fit(X, Y)
    assert seen == [1, 2, 3]


@pytest.mark.parametrize(
    ("solver", "validation_data"), [("adam", None), ("adam", (X, Y)), ("lbfgs", None)]
)
def test_examples_are_checked_and_placed_once_a_fit(monkeypatch, solver, validation_data):
    calls = []

    def count(owner, name):
        counted = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given: (calls.append(name), counted(*given))[1])

    count(trainer_module, "check_examples")
    count(PenalizedTrainer, "place")
    count(PenalizedTrainer, "place_inputs")
    MLPClassifier(**SMALL, solver=solver).fit(X, Y, validation_data=validation_data)
    assert calls.count("check_examples") == (1 if validation_data is None else 2)
    assert calls.count("place") == 1
    assert calls.count("place_inputs") == (0 if validation_data is None else 1)


def test_validation_data_that_do_not_fit_the_loss_raise_before_training():
    model = MLPRegressor("poisson", (5,), max_iter=1).fit(X, np.abs(NUMBERS))
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"^validation_data: y: "):
        model.fit(X, np.abs(NUMBERS), validation_data=(X, -1.0 - np.abs(NUMBERS)))
    assert vars(model) == before


def test_both_parts_need_weights_above_zero():
    with pytest.raises(ValueError, match="sample_weight: expected weights above 0 in both the training"):
        MLPClassifier(**SMALL, early_stopping=True).fit(X, Y, np.arange(60) == 0)


def test_verbose_shows_progress(capsys):
    MLPClassifier((5,), max_iter=2, verbose=True).fit(X, Y)
    MLPClassifier((5,), max_iter=2, verbose=True, solver="lbfgs").fit(X, Y)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "epoch 2/2  loss" in captured.err
    assert "iteration 2/2  loss" in captured.err
    MLPClassifier((5,), max_iter=3, verbose=True, n_iter_no_change=np.inf).fit(X, Y)
    lines = capsys.readouterr().err.splitlines()
    assert [lines[0][:9], lines[-1][:9]] == ["epoch 1/3", "epoch 3/3"]
    MLPClassifier((5,), max_iter=2, verbose=True, early_stopping=True).fit(X, Y)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.split()[2::2] == ["loss", "validation_loss", "validation_score"]
    model = MLPClassifier((5,), verbose=True).partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, Y)
    assert [line[:9] for line in capsys.readouterr().err.splitlines()] == ["epoch 1/1"] * 2
    model.set_params(tol=9.0, n_iter_no_change=2).fit(X, Y)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "Stopped: in 2 epochs the training loss has not improved by more than tol=9.0."


@pytest.mark.filterwarnings("ignore:The number of unique classes is greater than 50%")
@pytest.mark.parametrize("y", [np.where(np.arange(60) < 57, Y, np.arange(60)), np.arange(60)])
def test_early_stopping_accepts_classes_of_one_example(y):
    """The split cannot be stratified by such classes."""
    model = MLPClassifier((5,), max_iter=2, early_stopping=True, random_state=0).fit(X, y)
    assert len(model.validation_scores_) == 2
    model.partial_fit(X[-20:], y[-20:])


def test_layers_differ():
    model = MLPClassifier(
        (6, 5), ("gelu", Tanh()), dropout=(0.0, 0.3), batch_norm=True, layer_norm=True, max_iter=2
    ).fit(X, Y)
    names = [type(layer).__name__ for layer in model.trainer_.model.layers]
    dense = ["PenalizedDense", "BatchNorm", "LayerNorm"]
    assert names == [*dense, "GELU", *dense, "Tanh", "Dropout", "PenalizedDense"]
    assert [W.shape for W in model.coefs_] == [(4, 6), (6, 5), (5, 3)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(dtype):
    model = MLPClassifier((5,), max_iter=2).fit(X.astype(dtype), Y)
    assert {array.dtype for array in model.coefs_ + model.intercepts_} == {np.dtype(dtype)}
    assert model.predict_proba(X.astype(dtype)).dtype == dtype


@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix"])
def test_sparse_is_as_dense(kind):
    sparse = getattr(scipy.sparse, kind)(np.where(np.abs(X) > 0.5, X, 0.0))
    model = MLPClassifier((5,), max_iter=2, random_state=0).fit(sparse, Y)
    dense = MLPClassifier((5,), max_iter=2, random_state=0).fit(sparse.toarray(), Y)
    assert_same_parameters(model, dense, rtol=0)
    np.testing.assert_array_equal(model.predict_proba(sparse), dense.predict_proba(sparse.toarray()))


@pytest.mark.parametrize("y", [Y, BINARY, LABELS], ids=TARGETS)
def test_logarithms_of_probabilities_stay_finite(y):
    model = MLPClassifier((5,), max_iter=2).fit(X, y)
    log_p = model.predict_log_proba(1e6 * X)
    assert np.isfinite(log_p).all()
    assert log_p.min() < -1000


@pytest.mark.parametrize("y", [Y, BINARY, LABELS], ids=TARGETS)
def test_no_probability_is_zero(y):
    model = MLPClassifier((5,), max_iter=2).fit(X, y)
    assert model.predict_proba(1e6 * X).min() > 0.0


def test_coefficients_can_be_set():
    model = MLPRegressor(hidden_layer_sizes=(5,), max_iter=2).fit(X, NUMBERS)
    model.coefs_[1] = np.zeros((5, 2))
    model.intercepts_ = [np.zeros(5), np.array([1.0, 2.0])]
    np.testing.assert_array_equal(model.predict(X[:1]), [[1.0, 2.0]])
    before = [*model.coefs_, *model.intercepts_]
    for value, error, message in (
        (
            np.zeros((2, 2)),
            ValueError,
            r"parameter coefs_\[1\]: expected shape \(5, 2\), .*got \(2, 2\)",
        ),
        (np.full((5, 2), "a"), TypeError, r"parameter coefs_\[1\]: expected numbers, got .* <U1"),
        (
            np.full((5, 2), np.nan),
            ValueError,
            r"parameter coefs_\[1\]: expected finite numbers, got nan",
        ),
        (None, TypeError, r"parameter coefs_\[1\]: expected numbers"),
    ):
        with pytest.raises(error, match=f"^{message}"):
            model.coefs_[1] = value
    with pytest.raises(ValueError, match=r"^parameter intercepts_\[0\]: expected shape \(5,\)"):
        model.intercepts_ = [np.zeros(4), np.zeros(2)]
    with pytest.raises(TypeError, match=r"^intercepts_: expected a list of arrays, got NoneType"):
        model.intercepts_ = None
    for one, other in zip(before, [*model.coefs_, *model.intercepts_], strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match=r"^coefs_: expected 2 arrays, one for each dense layer, got 1"):
        model.coefs_ = model.coefs_[:1]
    with pytest.raises(ValueError, match="read-only"):
        model.coefs_[0][0] = 1.0


def test_assume_finite_skips_the_check():
    model = MLPClassifier((5,), max_iter=2, random_state=0).fit(X, Y)
    x = np.where(np.arange(60)[:, None] == 3, np.nan, X)
    with config_context(assume_finite=True):
        probabilities = model.predict_proba(x)
    np.testing.assert_array_equal(np.isnan(probabilities).any(axis=1), np.arange(60) == 3)


def test_weights_count_as_repetitions():
    counts = np.arange(60) % 3
    settings = {"hidden_layer_sizes": (5,), "solver": "lbfgs", "max_iter": 5, "random_state": 0}
    weighted = MLPClassifier(**settings, alpha=1.0).fit(X, Y, counts)
    repeated = MLPClassifier(**settings, alpha=1.0).fit(
        np.repeat(X, counts, axis=0), np.repeat(Y, counts)
    )
    assert_same_parameters(weighted, repeated, rtol=1e-7, atol=1e-9)


def test_it_works_in_a_pipeline_and_a_search():
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((5,), max_iter=3, random_state=0))
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1.0]}, cv=2, n_jobs=2).fit(X, Y)
    assert search.predict(X).shape == (60,)
    assert cross_val_predict(clone(pipeline).set_output(transform="default"), X, Y, cv=2).shape == (60,)


def test_a_fit_that_does_not_converge_warns():
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        MLPClassifier((5,), max_iter=2).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        MLPClassifier((5,), max_iter=2, solver="lbfgs").fit(X, Y)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "swish"}, "activation: expected one of identity"),
        ({"activation": ("relu",)}, "activation: expected one value, or one for each of 2"),
        ({"dropout": (0.1, 0.2, 0.3)}, "dropout: expected one value"),
        ({"loss": "mse"}, "loss: expected 'log_loss'"),
        ({"loss": BinaryFocal()}, "loss: expected a loss for classes"),
        ({"alpha": -1.0}, "alpha"),
        ({"class_weight": {0: -1.0}}, "class_weight: expected 0 or more, got -1.0 at row"),
        ({"class_weight": "equal"}, "'class_weight' parameter of MLPClassifier"),
        ({"early_stopping": True, "validation_fraction": 0.0}, "or give validation_data"),
    ],
)
def test_invalid_parameters_raise(settings, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**SMALL | settings).fit(X, Y)


def test_classes_of_labels_are_the_indices_of_columns():
    with pytest.raises(ValueError, match=r"classes: expected the index of each column of y, \[0 1 2\]"):
        MLPClassifier().partial_fit(X, LABELS, classes=[0, 1])


def test_sparse_targets_of_a_regressor_raise():
    with pytest.raises(TypeError, match=r"y: expected a dense array, got a sparse csr_array: use y\."):
        MLPRegressor().fit(X, scipy.sparse.csr_array(NUMBERS))


def test_lbfgs_has_no_partial_fit():
    with pytest.raises(AttributeError, match="partial_fit"):
        MLPRegressor(solver="lbfgs").partial_fit(X, NUMBERS)
    assert hasattr(MLPRegressor(), "partial_fit")
    assert not hasattr(MLPRegressor(), "coefs_")


def test_the_first_fit_of_a_regressor_can_have_validation_data():
    x, y = np.random.default_rng(0).normal(size=(2, 40, 3))
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, n_iter_no_change=3)
    model.fit(x, y[:, 0], validation_data=(x, y[:, 0]))
    model.fit(x, y, validation_data=(x, y))
    assert len(model.validation_loss_curve_) == 3


def test_lbfgs_deletes_the_curves_of_the_last_fit():
    x = np.random.default_rng(0).normal(size=(80, 3))
    y = (x[:, 0] > 0).astype(int)
    model = MLPClassifier(
        (5,), early_stopping=True, max_iter=30, learning_rate_init=0.05, random_state=0
    )
    model.fit(x, y)
    model.set_params(solver="lbfgs", max_iter=100).fit(x, 1 - y)
    assert not hasattr(model, "loss_curve_")
    model.set_params(solver="adam", warm_start=True, max_iter=2, learning_rate_init=1e-6)
    assert model.fit(x, 1 - y).score(x, 1 - y) == 1.0


def test_lbfgs_reports_whether_it_converged():
    x = np.random.default_rng(0).normal(size=(40, 3))
    model = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", max_iter=5000, tol=1e-3).fit(
        x, x[:, 0]
    )
    assert model.converged_
    with pytest.warns(ConvergenceWarning):
        assert not model.set_params(max_iter=1).fit(x, x[:, 0]).converged_


@pytest.mark.parametrize(
    ("weights", "message"),
    [(-np.ones(60), r"0 or more, got -1\.0 at row 0"), (np.arange(60) == 0, "weights above 0 in both")],
    ids=["before parameters are drawn", "after parameters are drawn"],
)
def test_a_fit_that_raises_draws_nothing_from_a_random_state(weights, message):
    random_state = np.random.RandomState(0)
    with pytest.raises(ValueError, match=f"sample_weight: expected {message}"):
        MLPClassifier(random_state=random_state, early_stopping=True).fit(X, Y, weights)
    assert random_state.uniform() == np.random.RandomState(0).uniform()
