"""The trainer's errors: invalid input is reported before training, and a divergence stops it."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backends import tree
from multinn import (
    SGD,
    Accuracy,
    Adam,
    BatchNorm,
    BinaryCrossEntropy,
    Dense,
    DivergenceError,
    Dropout,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Optimizer,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    Trainer,
    accuracy,
)
from multinn.schedules import StepDecay
from multinn.training import run
from multinn.training import run as run_module
from tests.support.small_runs import (
    CLASSES,
    MODEL,
    PLAIN,
    X,
    Y,
    assert_same_bits,
    fit,
    host,
    make_trainer,
    reference_run,
)

NAN = math.nan


def with_value(array: np.ndarray, place: tuple[int, ...], value: float) -> np.ndarray:
    changed = np.array(array, np.float64)
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"y": with_value(Y, (5, 0), 1e300)}, ValueError, "y: .* row 5, column 0"),
        ({"x": [["a", "b"]] * 10}, TypeError, "x: expected numbers, got an array of dtype <U1"),
        ({"x": [[1.0, 2.0], [3.0]] * 5}, ValueError, "x: .* rows of one common length"),
        ({"y": Y[:, 0]}, ValueError, r"targets of shape \('examples', 2\).* got \(10,\)"),
        ({"y": Y[:, :1]}, ValueError, r"targets of shape \('examples', 2\).* got \(10, 1\)"),
        ({"weights": np.zeros(10)}, ValueError, "weights: expected at least one above 0"),
        ({"validation_data": (X, Y[:3])}, ValueError, "validation y: expected 10 rows"),
        (
            {"validation_data": (X[:, :2], Y)},
            ValueError,
            r"validation x: .* shape \(3,\), as in training",
        ),
        ({"validation_data": X}, (TypeError, ValueError), "validation_data: expected"),
        (
            {"validation_data": (X,)},
            ValueError,
            r"validation_data: expected \(x, y\) or \(x, y, weights\)",
        ),
        ({"validation_data": (X, Y, -X[:, 0])}, ValueError, "validation weights: expected 0 or more"),
        ({"epochs": 0}, ValueError, "epochs: expected at least 1, got 0"),
        ({"batch_size": -3}, ValueError, "batch_size: expected at least 1, got -3"),
        ({"report_every": 0}, ValueError, "report_every: expected at least 1, got 0"),
        ({"batch_size": 2.5}, TypeError, "batch_size"),
    ],
)
def test_invalid_data_are_refused_and_change_nothing(data, error, message):
    trainer = make_trainer()
    trainer.initialize((3,))
    before = host(trainer)
    with pytest.raises(error, match=message):
        fit(trainer, **({"epochs": 1} | data))
    tree.map(np.testing.assert_array_equal, host(trainer), before)
    assert (trainer.epoch, trainer.step, len(trainer.history)) == (0, 0, 0)


def test_a_refused_first_fit_does_not_fix_the_shape_of_the_inputs():
    trainer = make_trainer()
    with pytest.raises(ValueError, match="targets of shape"):
        fit(trainer, 1, x=X[:, :2], y=Y[:, :1])
    fit(trainer, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.predict(X[:0]), "x: expected at least one example"),
        (lambda t: t.predict(X, batch_size=0), "batch_size: expected at least 1, got 0"),
        (lambda t: t.evaluate(X, Y, batch_size=0), "batch_size: expected at least 1, got 0"),
        (lambda t: t.evaluate(X, Y, weights=np.zeros(10)), "weights: expected at least one above 0"),
    ],
)
def test_invalid_data_are_refused_at_inference(call: Callable[[Trainer], object], message):
    with pytest.raises(ValueError, match=message):
        call(reference_run(make_trainer().backend, 1))


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"seed": -1}, ValueError, "seed: expected at least 0, got -1"),
        ({"metrics": {"epoch": accuracy}}, ValueError, "the name 'epoch' is reserved for the history"),
        ({"metrics": {"validation_loss": accuracy}}, ValueError, "'validation_loss'"),
    ],
)
def test_invalid_settings_are_refused(keywords, error, message):
    with pytest.raises(error, match=message):
        make_trainer(**keywords)


GIVEN = PLAIN.init(np.random.default_rng(0), (3,))[0]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (GIVEN[:2], "trees differ: expected a tuple of length 3, got a tuple of length 2"),
        (({"W": GIVEN[0]["W"]}, *GIVEN[1:]), r"trees differ: expected a dict with keys \['W', 'b'\]"),
    ],
)
def test_parameters_that_do_not_fit_the_model_are_refused(params: Any, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(model=PLAIN).initialize((3,), params=params)


NORMALIZED = Sequential([Dense(2), BatchNorm()])
STATE = NORMALIZED.init_state(NORMALIZED.init(np.random.default_rng(0), (3,))[0])


@pytest.mark.parametrize(
    ("layer_state", "error", "message"),
    [
        (STATE[:1], ValueError, "layer_state: trees differ: expected a tuple of length 2, got a tuple"),
        (({}, {"mean": np.zeros(2)}), ValueError, "layer_state: trees differ: expected a dict"),
        (({}, STATE[1] | {"mean": np.zeros(3)}), ValueError, r"layer_state 1\.mean: expected shape"),
        (
            ({}, STATE[1] | {"variance": np.array([1.0, math.nan])}),
            ValueError,
            r"layer_state 1\.variance: expected finite numbers, got nan",
        ),
        (
            ({}, STATE[1] | {"mean": np.array(["a", "b"])}),
            TypeError,
            r"layer_state 1\.mean: expected numbers",
        ),
    ],
)
def test_a_state_of_layers_that_does_not_fit_the_model_is_refused(layer_state: Any, error, message):
    trainer = make_trainer(model=NORMALIZED)
    with pytest.raises(error, match=message):
        trainer.initialize((3,), seed=7, layer_state=layer_state)
    assert trainer.params is None
    assert trainer.seed == 0


def test_inputs_that_the_model_cannot_take_are_refused():
    with pytest.raises(ValueError, match="layer 0 of Sequential: Dense: expected inputs"):
        make_trainer().initialize(())


def test_a_model_without_parameters_can_be_fitted(backend):
    """A baseline: training reports the loss, and changes nothing."""
    trainer = make_trainer(backend, Sequential([ReLU(), Dropout(0.0)]))
    fit(trainer, 1, x=np.abs(Y))
    np.testing.assert_array_equal(trainer.predict(np.abs(Y)), np.abs(Y))


# The step after five steps of 0.01 is far too large: with 10³⁰ the next loss is infinite; with 10³⁶ and
# inputs of 10⁴ the parameters overflow.
LARGE_STEP = SGD(StepDecay(0.01, 1e32, every=5))
LARGER_STEP = SGD(StepDecay(0.01, 1e38, every=5))
LINEAR = Sequential([Dense(2)])
FAR = X * np.float32(1e4)


def diverge(
    backend: Any, loss: Loss, optimizer: Optimizer, epochs: int = 4, **keywords: Any
) -> tuple[Trainer, DivergenceError]:
    trainer = make_trainer(backend, LINEAR, loss, optimizer=optimizer)
    with pytest.raises(DivergenceError) as caught:
        fit(trainer, epochs, **keywords)
    return trainer, caught.value


def all_finite(trainer: Trainer) -> bool:
    return all(np.isfinite(leaf).all() for leaf in tree.leaves(host(trainer)[0]))


def test_a_loss_that_overflows_stops_the_run():
    """The sixth step is too large; the loss of the seventh, the first of epoch 3, is infinite."""
    trainer, error = diverge("numpy", MeanSquaredError(), LARGE_STEP, report_every=4)
    assert (error.epoch, error.step) == (3, 1)
    assert "the loss became NaN or infinite at epoch 3, step 1" in str(error)
    assert all_finite(trainer)


def test_a_parameter_that_overflows_stops_the_run(backend):
    trainer, error = diverge(backend, MeanAbsoluteError(), LARGER_STEP, x=FAR)
    assert (error.epoch, error.step) == (2, 3)
    assert "a parameter became NaN or infinite at epoch 2, step 3" in str(error)
    assert all_finite(trainer)


def test_the_trainer_holds_the_last_finite_parameters(backend):
    """With one batch per epoch, these are the parameters after five epochs."""
    keywords = {"x": FAR, "batch_size": 10, "shuffle": False}
    trainer, error = diverge(backend, MeanAbsoluteError(), LARGER_STEP, 9, report_every=4, **keywords)
    before = fit(
        make_trainer(backend, LINEAR, MeanAbsoluteError(), optimizer=LARGER_STEP), 5, **keywords
    )
    assert (error.epoch, error.step) == (6, 1)
    tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), host(trainer)[0], host(before)[0])


@pytest.mark.parametrize(
    ("model", "optimizer", "size", "what"),
    [
        (Sequential([BatchNorm(), Dense(2)]), SGD(), 1e25, "the state of a layer"),
        (LINEAR, Adam(), 1e22, "the optimizer's state"),
    ],
)
def test_a_square_that_overflows_stops_the_run(model, optimizer, size, what):
    """A variance squares the inputs, Adam the gradient; the loss and the parameters stay finite."""
    trainer = make_trainer("numpy", model, MeanAbsoluteError(), optimizer=optimizer)
    with pytest.raises(DivergenceError, match=f"{what} became NaN or infinite at epoch 1, step 1"):
        fit(trainer, 1, x=X * np.float32(size))
    assert all(np.isfinite(leaf).all() for leaf in tree.leaves(trainer.state))


def test_a_divergence_that_does_not_repeat_is_reported_at_the_first_step(monkeypatch):
    """Single steps may be rounded differently from one call."""
    monkeypatch.setattr(run, "find_divergence", lambda *_: None)
    trainer, error = diverge("numpy", MeanAbsoluteError(), LARGER_STEP, x=FAR)
    assert (error.epoch, error.step) == (2, 1)
    before = make_trainer("numpy", LINEAR, MeanAbsoluteError(), optimizer=LARGER_STEP)
    assert_same_bits(trainer, fit(before, 1, x=FAR))


@pytest.mark.parametrize("report_every", [1, 2, 4])
def test_the_epochs_before_the_divergence_are_kept(report_every):
    trainer, _ = diverge("numpy", MeanSquaredError(), LARGE_STEP, report_every=report_every)
    before = fit(make_trainer("numpy", LINEAR, optimizer=LARGE_STEP), 2)
    assert_same_bits(trainer, before)


@pytest.mark.parametrize(
    ("backend", "seconds"), [("numpy", 0.2), ("numpy", 1.0), ("jax", 1.0)], indirect=["backend"]
)
def test_a_divergence_in_a_part_of_an_epoch_is_found(monkeypatch, backend, seconds):
    """It is the same as in a run of one call."""
    monkeypatch.setattr(run_module, "estimate_seconds", lambda *_: seconds)
    trainer, error = diverge(backend, MeanAbsoluteError(), LARGER_STEP, x=FAR, progress=True)
    assert (error.epoch, error.step) == (2, 3)
    assert (trainer.epoch, trainer.step, len(trainer.history)) == (1, 3, 1)
    whole, _ = diverge(backend, MeanAbsoluteError(), LARGER_STEP, x=FAR)
    tree.map(np.testing.assert_array_equal, host(trainer), host(whole))


@pytest.mark.parametrize("backend", ["numpy", "jax"], indirect=True)
def test_a_divergence_late_in_a_long_call_is_found(backend):
    """Steps are 0.01 up to epoch 300, and far too large after it."""
    optimizer = SGD(StepDecay(0.01, 1e32, every=300))
    trainer, error = diverge(backend, MeanSquaredError(), optimizer, 500, batch_size=10)
    assert (error.epoch, error.step) == (302, 1)
    assert trainer.history["epoch"] == list(range(1, 302))
    assert all_finite(trainer)


@pytest.mark.parametrize("backend", ["numpy"], indirect=True)
def test_training_can_continue_from_the_last_finite_parameters(backend):
    diverged, _ = diverge(backend, MeanAbsoluteError(), LARGER_STEP, x=FAR)
    follower = make_trainer(backend, LINEAR, MeanAbsoluteError(), optimizer=SGD(1e-7))
    follower.initialize((3,), params=host(diverged)[0])
    fit(follower, 3, x=FAR)
    assert follower.history.losses == sorted(follower.history.losses, reverse=True)


@pytest.mark.parametrize(
    ("loss", "rate"), [(MeanSquaredError(), 1e10), (BinaryCrossEntropy(), 1e38)], ids=str
)
def test_a_hopeless_learning_rate_gives_one_error_and_no_warning(backend, loss, rate):
    y = np.abs(np.sign(Y))
    trainer = make_trainer(backend, MODEL, loss, optimizer=SGD(rate))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(DivergenceError):
            fit(trainer, 30, x=X * 100.0, y=y, validation_data=(X, y))
    assert not caught
    assert all_finite(trainer)
    assert trainer.predict(X).shape == (10, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": MeanSquaredError}, "Trainer: expected loss: Loss, got .*; write an instance"),
        ({"optimizer": SGD}, "Trainer: expected optimizer: Optimizer or None, got .*; write .* SGD"),
        ({"metrics": [accuracy]}, "Trainer: expected metrics as a dict"),
        ({"metrics": {1: accuracy}}, "Trainer: expected a string as the name of a metric, got 1"),
        ({"metrics": {"a": "accuracy"}}, "Trainer: expected the metric 'a' as a function of"),
        ({"metrics": {"a": Accuracy}}, "such as multinn.accuracy or multinn.F1.., got <class"),
        ({"metrics": {"a": lambda y, p: 0.0}}, "Trainer: expected the metric 'a' as a function of"),
        ({"seed": None}, "expected seed: an integer, got None"),
        ({"seed": True}, "expected seed: an integer, got True"),
    ],
)
def test_arguments_of_another_type_are_refused(arguments: dict[str, Any], message):
    with pytest.raises(TypeError, match=message):
        make_trainer(**arguments)


def test_an_error_in_the_validation_data_says_so_and_draws_no_parameters():
    trainer = make_trainer(loss=SoftmaxCrossEntropy())
    with pytest.raises(ValueError, match=r"validation y: .* got 9 at row 0"):
        fit(trainer, 1, y=CLASSES, validation_data=(X, CLASSES + 9 - CLASSES[0]))
    assert trainer.params is None
