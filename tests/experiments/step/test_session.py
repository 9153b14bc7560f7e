"""A session takes the steps of `fit`, also after changes of the data and the parameters."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

from experiments.step.requests import answer
from experiments.step.session import Session
from experiments.xor.recipes import INPUTS, TARGETS
from multinn import (
    SGD,
    Adam,
    BinaryCrossEntropy,
    BinaryFocal,
    Dense,
    DivergenceError,
    HalfSquaredError,
    Optimizer,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
    Trainer,
)
from multinn.schedules import CosineDecay
from tests.experiments.step.conftest import new_trainer


def fitted(trainer, steps, x=INPUTS, y=TARGETS):
    """Train with `fit`, in one call, and return the trainer."""
    trainer.fit(x, y, epochs=steps, batch_size=4, progress=False)
    return trainer


def assert_same_parameters(session, trainer):
    for ours, theirs in zip(weights(session.trainer), weights(trainer), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def weights(trainer):
    params = trainer.backend.to_numpy(trainer.params)
    return [params[0]["W"], params[0]["b"], params[2]["W"], params[2]["b"]]


def take(session, steps):
    while (left := steps - len(session.losses)) > 0:
        session.train(left)


@pytest.mark.parametrize("steps", [1, 10, 25])
def test_steps_are_those_of_fit_to_the_bit(session, steps):
    take(session, steps)
    theirs = fitted(new_trainer(), steps)
    assert_same_parameters(session, theirs)
    assert session.losses == theirs.history.losses


def test_the_shown_step_is_the_one_that_is_taken_next(session):
    take(session, 3)
    layers = session.next_step.step(0)["layers"]
    shown_loss = session.next_step.losses[0]
    session.train(1)
    np.testing.assert_array_equal(layers[1]["params_after"]["W"], weights(session.trainer)[0])
    assert session.losses[3] == shown_loss


def test_the_view_has_the_trace_of_the_next_step(session):
    take(session, 3)
    assert session.view()["trace"] == session.trainer.trace(INPUTS, TARGETS).data


def test_the_trainer_stays_as_it_is():
    trainer = fitted(new_trainer(), 2)
    session = Session(trainer, INPUTS, TARGETS)
    before = weights(trainer)
    take(session, 2)
    session.set_learning_rate(3.0)
    assert all(map(np.array_equal, before, weights(trainer)))
    assert (trainer.step, len(trainer.history.losses), trainer.program.optimizer) == (2, 2, SGD(0.5))
    assert_same_parameters(session, fitted(trainer, 2))


def test_a_long_run_ends_after_a_while(session):
    assert 1 <= session.train(10**9) < 10**6


def test_another_learning_rate(session):
    take(session, 2)
    session.set_learning_rate(0.3)
    assert session.view()["learning_rate"] == 0.3
    take(session, 4)
    theirs = new_trainer(rate=0.3)
    theirs.initialize((2,), params=start_after(2))
    assert_same_parameters(session, fitted(theirs, 2))


def start_after(steps):
    trainer = fitted(new_trainer(), steps)
    return trainer.backend.to_numpy(trainer.params)


def test_the_state_of_the_optimizer_outlives_a_change_of_the_learning_rate():
    model = Sequential([Dense(3), Tanh(), Dense(1)])
    session = Session(Trainer(model, HalfSquaredError(), Adam(0.1)), INPUTS, TARGETS)
    take(session, 3)
    session.set_learning_rate(0.2)
    state = session.next_step.step(0)["updates"][0]["state"]
    assert state["step"] == 3
    assert np.abs(state["m"][0]["W"]).max() > 0


def test_only_the_first_change_of_the_learning_rate_compiles():
    trainer = Trainer(Dense(1), HalfSquaredError(), SGD(0.5), backend="jax")
    session = Session(trainer, [[1.0]], [[2.0]])
    session.set_learning_rate(0.3)
    session.train(1)
    compiled = session.trainer.seconds.compile
    for rate in (0.2, 0.1):
        session.set_learning_rate(rate)
        session.train(1)
    assert session.trainer.seconds.compile == compiled


def test_a_schedule_is_shown_and_can_be_replaced():
    trainer = Trainer(Dense(1), HalfSquaredError(), SGD(CosineDecay(0.4, 10)))
    session = Session(trainer, INPUTS, TARGETS)
    assert session.view()["learning_rate"] == pytest.approx(0.4)
    session.set_learning_rate(0.125)
    session.train(1)
    assert session.view()["learning_rate"] == 0.125


def test_another_input(session):
    session.edit_input([1, 0], 0.25)
    take(session, 2)
    x = INPUTS.copy()
    x[1, 0] = 0.25
    assert_same_parameters(session, fitted(new_trainer(), 2, x=x))


def test_another_target(session):
    session.edit_target([2, 0], 0.75)
    take(session, 2)
    y = TARGETS.copy()
    y[2, 0] = 0.75
    assert_same_parameters(session, fitted(new_trainer(), 2, y=y))


@pytest.mark.parametrize(("layer", "place"), [(1, 0), (3, 2)])
def test_another_parameter(session, layer, place):
    params = start_after(0 + 1)
    session.train(1)
    session.edit_parameter(layer, "W", [0, 0], -1.5)
    params[place]["W"][0, 0] = -1.5
    theirs = new_trainer()
    theirs.initialize((2,), params=params)
    session.train(1)
    assert_same_parameters(session, fitted(theirs, 1))


def test_equal_parameters_are_told_apart():
    model = Sequential([Dense(2), Tanh(), Dense(2), Tanh(), Dense(1)])
    session = Session(Trainer(model, HalfSquaredError(), SGD(0.1)), INPUTS, TARGETS)
    session.edit_parameter(3, "b", [1], 7.0)
    params = session.trainer.params
    assert (params[0]["b"].tolist(), params[2]["b"].tolist()) == ([0, 0], [0, 7])


def test_reset(session):
    first = session.view()
    take(session, 3)
    session.set_learning_rate(2.0)
    session.edit_input([0, 0], 5.0)
    session.edit_parameter(1, "W", [0, 0], -1.5)
    session.reset()
    assert session.view() == first
    take(session, 3)
    assert_same_parameters(session, fitted(new_trainer(), 3))


def test_a_step_to_infinity_is_not_taken(session):
    session.set_learning_rate(1e38)
    with pytest.raises(DivergenceError):
        take(session, 100)
    assert all(np.isfinite(leaf).all() for leaf in weights(session.trainer))
    message = answer(session, {"action": "step", "count": 10})["message"]
    assert f"Step {len(session.losses) + 1} is not taken: it leads to NaN or infinity" in message
    assert answer(session, {"action": "show"})["message"] is None


def test_the_losses_of_a_long_run_are_thinned_out(session):
    session.losses = [1.0] * 5000
    points = session.view()["losses"]
    assert len(points) < 500
    assert (points[0][0], points[-1][0]) == (0, 5000)


def test_the_surface_of_a_network_of_two_inputs(session):
    take(session, 500)
    surface = session.view()["surface"]
    assert surface["columns"] == surface["rows"] == [-0.25, 1.25]
    assert len(surface["values"]) == surface["size"] ** 2
    assert [round(output) for _, _, _, output in surface["points"]] == [0, 1, 1, 0]
    corner = surface["values"][surface["size"] - 1]  # the largest first input, the smallest second
    expected = 1 / (1 + np.exp(-session.trainer.predict([[1.25, -0.25]])[0, 0]))
    assert corner == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), BinaryFocal()])
def test_the_surface_of_logits_has_probabilities(loss):
    session = Session(Trainer(Dense(1), loss, SGD(10.0)), INPUTS, INPUTS[:, :1])
    take(session, 100)
    values = session.view()["surface"]["values"]
    assert 0.0 <= min(values) < 0.1 < 0.9 < max(values) <= 1.0


def test_other_networks_have_no_surface():
    session = Session(Trainer(Dense(1), HalfSquaredError()), [[1.0, 2.0, 3.0]], [[1.0]])
    assert session.view()["surface"] is None


EDIT = {"action": "edit", "indices": [0, 0], "value": 0.5}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "action: expected one of show, step, edit, learning_rate, reset, got null"),
        ({"action": "stop"}, 'got "stop"'),
        ({"action": ["step"]}, "action: expected one of"),
        ({"action": "step"}, "count: expected an integer from 1 to 1,000, got null"),
        ({"action": "step", "count": 0}, "count: expected an integer from 1 to 1,000, got 0"),
        ({"action": "step", "count": 1001}, "got 1001"),
        ({"action": "step", "count": 1.0}, "got 1.0"),
        ({"action": "step", "count": True}, "got true"),
        ({"action": "learning_rate"}, "value: expected a number, got null"),
        ({"action": "learning_rate", "value": "1"}, 'value: expected a number, got "1"'),
        ({"action": "learning_rate", "value": -1}, "learning rate: expected a number of 0 or more"),
        ({"action": "learning_rate", "value": 1e39}, "in the range of float32"),
        ({"action": "learning_rate", "value": float("inf")}, "value: expected a finite number"),
        ({"action": "learning_rate", "value": 10**400}, "value: expected a finite number"),
        (EDIT, "kind: expected x, targets or params, got null"),
        (EDIT | {"kind": "y"}, 'kind: expected x, targets or params, got "y"'),
        (EDIT | {"kind": "x", "indices": "0"}, "indices: expected a list of integers"),
        (EDIT | {"kind": "x", "indices": [0.0, 0]}, "indices: expected a list of integers"),
        (EDIT | {"kind": "x", "indices": [0]}, "expected those of an entry of x, of shape (4, 2)"),
        (EDIT | {"kind": "x", "indices": [0, 2]}, "got [0, 2]"),
        (EDIT | {"kind": "x", "indices": [-1, 0]}, "got [-1, 0]"),
        (EDIT | {"kind": "x", "value": 1e39}, "x: expected a number in the range of float32, got 1e+39"),
        (EDIT | {"kind": "x", "value": float("nan")}, "value: expected a finite number"),
        (EDIT | {"kind": "targets", "value": 2}, "expected targets in [0, 1], got 2.0 at row 0"),
        (EDIT | {"kind": "params", "path": "W"}, "layer: expected an integer of at least 0, got null"),
        (EDIT | {"kind": "params", "path": "W", "layer": 9}, "expected an index from 0 to 3, got 9"),
        (EDIT | {"kind": "params", "path": "W", "layer": 2}, "layer 2, Tanh: it has none; got 'W'"),
        (EDIT | {"kind": "params", "path": "c", "layer": 1}, "layer 1, Dense: W, b; got 'c'"),
        (EDIT | {"kind": "params", "path": "b", "layer": 1}, "of an entry of b, of shape (8,)"),
    ],
)  # fmt: skip
def test_a_wrong_request_changes_nothing(session, request_, message):
    session.train(1)
    before = session.view()
    with pytest.raises(ValueError, match=re.escape(message)):
        answer(session, request_)
    assert session.view() == before


def test_classes_are_integers():
    session = Session(Trainer(Dense(3), SoftmaxCrossEntropy()), INPUTS, [0, 1, 2, 0])
    session.edit_target([0], 2)
    assert session.y.tolist() == [2, 1, 2, 0]
    for value in (0.5, 3, -1, 2**40):
        with pytest.raises(ValueError, match=r"targets: expected an integer|y: SoftmaxCrossEntropy"):
            session.edit_target([0], value)
    assert session.y.tolist() == [2, 1, 2, 0]


def test_an_optimizer_without_a_learning_rate():
    @dataclass(frozen=True)
    class Still(Optimizer):
        def init(self, params):
            return {}

        def update(self, backend, gradients, state, params):
            return params, state

    session = Session(Trainer(Dense(1), HalfSquaredError(), Still()), INPUTS, TARGETS)
    assert session.view()["learning_rate"] is None
    with pytest.raises(ValueError, match="the learning rate of Still cannot be changed"):
        session.set_learning_rate(0.1)
