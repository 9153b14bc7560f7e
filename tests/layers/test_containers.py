"""Layers made of layers: outputs, states, masks and errors."""

from dataclasses import dataclass

import numpy as np
import pytest

from backends import Backend, get_backend, tree
from multinn import (
    SGD,
    Add,
    Concatenate,
    Container,
    Dense,
    Dropout,
    HalfSquaredError,
    Identity,
    Layer,
    Masked,
    Masking,
    Parallel,
    Residual,
    Sequential,
    Trainer,
)
from multinn.layers.base import ParameterFree
from multinn.random import Key, step_words

X = np.random.default_rng(0).normal(size=(4, 3))


@dataclass(frozen=True)
class Double(ParameterFree):
    def forward(self, backend, params, x, key=None):
        return 2.0 * x, None

    def backward(self, backend, params, cache, dy):
        return 2.0 * dy, {}


@dataclass(frozen=True)
class CountBatches(Double):
    """Add the number of training batches to the input at inference."""

    def init_state(self, params):
        return {"batches": np.zeros((1,), np.float32)}

    def forward_with_state(self, backend, params, state, x, key=None):
        return (x if key is not None else x + state["batches"]), None

    def next_state(self, backend, state, cache):
        return {"batches": state["batches"] + 1.0}


@dataclass(frozen=True)
class SumOverTime(ParameterFree):
    takes_mask = True

    def init(self, generator, input_shape):
        return {}, input_shape[1:]

    def forward(self, backend, params, x, key=None):
        counts = backend.xp.astype(x.mask, x.values.dtype)[..., None]
        return backend.xp.sum(x.values * counts, axis=1), counts

    def backward(self, backend, params, cache, dy):
        return dy[:, None, :] * cache, {}


def outputs(layer: Layer, backend: Backend, x: np.ndarray = X) -> np.ndarray:
    params, shape = layer.init(np.random.default_rng(1), x.shape[1:])
    with backend.precision("float64"):
        y, _ = layer.forward(backend, *backend.from_numpy((params, x)))
        y = backend.to_numpy(y)
    assert y.shape == (len(x), *shape)
    return y


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Identity(), X),
        (Add([Identity(), Double()]), 3.0 * X),
        (Residual(Double()), 3.0 * X),
        (Residual(Double(), Double()), 4.0 * X),
        (Concatenate([Identity(), Double()]), np.concatenate([X, 2.0 * X], axis=1)),
        (Concatenate([Identity(), Double()], axis=1), np.concatenate([X, 2.0 * X], axis=1)),
    ],
    ids=str,
)
def test_branches_get_the_same_input_and_are_combined(backend, layer, expected):
    np.testing.assert_array_equal(outputs(layer, backend), expected)


def test_parallel_branches_give_a_tuple():
    layer = Parallel([Identity(), Double()])
    params, shape = layer.init(np.random.default_rng(0), (3,))
    y, cache = layer.forward(get_backend("numpy"), params, X)
    assert shape == ((3,), (3,))
    np.testing.assert_array_equal(y[1], 2.0 * X)
    dx, _ = layer.backward(get_backend("numpy"), params, cache, (X, X))
    np.testing.assert_array_equal(dx, 3.0 * X)


def test_branches_draw_different_random_numbers(backend):
    layer = Parallel([Dropout(), Dropout()])
    words = backend.from_numpy(step_words(0, 0, 1)[0])
    x = backend.from_numpy(np.ones((8, 8), np.float32))
    one, other = backend.to_numpy(layer.forward(backend, ({}, {}), x, Key(words))[0])
    assert (one != other).any()


@pytest.mark.parametrize("container", [Sequential, Add, Concatenate, Parallel])
def test_states_pass_through_containers(backend, container):
    model = Sequential([Residual(container([CountBatches()])), Dense(1)])
    if container is Parallel:
        model = Sequential([Parallel([CountBatches()]), FirstOfTuple(), Dense(1)])
    trainer = Trainer(model, HalfSquaredError(), SGD(0.0), backend=backend)
    trainer.fit(X, X[:, :1], epochs=3, batch_size=3, progress=False)
    counts = tree.leaves(backend.to_numpy(trainer.state.layer_state))
    assert [count.tolist() for count in counts] == [[6.0]]
    params = backend.to_numpy(trainer.params)[-1]
    scale = 1.0 if container is Parallel else 2.0
    expected = (scale * X + 6.0).astype(np.float32) @ params["W"] + params["b"]
    np.testing.assert_allclose(trainer.predict(X), expected, rtol=1e-5)


