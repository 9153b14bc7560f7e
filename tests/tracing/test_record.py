"""Traces record what training computes."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from backends import tree
from multinn import (
    LSTM,
    Adam,
    BatchNorm,
    ClipByGlobalNorm,
    Dense,
    Dropout,
    Masking,
    Residual,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
    trace_steps,
)
from tests.support.several_models import SEVERAL, cross_attention, two_heads
from tests.support.small_runs import CLASSES, MODEL, WEIGHTS, X, Y, make_trainer
from tests.support.traced_models import LAYER_MODELS


def params_after(found: Any) -> Any:
    """Return the parameters after the last step of a trace, which is of a plain optimizer."""
    return found.step(-1)["updates"][-1]["params_after"]


def assert_same(expected: Any, found: Any, **tolerance: float) -> None:
    """Compare two trees, to the bit without a tolerance."""
    leaves = zip(tree.leaves(expected), tree.leaves(found), strict=True)
    for one, other in leaves:
        np.testing.assert_allclose(other, one, **({"rtol": 0} | tolerance))


@pytest.mark.parametrize("name", LAYER_MODELS)
def test_losses_and_parameters_are_those_of_fit_to_the_bit(name):
    model = LAYER_MODELS[name]
    trainer = model.trainer()
    found = trainer.trace(model.x, model.y, steps=3)
    history = trainer.fit(
        model.x, model.y, epochs=3, batch_size=len(tree.leaves(model.y)[0]), progress=False
    )
    assert found.losses == history.losses
    assert_same(trainer.params, params_after(found) if tree.leaves(trainer.params) else ())


@pytest.mark.parametrize("name", SEVERAL)
def test_steps_of_several_inputs_and_outputs_are_those_of_fit_to_the_bit(name):
    trainer, x, y, weights = run = SEVERAL[name]()
    found = run.trace(steps=2)
    history = trainer.fit(x, y, epochs=2, weights=weights, progress=False)
    assert found.losses == history.losses
    assert_same(trainer.params, params_after(found))


def test_the_loss_of_each_output_is_recorded():
    trainer, x, y, weights = run = two_heads()
    heads = run.trace().step(0)["loss"]["heads"]
    trainer.fit(x, y, epochs=1, weights=weights, progress=False)
    for name, head in heads.items():
        np.testing.assert_allclose(head["weights"], weights[name] / np.mean(weights[name]), rtol=1e-12)
        assert head["value"] == pytest.approx(np.average(head["values"], weights=weights[name]))
        assert head["value"] == pytest.approx(trainer.history[0][f"loss_{name}"])  # as W_k = W here


def test_with_weights_of_entries_the_loss_of_each_entry_is_recorded():
    loss = cross_attention().trace().step(0)["loss"]
    assert (loss["values"].shape, loss["gradient"].shape) == ((2, 3), (2, 3, 5))
    counts = np.array([[1.0, 2.0, 0.0], [1.0, 1.0, 0.0]]) / [[3], [2]]  # the last target is ignored
    assert loss["value"] == pytest.approx(np.sum(counts * loss["values"]) / (1.0 + 5.0 / 3.0))


@pytest.mark.parametrize("keywords", [{}, {"weights": WEIGHTS}], ids=["plain", "weighted"])
def test_every_backend_records_the_steps_of_its_fit(backend, keywords):
    model = Sequential([Dense(4), BatchNorm(), Tanh(), Dropout(0.3), Residual(Dense(4)), Dense(2)])
    trainer = make_trainer(backend, model, dtype="float64")
    trainer.fit(X, Y, epochs=2, batch_size=4, progress=False, **keywords)
    found = trainer.trace(X, Y, steps=6, batch_size=4, **keywords)
    trainer.fit(X, Y, epochs=2, batch_size=4, progress=False, **keywords)  # the compiled program again
    tolerance = {} if backend.name == "numpy" else {"rtol": 1e-9, "atol": 1e-9}
    params, (_, of_batch_norm, *_), _ = backend.to_numpy(trainer.state)
    assert_same(params, params_after(found), **tolerance)
    assert_same(of_batch_norm, found.step(-1)["layers"][2]["state_after"], **tolerance)


def test_the_losses_of_an_epoch_are_those_of_its_steps():
    trainer = make_trainer()
    found = trainer.trace(X, Y, steps=3, batch_size=4)
    trainer.fit(X, Y, epochs=1, batch_size=4, progress=False)
    assert np.average(found.losses, weights=[4, 4, 2]) == pytest.approx(trainer.history.losses[0])


def test_masks_are_recorded():
    x = np.array([[[1.0], [2.0], [0.0]], [[3.0], [0.0], [0.0]]])
    model = Sequential([Masking(), LSTM(2)])
    found = trace_steps(model, make_trainer().program.loss, None, x, np.ones((2, 2)), backend="numpy")
    masking = found.step(0)["layers"][1]
    np.testing.assert_array_equal(masking["y"]["mask"], x[..., 0] != 0.0)


def test_the_order_of_calls_is_that_of_the_chain_rule():
    model = Sequential([Dense(3), Residual(Sequential([Dense(3), Tanh()])), Dense(2)])
    found = make_trainer(model=model).trace(X, Y)
    classes = [layer["class"] for layer in found.data["layers"]]
    assert classes == [
        *("Sequential", "Dense", "Residual", "Identity", "Sequential", "Dense", "Tanh", "Dense")
    ]
    assert [layer["parent"] for layer in found.data["layers"]] == [None, 0, 0, 2, 2, 4, 4, 0]
    step = found.step(0)
    assert step["forward"] == [1, 3, 5, 6, 4, 2, 7, 0]
    assert step["backward"] == [7, 3, 6, 5, 4, 2, 1, 0]


def test_each_layer_names_its_parameters_among_those_of_the_model():
    model = Sequential([Dense(3), Residual(Sequential([Dense(3), Tanh()])), Dense(2)])
    layers = make_trainer(model=model).trace(X, Y).data["layers"]
    places = [layer["parameters"] for layer in layers if layer["class"] == "Dense"]
    assert places == [
        {"W": "0.W", "b": "0.b"},
        {"W": "1.1.0.W", "b": "1.1.0.b"},
        {"W": "2.W", "b": "2.b"},
    ]


def test_each_y_is_the_next_x_and_each_dx_the_dy_before():
    layers = make_trainer().trace(X, Y).data["steps"][0]["layers"][1:]
    for before, after in pairwise(layers):
        assert before["y"] == after["x"]  # the same array
        assert before["dy"] == after["dx"]


def test_an_optimizer_within_another_is_recorded_with_the_gradients_that_it_got():
    trainer = make_trainer(optimizer=ClipByGlobalNorm(Adam(0.01), 0.001))
    found = trainer.trace(X, Y)
    assert [part["class"] for part in found.data["optimizers"]] == ["Adam", "ClipByGlobalNorm"]
    inner, outer = found.step(0)["updates"]
    norm = np.sqrt(sum((leaf**2).sum() for leaf in tree.leaves(inner["gradients"])))
    assert norm == pytest.approx(0.001, rel=1e-4)
    assert inner["rate"] == 0.01
    assert_same(outer["params_after"], inner["params_after"])


def test_the_trainer_stays_as_it_is():
    fresh = make_trainer()
    fresh.trace(X, Y, steps=2)
    assert fresh.params is None
    trained = make_trainer()
    trained.fit(X, Y, epochs=2, progress=False)
    before = tree.map(np.array, trained.state)
    trained.trace(X, Y, steps=2)
    assert_same(before, trained.state)
    assert (trained.epoch, trained.step) == (2, 2)


def test_the_chosen_examples_are_the_batch():
    trainer = make_trainer()
    some = trainer.trace(X, Y, examples=[7, 2])
    np.testing.assert_array_equal(some.step(0)["layers"][0]["x"], X[[7, 2]])
    assert some.losses == trainer.trace(X[[7, 2]], Y[[7, 2]]).losses
    assert trainer.trace(X, Y, examples=3).losses == trainer.trace(X[:3], Y[:3]).losses


def test_chosen_examples_that_all_have_the_weight_0_are_refused():
    weights = [1.0] + 9 * [0.0]
    with pytest.raises(ValueError, match=r"chosen weights: .* got only zeros"):
        make_trainer().trace(X, Y, examples=[7, 2], weights=weights)


def test_without_a_trainer_given_parameters_are_used():
    trainer = make_trainer()
    trainer.initialize((3,), seed=5)
    options = {"dtype": "float32", "backend": "numpy", "seed": 5}
    found = trace_steps(MODEL, trainer.program.loss, None, X, Y, params=trainer.params, **options)
    assert found.losses == trainer.trace(X, Y).losses


def test_the_code_that_ran_is_marked_line_by_line():
    found = make_trainer(model=Dense(2, use_bias=False)).trace(X, Y).data
    code = [found["code"][index] for index in found["layers"][0]["code"]["backward"]]
    gradients = next(entry for entry in code if entry["name"] == "Dense.parameter_gradients")
    lines = gradients["source"].splitlines()
    ran = [lines[number].strip() for number in gradients["ran"]]
    assert 'gradients = {"W": x.T @ dy}' in ran
    assert 'gradients["b"] = backend.xp.sum(dy, axis=0)' not in ran
    assert 'gradients["b"] = backend.xp.sum(dy, axis=0)' in map(str.strip, lines)


def test_an_infinite_loss_is_recorded():
    trainer = make_trainer(model=Dense(2))
    trainer.initialize((3,), {"W": np.full((3, 2), 1e30), "b": np.zeros(2)})
    assert trainer.trace(X, Y).losses == [np.inf]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"steps": 0}, "steps: expected at least 1"),
        ({"examples": 11}, "examples: expected indices in 0..9, got 11"),
        ({"examples": [0, -1]}, "examples: expected indices in 0..9"),
        ({"examples": []}, "examples: expected a number of examples, or the indices of some"),
        ({"examples": [0.5]}, "examples: expected a number of examples, or the indices of some"),
        ({"leave_out": ["z"]}, "leave_out: expected names of x, y, cache"),
        ({"leave_out": "x"}, "leave_out: expected names of x, y, cache"),
        ({"most_bytes": 1000, "steps": 3}, "got more after 1 of 3 steps; record fewer"),
        ({"batch_size": 0}, "batch_size: expected at least 1"),
    ],
)
def test_an_error_says_what_is_wrong_with_the_arguments(keywords, message):
    with pytest.raises(ValueError, match=message):
        make_trainer().trace(X, Y, **keywords)


def test_entries_can_be_left_out():
    found = make_trainer().trace(X, Y, leave_out=["cache", "updates", "code", "documentation"])
    assert set(found.step(0)) == {"number", "rows", "forward", "backward", "layers", "loss"}
    assert "cache" not in found.step(0)["layers"][1]
    assert not found.data["code"]
    assert "documentation" not in found.data["loss"]


def test_the_bound_is_about_the_size_as_json():
    trainer = make_trainer()
    size = len(trainer.trace(X, Y, steps=40).to_json())
    trainer.trace(X, Y, steps=40, most_bytes=round(1.2 * size))
    with pytest.raises(ValueError, match="got more after"):
        trainer.trace(X, Y, steps=40, most_bytes=round(0.8 * size))


def test_a_classifier_is_traced():
    trainer = make_trainer(model=Dense(2), loss=SoftmaxCrossEntropy())
    found = trainer.trace(X, CLASSES, steps=2)
    assert found.step(0)["loss"]["targets"].dtype == np.int32
