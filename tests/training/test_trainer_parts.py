"""Other parts for a trainer that exists, such as an optimizer or a state of layers; the summary."""

import warnings

import numpy as np
import pytest

from backends import tree
from multinn import (
    SGD,
    AccumulateGradients,
    Adam,
    AdamW,
    BatchNorm,
    Dense,
    Freeze,
    MeanAbsoluteError,
    MeanSquaredError,
    NotInitializedError,
    RMSProp,
    Sequential,
    Softmax,
    SoftmaxCrossEntropy,
    Trainer,
    exchange,
)
from multinn.schedules import StepDecay
from tests.support.small_runs import MODEL, PLAIN, X, Y, assert_same_bits, fit, host, make_trainer

SETTINGS = {"model": PLAIN, "dtype": "float64"}


@pytest.mark.parametrize("backend", ["numpy", "jax"], indirect=True)
def test_another_learning_rate_continues_with_the_momentum(backend):
    """Setting half the rate after 6 steps is a schedule that halves it there."""
    trainer = fit(make_trainer(backend, optimizer=SGD(0.1, momentum=0.9), **SETTINGS), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.optimizer = SGD(0.05, momentum=0.9)
    fit(trainer, 1)
    decaying = SGD(StepDecay(0.1, 0.5, every=6), momentum=0.9)
    other = fit(make_trainer(backend, optimizer=decaying, **SETTINGS), 2)
    fit(other, 1)
    tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), host(trainer), host(other))


@pytest.mark.parametrize(
    ("former", "optimizer"),
    [
        (Adam(0.01), AdamW(0.02)),
        (Adam(0.01), Adam(0.01, weight_decay=0.1)),
        (Freeze(Adam(), ("0.*",)), Adam()),
    ],
)
def test_a_state_that_fits_is_kept(former, optimizer):
    trainer = fit(make_trainer(optimizer=former), 1)
    before = host(trainer)
    trainer.optimizer = optimizer
    tree.map(np.testing.assert_array_equal, host(trainer), before)
    assert trainer.optimizer is optimizer


@pytest.mark.parametrize(
    ("former", "optimizer"),
    [
        (Adam(), SGD(0.1)),
        (Adam(), Adam(beta_1=0.5)),
        (SGD(momentum=0.9), SGD(momentum=0.5)),
        (RMSProp(), Adam()),
        (AccumulateGradients(SGD(), 4), AccumulateGradients(SGD(), 2)),
    ],
)
def test_a_state_that_does_not_fit_begins_anew_with_a_warning(former, optimizer):
    trainer = fit(make_trainer(optimizer=former), 1)
    params, _ = host(trainer)
    with pytest.warns(UserWarning, match=f"the state of {type(former).__name__}.* begins anew") as found:
        trainer.optimizer = optimizer
    assert found[0].filename == __file__
    tree.map(np.testing.assert_array_equal, host(trainer), (params, optimizer.init(params)))
    assert trainer.step == 3
    fit(trainer, 1)


def test_before_the_first_step_another_optimizer_gives_the_run_from_the_start():
    trainer = make_trainer(optimizer=Adam())
    trainer.initialize((3,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.optimizer = SGD(0.1)
    assert_same_bits(fit(trainer, 2), fit(make_trainer(optimizer=SGD(0.1)), 2))


def test_another_loss_is_minimized_and_keeps_the_parameters():
    trainer = fit(make_trainer(model=PLAIN), 1)
    params, outputs = host(trainer)[0], trainer.predict(X)
    assert trainer.evaluate(X, Y)["loss"] == pytest.approx(np.mean((outputs - Y) ** 2))
    trainer.loss = MeanAbsoluteError()
    tree.map(np.testing.assert_array_equal, host(trainer)[0], params)
    assert trainer.evaluate(X, Y)["loss"] == pytest.approx(np.mean(np.abs(outputs - Y)))
    fit(trainer, 1, batch_size=10)
    assert trainer.history["loss"][-1] == pytest.approx(np.mean(np.abs(outputs - Y)), rel=1e-5)


def test_another_loss_gives_the_warning_of_the_last_layer():
    trainer = Trainer(Sequential([Dense(2), Softmax()]), MeanSquaredError())
    with pytest.warns(UserWarning, match="the model ends in Softmax") as found:
        trainer.loss = SoftmaxCrossEntropy()
    assert found[0].filename == __file__


def test_other_metrics_are_reported():
    def largest(backend, outputs, targets, weights):
        return backend.xp.max(outputs)

    trainer = fit(make_trainer(model=PLAIN), 1)
    trainer.metrics = {"largest": largest}
    assert trainer.evaluate(X, Y)["largest"] == trainer.predict(X).max()
    assert dict(trainer.metrics) == {"largest": largest}


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("loss", MeanSquaredError, TypeError, "expected loss: .* write an instance, MeanSquaredError"),
        ("optimizer", "adam", TypeError, "expected optimizer: "),
        ("optimizer", Freeze(SGD(), ("9.W",)), ValueError, "'9.W' matches none"),
        ("metrics", [], TypeError, "expected metrics as a dict"),
        ("metrics", {"epoch": max}, ValueError, "'epoch' is reserved"),
        ("layer_state", ({},), ValueError, "layer_state: trees differ"),
    ],
)
def test_parts_that_do_not_fit_change_nothing(name, value, error, message):
    trainer = fit(make_trainer(), 1)
    before = vars(trainer).copy()
    with pytest.raises(error, match=message):
        setattr(trainer, name, value)
    assert vars(trainer) == before


NORMALIZED = Sequential([Dense(2), BatchNorm()])


def test_statistics_of_pytorch_can_be_loaded_in_the_middle_of_training():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    for _ in range(3):
        module(torch.tensor(X) * 5.0)
    state_dict = {name: values.numpy() for name, values in module.state_dict().items()}
    params, layer_state = exchange.from_state_dict(NORMALIZED, state_dict, input_shape=(3,))
    trainer = Trainer(NORMALIZED, MeanSquaredError(), SGD(0.0))
    trainer.initialize((3,), params)
    fit(trainer, 1)
    trainer.layer_state = layer_state
    assert trainer.step == 3
    with torch.no_grad():
        expected = module.eval()(torch.tensor(X)).numpy()
    np.testing.assert_allclose(trainer.predict(X), expected, rtol=1e-4, atol=1e-5)


def test_a_state_of_layers_is_copied():
    trainer = make_trainer(model=NORMALIZED)
    trainer.initialize((3,))
    given = trainer.backend.to_numpy(tree.map(np.copy, trainer.layer_state))
    trainer.layer_state = given
    before = trainer.predict(X)
    given[1]["mean"] += 1.0
    np.testing.assert_array_equal(trainer.predict(X), before)


def test_a_state_of_layers_needs_parameters():
    with pytest.raises(NotInitializedError, match="call fit or initialize first"):
        make_trainer(model=NORMALIZED).layer_state = ({}, {})


def test_the_summary_is_that_of_the_model():
    trainer = make_trainer(dtype="float64")
    expected = MODEL.summary((3,), "float64")
    assert trainer.summary((3,)) == expected
    with pytest.raises(NotInitializedError, match=r"summary: .* give an input_shape"):
        trainer.summary()
    trainer.initialize((3,))
    assert trainer.summary() == expected