@dataclass(frozen=True)
class FirstOfTuple(Layer):
    takes_tuple = True

    def init(self, generator, input_shape):
        return {}, input_shape[0]

    def forward(self, backend, params, x, key=None):
        return x[0], None

    def backward(self, backend, params, cache, dy):
        return (dy,), {}


SEQUENCES = np.array([[[1.0, 2.0], [0.0, 3.0]], [[4.0, 5.0], [0.0, 0.0]]])
MASK = np.array([[True, True], [True, False]])


def test_masking_marks_the_steps_that_are_all_padding(backend):
    with backend.precision("float64"):
        y, _ = Masking().forward(backend, {}, backend.from_numpy(SEQUENCES))
        np.testing.assert_array_equal(backend.to_numpy(y.mask), MASK)


@pytest.mark.parametrize(
    "between",
    [Dense(2), Residual(Dense(2)), Add([Dense(2), Double()]), Concatenate([Dense(1), Dense(1)])],
    ids=lambda layer: type(layer).__name__,
)
def test_a_mask_is_passed_on_by_layers_that_take_none(backend, between):
    masked = Sequential([Masking(), between, SumOverTime()])
    plain = Sequential([between])
    per_step = outputs(plain, backend, SEQUENCES)
    params, _ = plain.init(np.random.default_rng(1), (2, 2))
    with backend.precision("float64"):
        arguments = backend.from_numpy((({}, params[0], {}), SEQUENCES))
        y = backend.to_numpy(masked.forward(backend, *arguments)[0])
    np.testing.assert_allclose(y, (per_step * MASK[..., None]).sum(axis=1))


def test_masks_of_branches_are_concatenated_along_time(backend):
    layer = Sequential([Masking(), Concatenate([Identity(), Identity()], axis=1), SumOverTime()])
    np.testing.assert_array_equal(outputs(layer, backend, SEQUENCES), 2.0 * SEQUENCES.sum(axis=1))


def test_outputs_with_a_mask_train_and_predict(backend):
    trainer = Trainer(Sequential([Masking(), Dense(1)]), HalfSquaredError(), backend=backend)
    trainer.fit(SEQUENCES, SEQUENCES[..., :1], epochs=2, progress=False)
    assert trainer.predict(SEQUENCES).shape == (2, 2, 1)


def test_a_layer_that_changes_the_shape_of_the_mask_raises():
    x = Masked(SEQUENCES[..., 0], MASK)
    params = {"W": np.ones((2, 3)), "b": np.zeros(3)}
    with pytest.raises(
        ValueError, match=r"Dense: expected no mask, or outputs that begin with \(batch, time\) \(2, 2\)"
    ):
        Sequential([Dense(3)]).forward(get_backend("numpy"), (params,), x)


def test_only_some_layers_take_the_tuple_of_parallel_branches():
    model = Sequential([Parallel([Identity(), Identity()]), Dense(2)])
    with pytest.raises(
        ValueError, match="layer 1 of Sequential: Dense: expected one array, got a tuple"
    ):
        model.init(np.random.default_rng(0), (3,))


@pytest.mark.parametrize("container", [Sequential, Add, Concatenate, Parallel])
def test_containers_take_a_list_of_layers(container: type[Container]):
    with pytest.raises(TypeError, match=f"{container.__name__}: expected .*: a list of layers, got 3"):
        container(3)


