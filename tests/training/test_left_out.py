"""Examples of weight 0 are left out: nothing that training or an evaluation gives depends on them."""

from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from multinn import (
    R2,
    SGD,
    Adam,
    BatchNorm,
    Dense,
    HalfSquaredError,
    MeanSquaredError,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    Trainer,
)
from multinn.sklearn import MLPClassifier, MLPRegressor
from tests.support.small_runs import X, Y, assert_same_bits, fit, make_trainer

MODEL = Sequential([Dense(4), BatchNorm(), ReLU(), Dense(4), ReLU(), Dense(2)])
WEIGHTS = np.array([1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0])  # a batch has only zeros
LEFT_OUT = WEIGHTS == 0
STRANGE = {"inputs": (3e38, 0.0), "targets": (0.0, -3e38), "both": (-3e38, 3e38)}

mostly_eager = pytest.mark.parametrize("backend", ["numpy", "array_api_strict"], indirect=True)
strange = pytest.mark.parametrize("wrong", STRANGE.values(), ids=STRANGE)


def replaced(x: Any, y: Any, wrong: tuple[float, float]) -> dict[str, Any]:
    """Return the data with other numbers in the examples of weight 0."""
    x, y = np.array(x), np.array(y)
    x[LEFT_OUT], y[LEFT_OUT] = wrong
    return {"x": x, "y": y}


def test_an_example_of_weight_0_does_not_diverge(backend):
    trainer = Trainer(Dense(1), MeanSquaredError(), SGD(1e-3), backend=backend)
    trainer.initialize((2,), {"W": np.array([[0.5], [0.25]]), "b": np.zeros(1)})
    targets, weights = [[1.0], [1.0], [1.0], [1e20]], [1, 1, 1, 0]
    history = trainer.fit(
        np.ones((4, 2)), targets, weights=weights, epochs=1, batch_size=2, progress=False
    )
    # The error is -0.25, then, after a step against 2 · -0.25 · 4/3 for x1, x2 and b, a little less.
    after = -0.25 + 3.0 * 1e-3 * 0.5 * 4.0 / 3.0
    np.testing.assert_allclose(history["loss"], [(2.0 * 0.25**2 + after**2) / 3.0], rtol=1e-6)
    assert trainer.evaluate(np.ones((4, 2)), targets, weights=weights)["loss"] < 0.0625


@mostly_eager
@strange
@pytest.mark.parametrize("loss", [MeanSquaredError(), HalfSquaredError()], ids=str)
def test_a_run_does_not_depend_on_examples_of_weight_0(backend, wrong, loss):
    """Their hidden numbers overflow: 0 · ∞ would be in the gradients, ∞ in the statistics of a batch."""
    plain, other = (make_trainer(backend, MODEL, loss, metrics={"r2": R2()}) for _ in range(2))
    settings = {"weights": WEIGHTS, "shuffle": False}
    fit(plain, 2, **settings)
    fit(other, 2, **settings, **replaced(X, Y, wrong))
    assert_same_bits(plain, other)
    assert list(plain.history) == list(other.history)
    evaluated = plain.evaluate(X, Y, weights=WEIGHTS, batch_size=4)
    assert evaluated == other.evaluate(**replaced(X, Y, wrong), weights=WEIGHTS, batch_size=4)
    assert np.isfinite(list(evaluated.values())).all()


@mostly_eager
@strange
def test_batches_do_not_depend_on_examples_of_weight_0(backend, wrong):
    plain, other = (make_trainer(backend, MODEL, optimizer=Adam(0.01)) for _ in range(2))
    for trainer, data in ((plain, {"x": X, "y": Y}), (other, replaced(X, Y, wrong))):
        parts = [(0, 4), (4, 8), (8, 10)]
        batches = [(data["x"][a:b], data["y"][a:b], WEIGHTS[a:b]) for a, b in parts]
        trainer.fit_batches(batches, epochs=2, progress=False)
    assert_same_bits(plain, other)
    assert list(plain.history) == list(other.history)


def test_a_batch_of_weights_0_leaves_the_statistics_of_normalizations():
    trainer = make_trainer("numpy", MODEL)
    trainer.fit_batches([(X, Y)], epochs=1, progress=False)
    before = trainer.backend.to_numpy(trainer.state.layer_state)[1]
    trainer.fit_batches([(X, Y, np.ones(10)), (X, Y, np.zeros(10))], epochs=1, progress=False)
    counted = trainer.backend.to_numpy(trainer.state.layer_state)[1]["mean_weight"]
    np.testing.assert_allclose(counted, 0.9 * before["mean_weight"] + 10.0)


def test_left_out_examples_are_replaced_in_turn():
    """So the statistics of a batch are those of the examples that count."""
    trainer = make_trainer("numpy", MODEL)
    weights = np.array([0.0, 1.0] * 5)
    fit(trainer, 1, batch_size=10, weights=weights)
    alone = make_trainer("numpy", MODEL)
    fit(alone, 1, batch_size=5, x=X[1::2], y=Y[1::2])
    means = (each.backend.to_numpy(each.state.layer_state)[1]["mean"] for each in (trainer, alone))
    np.testing.assert_allclose(*means, rtol=1e-5)


@mostly_eager
def test_a_class_of_weight_0_is_left_out(backend):
    classes = LEFT_OUT.astype(int)
    model = Sequential([Dense(3), ReLU(), Dense(2)])
    plain, other = (make_trainer(backend, model, SoftmaxCrossEntropy()) for _ in range(2))
    fit(plain, 2, y=classes, class_weights={1: 0.0})
    fit(other, 2, x=replaced(X, Y, (3e38, 0.0))["x"], y=classes, class_weights={1: 0.0})
    assert_same_bits(plain, other)
    assert np.isfinite(plain.history.losses).all()


@pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning")
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize("kind", [MLPRegressor, MLPClassifier])
def test_estimators_do_not_depend_on_examples_of_weight_0(kind, settings):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = x[:, 0] if kind is MLPRegressor else (x[:, 0] > 0.0).astype(int)
    weights = np.repeat([0.0, 1.0, 2.0], 20)
    results = []
    for wrong in (1.0, 1e200):
        x[:20] = wrong
        if kind is MLPRegressor:
            y[:20] = wrong
        model = kind(hidden_layer_sizes=4, max_iter=3, random_state=0, **settings).fit(x, y, weights)
        score = model.score(x, y, weights)
        results.append([*model.coefs_, model.loss_, score, getattr(model, "validation_scores_", None)])
    np.testing.assert_equal(results[1], results[0])
