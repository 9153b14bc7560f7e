"""The trainer: training, reports, evaluation and prediction."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
import pytest

from backends import tree
from multinn import (
    SGD,
    Adam,
    BatchNorm,
    BinaryCrossEntropy,
    Dense,
    Flatten,
    HalfSquaredError,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    NotInitializedError,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
    Trainer,
    accuracy,
)
from multinn.layers.base import ParameterFree
from tests.support.small_runs import CLASSES, MODEL, PLAIN, WEIGHTS, X, Y, fit, host, make_trainer


def numpy_outputs(trainer: Trainer, x: np.ndarray) -> np.ndarray:
    """Compute the outputs of the plain model in NumPy."""
    first, _, last = host(trainer)[0]
    outputs: np.ndarray = np.tanh(x @ first["W"] + first["b"]) @ last["W"] + last["b"]
    return outputs


def test_training_starts_from_given_parameters(backend):
    drawn, _ = PLAIN.init(np.random.default_rng(9), (3,))
    given = tree.map(np.float32, drawn)
    trainer = make_trainer(backend, PLAIN, optimizer=SGD(0.0))
    trainer.initialize((3,), params=given)
    fit(trainer, 1)
    tree.map(np.testing.assert_array_equal, host(trainer)[0], given)


def test_given_parameters_are_not_changed_by_training():
    given = tree.map(np.float32, PLAIN.init(np.random.default_rng(9), (3,))[0])
    copies = tree.map(np.copy, given)
    trainer = make_trainer(model=PLAIN)
    trainer.initialize((3,), params=given)
    fit(trainer, 2)
    tree.map(np.testing.assert_array_equal, given, copies)


def test_given_parameters_are_copied(backend):
    """The caller may change the arrays afterwards."""
    given = tree.map(np.float32, PLAIN.init(np.random.default_rng(9), (3,))[0])
    trainer = make_trainer(backend, PLAIN)
    trainer.initialize((3,), params=given)
    before = trainer.predict(X)
    for leaf in tree.leaves(given):
        leaf[...] = 0.0
    np.testing.assert_array_equal(trainer.predict(X), before)


def test_a_given_state_of_layers_is_copied(backend):
    """The caller may change the arrays afterwards."""
    model = Sequential([Dense(4), BatchNorm()])
    given = model.init_state(model.init(np.random.default_rng(9), (3,))[0])
    given[1]["mean"] += 3.0
    trainer = make_trainer(backend, model)
    trainer.initialize((3,), layer_state=given)
    tree.map(np.testing.assert_array_equal, trainer.backend.to_numpy(trainer.state.layer_state), given)
    before = trainer.predict(X)
    trainer.initialize((3,))
    np.testing.assert_allclose(before, trainer.predict(X) - 3.0, rtol=1e-4, atol=1e-4)
    trainer.initialize((3,), layer_state=given)
    for leaf in tree.leaves(given):
        leaf[...] = 0.0
    np.testing.assert_array_equal(trainer.predict(X), before)


def test_the_memory_order_of_given_parameters_changes_no_bits():
    params, _ = Dense(30).init(np.random.default_rng(0), (300,))
    given = [params, params | {"W": np.asfortranarray(params["W"])}]
    trainers = [make_trainer(model=Dense(30)) for _ in given]
    for trainer, each in zip(trainers, given, strict=True):
        trainer.initialize((300,), params=each)
    x = np.random.default_rng(1).normal(size=(1, 300))
    np.testing.assert_array_equal(*[trainer.predict(x) for trainer in trainers])


def test_data_are_not_changed_by_training():
    x, y = X.copy(), Y.copy()
    fit(make_trainer(), 2, x=x, y=y)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)


def test_epochs_and_steps_are_counted():
    trainer = fit(make_trainer(), 3)
    assert (trainer.epoch, trainer.step) == (3, 9)
    fit(trainer, 1, batch_size=10)
    assert (trainer.epoch, trainer.step) == (4, 10)


def test_training_learns(backend):
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    y = np.array([[0], [1], [1], [0]])
    model = Sequential([Dense(8), Tanh(), Dense(1)])
    trainer = make_trainer(backend, model, BinaryCrossEntropy(), optimizer=Adam(0.1))
    trainer.fit(x, y, epochs=100, report_every=100, progress=False)
    assert ((trainer.predict(x) > 0.0) == y).all()


def test_weights_count_as_repetitions_of_examples():
    """All examples are in one batch, in their order."""
    counts = WEIGHTS.astype(int)
    keywords = {"batch_size": 99, "shuffle": False}
    weighted = fit(make_trainer(model=PLAIN), 5, weights=WEIGHTS, **keywords)
    repeated = fit(
        make_trainer(model=PLAIN), 5, x=np.repeat(X, counts, 0), y=np.repeat(Y, counts, 0), **keywords
    )
    tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        host(weighted)[0],
        host(repeated)[0],
    )
    np.testing.assert_allclose(weighted.history.losses, repeated.history.losses, rtol=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("loss", [MeanSquaredError(), HalfSquaredError()], ids=str)
def test_the_loss_of_an_epoch_is_the_mean_over_its_examples(loss, weights):
    """With a learning rate of 0 it equals the loss of `evaluate`; the last batch counts by its size."""
    trainer = make_trainer("numpy", PLAIN, loss, optimizer=SGD(0.0), metrics={"mae": Huber(0.1).value})
    record = fit(trainer, 1, weights=weights).history[-1]
    expected = trainer.evaluate(X, Y, weights=weights)
    assert record == {"epoch": 1, **{name: pytest.approx(expected[name], rel=1e-5) for name in expected}}


def test_the_loss_of_an_epoch_is_the_mean_over_its_examples_on_each_backend(backend):
    trainer = make_trainer(backend, PLAIN, optimizer=SGD(0.0))
    loss = fit(trainer, 1, weights=WEIGHTS).history[-1]["loss"]
    assert loss == pytest.approx(trainer.evaluate(X, Y, weights=WEIGHTS)["loss"], rel=1e-5)


def test_the_history_has_a_record_per_report_and_a_loss_per_epoch():
    trainer = make_trainer(metrics={"mae": MeanAbsoluteError().value})
    history = trainer.fit(X, Y, epochs=5, report_every=2, validation_data=(X[:3], Y[:3]), progress=False)
    assert history["epoch"] == [2, 4, 5]
    for record in history:
        assert list(record) == ["epoch", "loss", "mae", "validation_loss", "validation_mae"]
    assert [history.losses[epoch - 1] for epoch in (2, 4, 5)] == history["loss"]
    assert len(history.losses) == 5


def test_fit_returns_its_own_records_and_the_trainer_keeps_all():
    trainer = fit(make_trainer(), 2)
    second = trainer.fit(X, Y, epochs=2, progress=False)
    assert second["epoch"] == [3, 4]
    assert trainer.history["epoch"] == [1, 2, 3, 4]
    assert trainer.history.losses[2:] == second.losses


def test_validation_equals_an_evaluation(backend):
    trainer = make_trainer(backend, loss=SoftmaxCrossEntropy(), metrics={"accuracy": accuracy})
    fit(trainer, 2, y=CLASSES, validation_data=(X[:5], CLASSES[:5]))
    result = trainer.evaluate(X[:5], CLASSES[:5])
    assert set(result) == {"loss", "accuracy"}
    for name, value in result.items():
        assert trainer.history[-1][f"validation_{name}"] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("backend", ["numpy", "jax"], indirect=True)
def test_validation_with_weights_equals_an_evaluation_with_weights(backend):
    """Also with weights whose mean is not 1, and with an example that is left out."""
    trainer = make_trainer(backend, loss=SoftmaxCrossEntropy(), metrics={"accuracy": accuracy})
    weights = np.array([3.0, 0.0, 1.0, 0.5, 2.0])
    held_out = (X[:5], CLASSES[:5], weights)
    unweighted = fit(trainer, 1, y=CLASSES, validation_data=held_out).evaluate(*held_out[:2])
    for _ in range(2):
        result = trainer.evaluate(X[:5], CLASSES[:5], weights=weights)
        assert result["loss"] != pytest.approx(unweighted["loss"], rel=1e-3)
        for name, value in result.items():
            assert trainer.history[-1][f"validation_{name}"] == pytest.approx(value, rel=1e-6)
        trainer.fit_batches([(X, CLASSES)], epochs=1, validation_data=held_out, progress=False)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 10, 1024])
def test_an_evaluation_is_correct_for_each_batch_size(backend, batch_size):
    trainer = make_trainer(backend, PLAIN, metrics={"mae": MeanAbsoluteError().value})
    trainer.initialize((3,))
    error = numpy_outputs(trainer, X) - Y
    result = trainer.evaluate(X, Y, batch_size=batch_size)
    assert result == {
        "loss": pytest.approx(np.mean(error**2), rel=1e-5),
        "mae": pytest.approx(np.mean(np.abs(error)), rel=1e-5),
    }


@pytest.mark.parametrize("scale", [1e37, 1e-37])
def test_only_the_relative_weights_of_an_evaluation_count(backend, scale):
    trainer = make_trainer(backend, model=PLAIN)
    trainer.initialize((3,))
    weights = np.arange(1.0, 11.0)
    expected = trainer.evaluate(X, Y, weights=weights)["loss"]
    assert trainer.evaluate(X, Y, weights=weights * scale)["loss"] == pytest.approx(expected, rel=1e-5)


def test_an_evaluation_takes_weights():
    trainer = make_trainer(model=PLAIN)
    trainer.initialize((3,))
    error = numpy_outputs(trainer, X) - Y
    expected = np.average(np.mean(error**2, axis=1), weights=WEIGHTS)
    for batch_size in (3, 10):
        result = trainer.evaluate(X, Y, weights=WEIGHTS, batch_size=batch_size)
        assert result["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "loss", [MeanSquaredError(), HalfSquaredError(), MeanAbsoluteError(), Huber()], ids=str
)
def test_a_loss_is_a_metric_for_each_batch_size(loss):
    trainer = make_trainer(model=PLAIN, loss=loss, metrics={"same": loss.value})
    trainer.initialize((3,))
    for batch_size in (3, 10):
        result = trainer.evaluate(X, Y, batch_size=batch_size)
        assert result["same"] == pytest.approx(result["loss"], rel=1e-6)


@pytest.mark.parametrize("backend", ["numpy", "jax"], indirect=True)
@pytest.mark.parametrize(("count", "batch_size"), [(1, 8), (2, 8), (8, 8), (9, 8), (5, 1), (1500, 1024)])
def test_predictions_are_the_outputs_of_the_model(backend, count, batch_size):
    trainer = make_trainer(backend, PLAIN)
    trainer.initialize((3,))
    x = np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)
    outputs = trainer.predict(x, batch_size=batch_size)
    assert outputs.dtype == np.float32
    assert outputs.flags.writeable
    np.testing.assert_allclose(outputs, numpy_outputs(trainer, x), rtol=1e-4, atol=1e-6)


def test_predictions_have_no_dropout():
    trainer = make_trainer()
    trainer.initialize((3,))
    np.testing.assert_array_equal(trainer.predict(X), trainer.predict(X))


def test_images_need_no_conversion(backend):
    model = Sequential([Flatten(), Dense(2)])
    trainer = make_trainer(backend, model)
    fit(trainer, 1, x=np.ones((10, 4, 3), np.uint8))
    assert trainer.predict(np.ones((2, 4, 3))).shape == (2, 2)


@pytest.mark.parametrize("call", [lambda t: t.predict(X), lambda t: t.evaluate(X, Y)])
def test_a_trainer_without_parameters_cannot_predict(call: Callable[[Trainer], object]):
    with pytest.raises(NotInitializedError, match="call fit or initialize first"):
        call(make_trainer())


def test_adam_and_numpy_are_the_defaults():
    trainer = Trainer(MODEL, MeanSquaredError())
    assert (trainer.backend.name, trainer.program.optimizer) == ("numpy", Adam())


def test_the_environment_selects_the_backend(monkeypatch):
    monkeypatch.setenv("MULTINN_BACKEND", "jax")
    assert Trainer(MODEL, MeanSquaredError()).backend.name == "jax"


def test_training_in_float64_changes_no_global_setting(backend):
    trainer = fit(make_trainer(backend, dtype="float64"), 1, validation_data=(X, Y))
    params, state = host(trainer)
    assert {leaf.dtype for leaf in tree.leaves(params)} == {np.dtype("float64")}
    assert {str(leaf.dtype) for leaf in tree.leaves(state)} == {"float64", "int32"}
    assert trainer.predict(X).dtype == np.float64
    assert not jax.config.jax_enable_x64


def test_progress_goes_to_standard_error(capsys):
    fit(make_trainer(), 2, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line.split("  loss ")[0] for line in captured.err.splitlines()] == ["epoch 1/2", "epoch 2/2"]


def test_silence_on_request(capsys):
    fit(make_trainer(), 2, progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_a_weight_counts_relative_to_all_examples_and_not_to_its_batch(batch_size):
    """The best constant is the weighted mean of the targets, almost 0, whatever the batches are."""
    x, y = np.ones((4, 1)), np.array([[0.0], [0.0], [0.0], [10.0]])
    trainer = Trainer(Sequential([Dense(1, use_bias=False)]), MeanSquaredError(), SGD(0.1))
    weights = np.array([1.0, 1.0, 1.0, 1e-6])
    trainer.fit(x, y, weights=weights, batch_size=batch_size, epochs=200, progress=False)
    assert abs(trainer.predict(x)[0, 0]) < 1e-3


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_the_scale_of_all_weights_does_not_matter(scale):
    one, other = (fit(make_trainer(model=PLAIN), 3, weights=WEIGHTS * factor) for factor in (1.0, scale))
    np.testing.assert_allclose(one.history.losses, other.history.losses, rtol=1e-5)


@dataclass(frozen=True)
class UnitLength(ParameterFree):
    """y = x / ‖x‖, which is not defined at zero."""

    def forward(self, backend, params, x, key=None):
        xp = backend.xp
        norm = xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True))
        return x / norm, (x, norm)

    def backward(self, backend, params, cache, dy):
        x, norm = cache
        along = backend.xp.sum(dy * x, axis=-1, keepdims=True) / (norm * norm)
        return (dy - x * along) / norm, {}


def test_an_evaluation_is_not_disturbed_by_padding(backend):
    trainer = make_trainer(backend, Sequential([UnitLength(), Dense(2)]))
    trainer.fit(X[:5], Y[:5], epochs=1, validation_data=(X[:5], Y[:5]), progress=False)
    assert np.isfinite(trainer.evaluate(X[:5], Y[:5])["loss"])
    assert np.isfinite(trainer.history["validation_loss"]).all()


def test_huge_equal_weights_change_nothing():
    runs = []
    for weights in (np.full(10, 3e38, np.float32), None):
        runs.append(fit(make_trainer(model=PLAIN), 2, weights=weights))
    tree.map(np.testing.assert_allclose, *(host(run)[0] for run in runs))


def test_counts_may_be_small_numpy_integers():
    trainer = make_trainer(model=PLAIN)
    trainer.fit(X, Y, epochs=np.uint8(250), batch_size=np.uint8(5), progress=False)
    assert trainer.step == 500


FIXED = ["model", "backend", "dtype", "params", "optimizer_state", "sed"]


@pytest.mark.parametrize("name", FIXED)
def test_an_assignment_that_would_change_nothing_is_refused(name):
    trainer = make_trainer()
    with pytest.raises(AttributeError, match=rf"Trainer: setting '{name}' would change nothing"):
        setattr(trainer, name, None)


def test_what_training_changes_can_be_set_and_methods_can_be_replaced():
    trainer, other = fit(make_trainer(), 1), make_trainer()
    other.initialize((3,))
    for name in ("state", "seed", "epoch", "step", "history"):
        setattr(other, name, getattr(trainer, name))
    fit(trainer, 1), fit(other, 1)
    assert other.history.losses == trainer.history.losses
    other.predict = lambda x: "replaced"  # type: ignore[assignment]
    assert other.predict(X) == "replaced"


def test_a_subclass_has_attributes_of_its_own():
    class Named(Trainer):
        def __init__(self, name: str) -> None:
            super().__init__(PLAIN, MeanSquaredError())
            self.name = name
            self.purpose = "a test"

    trainer = Named("first")
    trainer.name = "second"
    assert (trainer.name, trainer.purpose) == ("second", "a test")