@pytest.mark.parametrize("container", [Sequential, Add, Concatenate, Parallel])
def test_containers_hold_layers_and_at_least_one(container: type[Container]):
    name = container.__name__
    with pytest.raises(TypeError, match=f"{name}: expected .*: a list of layers, got Identity"):
        container(Identity())
    with pytest.raises(TypeError, match=f"{name}: expected .*: a list of layers, got Residual"):
        container(Residual(Dense(3)))  # a container is iterable, but no list
    with pytest.raises(ValueError, match=f"{name}: expected .*: at least one layer, got none"):
        container([])
    with pytest.raises(TypeError, match=rf"{name}: expected .*\[1\]: Layer, got 3"):
        container([Identity(), 3])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            Add([Dense(2), Dense(3)]),
            r"Add: expected branches .* got \('batch', 2\) .* and \('batch', 3\)",
        ),
        (Residual(Dense(2)), "Residual: expected a layer and a shortcut with outputs of one shape"),
        (
            Concatenate([Identity()], axis=2),
            r"Concatenate: expected .* axis 2 after the batch, got shape \('batch', 3\)",
        ),
        (Concatenate([Identity()], axis=-2), "Concatenate: expected outputs with an axis -2"),
        (
            Concatenate([Identity(), SumOverTime()]),
            r"Concatenate, axes other than -1: .* got \('batch', 3\) .* and \('batch',\)",
        ),
        (Add([Add([Dense(1), Dense(2)])]), r"branch 0 of Add: Add: expected branches"),
    ],
    ids=str,
)
def test_outputs_of_incompatible_shapes_raise(layer, message):
    with pytest.raises(ValueError, match=message):
        layer.init(np.random.default_rng(0), (3,))


@pytest.mark.parametrize("axis", [0, 1.5, "time"])
def test_concatenate_takes_an_axis_other_than_the_batch(axis):
    with pytest.raises(ValueError, match="Concatenate: expected an axis other than 0, the batch, got"):
        Concatenate([Identity()], axis=axis)


def test_a_layer_can_check_its_inputs():
    @dataclass(frozen=True)
    class Positive(Double):
        def check_inputs(self, inputs):
            if (inputs <= 0).any():
                raise ValueError("Positive: expected numbers above 0")

    for model in (Sequential([Positive()]), Residual(Sequential([Positive()]))):
        trainer = Trainer(model, HalfSquaredError())
        trainer.fit(np.abs(X), X, epochs=1, progress=False)
        for call in (
            lambda trainer=trainer: trainer.fit(X, X, epochs=1),
            lambda trainer=trainer: trainer.evaluate(X, X),
            lambda trainer=trainer: trainer.predict(X),
        ):
            with pytest.raises(ValueError, match="x: Positive: expected numbers above 0"):
                call()


def test_an_index_gives_a_layer_and_a_slice_a_sequential():
    first, last = Dense(3), Dense(2)
    model = Sequential([first, Identity(), last])
    assert (model[0], model[-1], len(model)) == (first, last, 3)
    assert list(model) == [first, Identity(), last]
    assert model[1:] == Sequential([Identity(), last])
    with pytest.raises(ValueError, match="at least one layer, got none"):
        model[3:]
    with pytest.raises(IndexError):
        model[3]


def test_a_slice_computes_with_a_slice_of_the_parameters():
    backend, model = get_backend("numpy:eager"), Sequential([Dense(3), Double(), Dense(2)])
    params, _ = model.init(np.random.default_rng(0), (3,))
    hidden, _ = model[:2].forward(backend, params[:2], X)
    y, _ = model[2:].forward(backend, params[2:], hidden)
    np.testing.assert_array_equal(y, model.forward(backend, params, X)[0])


@pytest.mark.parametrize(
    ("container", "children"),
    [
        (Add([Dense(2), Identity()]), [Dense(2), Identity()]),
        (Residual(Dense(3)), [Identity(), Dense(3)]),
        (Parallel([Dense(3), Dense(2)]), [Dense(3), Dense(2)]),
    ],
)
def test_an_index_of_a_container_is_that_of_its_parameters(container, children):
    assert [container[index] for index in range(len(container))] == list(container) == children


def test_a_name_gives_a_branch_of_parallel():
    heads = Parallel({"price": Dense(1), "kind": Dense(3)})
    assert heads["kind"] is heads[1] is heads.branches[1]
    with pytest.raises(KeyError, match=r"expected one of the names .*, got 'size'"):
        heads["size"]
