"""The error table: events in training after which it continues, or stops in a valid state."""

import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn import neural_network as reference

from multinn import (
    SGD,
    BinaryCrossEntropy,
    Callback,
    Dense,
    DivergenceError,
    SoftmaxCrossEntropy,
    Trainer,
)
from multinn.schedules import StepDecay
from multinn.sklearn import lbfgs as lbfgs_module
from tests.faults.rows import Fault, Says, Success, check
from tests.faults.scene import SETTINGS, Scene
from tests.support.small_runs import X, Y, fit, host, make_trainer

# With three steps per epoch: the first six have rate 0.1, the seventh is far too large.
LARGE_STEP = SGD(StepDecay(0.1, 1e32, every=6))
LOGITS = 1e4 * np.array([[1.0, 0.0, -1.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])


def descend(batch_size: int, epochs: int) -> dict[str, np.ndarray]:
    """Return the result of gradient descent on the mean squared error of y = x W + b, from zeros."""
    W, b = np.zeros((3, 2)), np.zeros(2)
    for _ in range(epochs):
        for start in range(0, len(X), batch_size):
            x, y = X[start : start + batch_size], Y[start : start + batch_size]
            error = (x @ W + b - y) * 2.0 / y.size
            W, b = W - 0.1 * x.T @ error, b - 0.1 * error.sum(axis=0)
    return {"W": W, "b": b}


def run_from_zero(scene: Scene, batch_size: int) -> Any:
    trainer = scene.new_trainer()
    trainer.initialize((3,), ({"W": np.zeros((3, 2)), "b": np.zeros(2)},))
    return host(fit(trainer, 2, batch_size=batch_size, shuffle=False))[0][0]


def fit_coefficients(estimator: Any) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Stochastic Optimizer")  # one epoch is too few
        estimator.fit(X.astype(np.float64), Y)
    return list(estimator.coefs_), list(estimator.intercepts_)


def scikit_learn(batch_size: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_coefficients(
            reference.MLPRegressor(**SETTINGS | {"batch_size": batch_size, "shuffle": False})
        )


def at_large_logits(scene: Scene) -> Any:
    """Return the loss, and the biases after a step of 1."""
    trainer = make_trainer(scene.backend, Dense(3), SoftmaxCrossEntropy(), optimizer=SGD(1.0))
    trainer.initialize((3,), {"W": LOGITS, "b": np.zeros(3)})
    loss = fit(trainer, 1, x=np.eye(3), y=np.array([0, 0, 2])).history.losses
    return loss, host(trainer)[0]["b"]


def at_large_logits_by_hand(_: Scene) -> Any:
    log_p = log_softmax(LOGITS, axis=1)
    error = np.exp(log_p) - np.eye(3)[[0, 0, 2]]
    return [-np.mean(log_p[[0, 1, 2], [0, 0, 2]])], -error.mean(axis=0)


def at_large_binary_logits(scene: Scene) -> float:
    trainer = make_trainer(scene.backend, Dense(3), BinaryCrossEntropy(), optimizer=SGD(1.0))
    trainer.initialize((3,), {"W": LOGITS, "b": np.zeros(3)})
    return trainer.evaluate(np.eye(3), np.eye(3))["loss"]


def probabilities_at_large_logits(scene: Scene) -> Any:
    classifier = scene.classifier
    before = list(classifier.coefs_), list(classifier.intercepts_)
    try:
        classifier.coefs_ = [np.eye(3), LOGITS]
        classifier.intercepts_ = [np.zeros(3), np.zeros(3)]
        return classifier.predict_proba(np.eye(3)), classifier.predict_log_proba(np.eye(3))
    finally:
        classifier.coefs_, classifier.intercepts_ = before


class Interrupt(Callback):
    """Simulates Ctrl-C at the end of the second epoch."""

    def on_report(self, trainer: Trainer, record: dict[str, float]) -> None:
        if trainer.epoch == 2:
            signal.raise_signal(signal.SIGINT)


def interrupted_and_resumed(scene: Scene) -> Any:
    trainer = scene.new_trainer()
    history = trainer.fit(X, Y, epochs=9, batch_size=4, progress=False, callbacks=[Interrupt()])
    assert (history.interrupted, history["epoch"]) == (True, [1, 2])
    return run_content(fit(trainer, 1))


def undisturbed(scene: Scene, epochs: int) -> Trainer:
    trainer = scene.new_trainer()
    for _ in range(epochs):
        fit(trainer, 1)
    return trainer


def run_content(trainer: Trainer) -> Any:
    return host(trainer), trainer.history.losses, trainer.epoch, trainer.step


def interrupted_estimator(scene: Scene, interrupt: bool) -> Any:
    """Return the results of a regressor after two epochs, by Ctrl-C or max_iter."""

    def watch(regressor: Any) -> None:
        if interrupt and regressor.n_iter_ == 2:
            signal.raise_signal(signal.SIGINT)

    regressor = scene.new_regressor(max_iter=9 if interrupt else 2, callbacks=watch)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Stochastic Optimizer")
        regressor.fit(X, Y)
    return list(regressor.coefs_), regressor.loss_curve_, regressor.n_iter_, regressor.predict(X)


def lbfgs(scene: Scene, iterations: int, interrupt: bool) -> Any:
    """Return the results of a regressor after some iterations, ended by Ctrl-C or max_iter."""
    done = 0

    @contextmanager
    def progress(*_: Any) -> Iterator[Callable[..., None]]:
        def advance(*_: Any) -> None:
            nonlocal done
            done += 1
            if interrupt and done == iterations:
                signal.raise_signal(signal.SIGINT)

        yield advance

    regressor = scene.new_regressor(solver="lbfgs", max_iter=99 if interrupt else iterations)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(lbfgs_module, "progress", progress)
        warnings.filterwarnings("ignore", "lbfgs failed to converge")
        regressor.fit(X, Y)
    return list(regressor.coefs_), regressor.n_iter_, regressor.loss_


def failing_batches(scene: Scene) -> Any:
    """Return the state of a trainer whose batches fail in the third epoch."""

    def batches(epoch: int) -> Iterator[Any]:
        yield X, Y
        if epoch == 2:
            raise OSError("the disk is gone")

    trainer = scene.new_trainer()
    with pytest.raises(OSError, match="the disk is gone"):
        trainer.fit_batches(batches, epochs=9, progress=False)
    return host(trainer)[0], trainer.epoch, len(trainer.history)


def diverge(scene: Scene) -> None:
    scene.other = scene.new_trainer(optimizer=LARGE_STEP)
    fit(scene.other, 9, callbacks=[Callback()])


def has_the_epochs_before(scene: Scene, error: BaseException) -> None:
    """Check that the trainer holds the last finite parameters and the history of two epochs."""
    assert isinstance(error, DivergenceError)
    assert (error.epoch, error.step) == (3, 2)
    assert np.isfinite(host(scene.other)[0][0]["W"]).all()
    np.testing.assert_allclose(scene.other.history.losses, undisturbed(scene, 2).history.losses)
    assert (scene.other.epoch, scene.other.step) == (2, 6)


def diverge_by_data(scene: Scene) -> None:
    scene.other = scene.new_regressor(max_iter=9, callbacks=lambda _: None)
    scene.other.fit(X * np.float32(1e5), Y * np.float32(1e10))


def is_finite(scene: Scene, _: BaseException) -> None:
    assert np.isfinite(scene.other.predict(X)).all()


SUCCESSES = [
    Success(
        "a batch larger than the data, Trainer.fit",
        lambda s: run_from_zero(s, 999),
        lambda s: descend(10, 2),
    ),
    Success("a smaller last batch, Trainer.fit", lambda s: run_from_zero(s, 4), lambda s: descend(4, 2)),
    Success(
        "a batch larger than the data, MLPRegressor.fit",
        lambda s: fit_coefficients(s.new_regressor(batch_size=999)),
        lambda s: scikit_learn(10),
        tolerance=1e-9,
        warns="larger than sample size. It is going to be clipped",
    ),
    Success(
        "a smaller last batch, MLPRegressor.fit",
        lambda s: fit_coefficients(s.new_regressor(shuffle=False)),
        lambda s: scikit_learn(4),
        tolerance=1e-9,
    ),
    Success("logits of 10000, Trainer.fit", at_large_logits, at_large_logits_by_hand),
    Success(
        "logits of 10000 of two classes, Trainer.evaluate",
        at_large_binary_logits,
        lambda s: np.mean(np.logaddexp(0.0, LOGITS) - np.eye(3) * LOGITS),
    ),
    Success(
        "logits of 10000, MLPClassifier.predict_proba",
        probabilities_at_large_logits,
        lambda s: (np.exp(log_softmax(LOGITS, axis=1)), log_softmax(LOGITS, axis=1)),
    ),
    Success(
        "Ctrl-C, Trainer.fit continues later",
        interrupted_and_resumed,
        lambda s: run_content(undisturbed(s, 3)),
        tolerance=1e-6,
    ),
    Success(
        "Ctrl-C, MLPRegressor.fit",
        lambda s: interrupted_estimator(s, True),
        lambda s: interrupted_estimator(s, False),
        tolerance=1e-6,
        warns="Training interrupted by user.",
    ),
    Success(
        "Ctrl-C, MLPRegressor.fit with lbfgs",
        lambda s: lbfgs(s, 3, interrupt=True),
        lambda s: lbfgs(s, 3, interrupt=False),
        tolerance=1e-6,
        warns="Training interrupted by user.",
    ),
    Success(
        "an error in batches, Trainer.fit_batches",
        failing_batches,
        lambda s: (host(fit(s.new_trainer(), 2, batch_size=10))[0], 2, 2),
    ),
]


DIVERGED = Says(
    "training diverged:", "the last finite parameters", "NaN or infinite", "a smaller learning rate"
)

FAULTS = [
    Fault(
        "a divergence, Trainer.fit",
        diverge,
        DivergenceError,
        DIVERGED._replace(got="the loss became NaN or infinite at epoch 3, step 2"),
        has_the_epochs_before,
    ),
    Fault(
        "a divergence, MLPRegressor.fit",
        diverge_by_data,
        ValueError,
        DIVERGED._replace(thing="non-finite parameter weights", got="at epoch 1, step"),
        is_finite,
    ),
]


@pytest.mark.parametrize("row", [*SUCCESSES, *FAULTS], ids=str)
def test_training(scene: Scene, row: Fault | Success):
    check(row, scene)
