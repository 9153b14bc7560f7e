"""Recurrent layers: values, masks, directions, truncation, training, and errors."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from backends import Backend, Tree, get_backend, tree
from multinn import (
    GRU,
    LSTM,
    Adam,
    Bidirectional,
    Dense,
    HalfSquaredError,
    Layer,
    Masked,
    Masking,
    Sequential,
    SimpleRNN,
    Trainer,
)
from multinn.layers.base import values_of, with_mask
from multinn.layers.sequences.recurrent import Recurrent
from tests.support.layer_runs import fans_told

BATCH, TIME, INPUTS, UNITS = 2, 4, 3, 5
X = np.random.default_rng(0).normal(size=(BATCH, TIME, INPUTS))
KINDS = (SimpleRNN, GRU, LSTM)

every_kind = pytest.mark.parametrize("kind", KINDS)
close = partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-13)


def draw(layer: Layer, x: np.ndarray = X) -> Tree:
    generator = np.random.default_rng(1)
    params, _ = layer.init(generator, x.shape[1:])
    return tree.map(lambda leaf: leaf + 0.3 * generator.normal(size=leaf.shape), params)


def outputs(
    layer: Layer, params: Tree, x: np.ndarray = X, mask: Any = None, backend: Backend | None = None
) -> Any:
    backend = backend or get_backend("numpy")
    with backend.precision("float64"):
        params, x, mask = backend.from_numpy((params, x, mask))
        return backend.to_numpy(layer.forward(backend, params, with_mask(x, mask))[0])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def loop(kind: type[Recurrent], params: Tree, x: np.ndarray) -> np.ndarray:
    """Return h after each step by the equations of the papers, one example and one step at a time."""
    W, U, b = (np.split(params[name], kind.gates, axis=-1) for name in "WUb")
    y = np.zeros((*x.shape[:2], UNITS))
    for example in range(len(x)):
        h, c = np.zeros(UNITS), np.zeros(UNITS)
        for t in range(x.shape[1]):
            a = [x[example, t] @ each + bias for each, bias in zip(W, b, strict=True)]
            s = [h @ each for each in U]
            if kind is SimpleRNN:
                h = np.tanh(a[0] + s[0])
            elif kind is GRU:
                r, z = sigmoid(a[0] + s[0]), sigmoid(a[1] + s[1])
                product = r * (s[2] + params["c"]) if "c" in params else (r * h) @ U[2]
                h = (1.0 - z) * np.tanh(a[2] + product) + z * h
            else:
                i, f, o = (sigmoid(a[k] + s[k]) for k in (0, 1, 3))
                c = f * c + i * np.tanh(a[2] + s[2])
                h = o * np.tanh(c)
            y[example, t] = h
    return y


@every_kind
def test_the_steps_are_those_of_the_equations(backend, kind):
    layer = kind(UNITS, return_sequences=True)
    params = draw(layer)
    expected = loop(kind, params, X)
    close(outputs(layer, params, backend=backend), expected)
    close(outputs(kind(UNITS), params, backend=backend), expected[:, -1])


def test_a_gru_can_reset_before_the_product(backend):
    layer = GRU(UNITS, return_sequences=True, reset_after=False)
    params = draw(layer)
    assert params.keys() == {"W", "U", "b"}
    close(outputs(layer, params, backend=backend), loop(GRU, params, X))


@every_kind
def test_backwards_is_forwards_over_reversed_sequences(kind):
    layer = kind(UNITS, return_sequences=True, go_backwards=True)
    params = draw(layer)
    close(outputs(layer, params), loop(kind, params, X[:, ::-1])[:, ::-1])
    last = replace(layer, return_sequences=False)
    close(outputs(last, params), loop(kind, params, X[:, ::-1])[:, -1])


def padded(x: np.ndarray, front: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences padded with a number other than 0, and their mask."""
    mask = np.pad(np.ones(x.shape[:2], bool), ((0, 0), (front, end)))
    return np.pad(x, ((0, 0), (front, end), (0, 0)), constant_values=7.0), mask


@pytest.mark.parametrize(("front", "end"), [(2, 0), (0, 2), (1, 3)])
@pytest.mark.parametrize("merge", ["concatenate", "sum"])
def test_padding_at_the_start_or_the_end_changes_nothing(backend, front, end, merge):
    layer = Bidirectional(LSTM(UNITS), merge)
    params = draw(layer)
    x, mask = padded(X, front, end)
    close(outputs(layer, params, x, mask, backend), outputs(layer, params))


@every_kind
def test_a_step_that_does_not_count_keeps_the_state(kind):
    layer = kind(UNITS, return_sequences=True)
    params = draw(layer)
    x, mask = padded(X, 1, 1)
    x, mask = np.insert(x, 3, 7.0, axis=1), np.insert(mask, 3, False, axis=1)
    y = outputs(layer, params, x, mask)
    assert isinstance(y, Masked)
    np.testing.assert_array_equal(y.mask, mask)
    expected = loop(kind, params, X)
    steps = [expected[:, 0], expected[:, 1], expected[:, 1], expected[:, 2], expected[:, 3]]
    close(y.values, np.stack([0.0 * steps[0], *steps, expected[:, 3]], axis=1))


def test_an_example_without_steps_that_count_gives_zeros():
    layer = LSTM(UNITS)
    mask = np.array([[False] * TIME, [True] * TIME])
    y = outputs(layer, draw(layer), X, mask)
    np.testing.assert_array_equal(y[0], np.zeros(UNITS))


@every_kind
def test_padding_gets_no_gradient(kind):
    layer = kind(UNITS, return_sequences=True)
    params, backend = draw(layer), get_backend("numpy")
    x, mask = padded(X, 1, 1)
    y, cache = layer.forward(backend, params, Masked(x, mask))
    dx, _ = layer.backward(backend, params, cache, np.ones_like(y.values))
    np.testing.assert_array_equal((dx != 0.0).any(axis=-1), mask)


def dx_and_gradients(layer: Layer, params: Tree, x: np.ndarray = X) -> Tree:
    backend = get_backend("numpy")
    y, cache = layer.forward(backend, params, x)
    return layer.backward(backend, params, cache, np.ones_like(values_of(y)))


@every_kind
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forwards", "backwards"])
def test_truncation_counts_steps_in_the_order_of_the_layer(kind, go_backwards):
    layer = kind(UNITS, go_backwards=go_backwards)
    params = draw(layer)
    whole, _ = dx_and_gradients(layer, params)
    cut, _ = dx_and_gradients(replace(layer, truncate=3), params)  # before the last of four steps
    last = 0 if go_backwards else TIME - 1
    kept = np.arange(TIME)[:, None] == last
    close(cut, np.where(kept, whole, 0.0))


def test_truncation_at_or_above_the_length_cuts_nothing():
    layer = LSTM(UNITS)
    params = draw(layer)
    for k in (TIME, TIME + 3):
        whole, cut = (dx_and_gradients(each, params) for each in (layer, replace(layer, truncate=k)))
        tree.map(np.testing.assert_array_equal, whole, cut)


@every_kind
def test_large_numbers_saturate(backend, kind):
    layer = kind(UNITS)
    params = tree.map(lambda leaf: 1e4 * leaf.astype(np.float32), draw(layer))
    x = backend.from_numpy(1e4 * X.astype(np.float32))
    params = backend.from_numpy(params)
    y, cache = layer.forward(backend, params, x)
    results = backend.to_numpy((y, layer.backward(backend, params, cache, y)))
    assert all(np.isfinite(leaf).all() for leaf in tree.leaves(results))


def test_initial_parameters():
    params, _ = LSTM(UNITS).init(np.random.default_rng(0), (TIME, INPUTS))
    np.testing.assert_array_equal(params["b"], np.repeat([0.0, 1.0, 0.0, 0.0], UNITS))
    for U in np.split(params["U"], 4, axis=1):
        np.testing.assert_allclose(U @ U.T, np.eye(UNITS), atol=1e-14)
    params, _ = LSTM(UNITS, forget_bias=0.0).init(np.random.default_rng(0), (TIME, INPUTS))
    assert not params["b"].any()


@every_kind
def test_fans_are_those_of_one_gate(kind):
    layer, from_inputs, from_state = kind(UNITS), (INPUTS, UNITS), (UNITS, UNITS)
    assert fans_told(layer, (TIME, INPUTS), "weight_initializer") == [from_inputs]
    assert fans_told(layer, (TIME, INPUTS), "recurrent_initializer") == [from_state] * kind.gates
    biases = [from_inputs, from_state] if kind is GRU else [from_inputs]
    assert fans_told(layer, (TIME, INPUTS), "bias_initializer") == biases


DATA = np.random.default_rng(2).normal(size=(10, TIME, INPUTS))
DATA[3:6, 2:] = 0.0
TARGETS = DATA[:, :2].sum(axis=(1, 2))[:, None]


def train(backend: Backend | str, kind: type[Recurrent]) -> tuple[list[float], Tree]:
    hidden = kind(UNITS, return_sequences=True)
    model = Sequential([Masking(), Bidirectional(hidden), kind(3, truncate=2), Dense(1)])
    trainer = Trainer(model, HalfSquaredError(), Adam(0.01), backend=backend, dtype="float64")
    history = trainer.fit(DATA, TARGETS, epochs=4, batch_size=4, progress=False)
    return [record["loss"] for record in history], trainer.backend.to_numpy(trainer.params)


@pytest.fixture(scope="module")
def eager_lstm() -> Any:
    return train("numpy:eager", LSTM)


def test_training_is_the_same_on_every_backend(backend, eager_lstm):
    losses, params = eager_lstm
    assert losses[-1] < losses[0]
    got_losses, got_params = train(backend, LSTM)
    np.testing.assert_allclose(got_losses, losses, rtol=1e-10)
    tree.map(partial(np.testing.assert_allclose, rtol=1e-8, atol=1e-10), got_params, params)


@every_kind
def test_compiled_numpy_trains_to_the_same_bits(kind):
    tree.map(np.testing.assert_array_equal, train("numpy", kind), train("numpy:eager", kind))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTM(0), "LSTM: expected units of at least 1, got 0"),
        (lambda: GRU(2.5), "GRU: expected units of at least 1, got 2.5"),
        (lambda: SimpleRNN(2, truncate=0), "SimpleRNN: expected truncate of at least 1, got 0"),
        (lambda: SimpleRNN(2, activation="elu"), "SimpleRNN: expected activation 'tanh' or 'relu'"),
        (lambda: LSTM(2, truncate="all"), "LSTM: expected truncate of at least 1, got 'all'"),
        (lambda: LSTM(2, forget_bias=np.inf), "LSTM: expected a finite forget_bias, got inf"),
        (lambda: Bidirectional(LSTM(2), "mean"), "Bidirectional: expected merge .* got 'mean'"),
    ],
)
def test_invalid_hyperparameters_raise(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_bidirectional_takes_only_recurrent_layers():
    with pytest.raises(TypeError, match=r"Bidirectional: expected a recurrent layer, .* got Dense"):
        Bidirectional(Dense(2))


@pytest.mark.parametrize("layer", [SimpleRNN(2), GRU(2), LSTM(2)], ids=str)
@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 3)], ids=str)
def test_inputs_that_are_no_sequences_raise(layer, shape):
    name = type(layer).__name__
    with pytest.raises(ValueError, match=rf"{name}: expected sequences of shape \(batch, time, feat"):
        layer.init(np.random.default_rng(0), shape)


def test_an_error_in_bidirectional_names_the_branch():
    with pytest.raises(ValueError, match="branch 0 of Bidirectional: LSTM: expected sequences"):
        Bidirectional(LSTM(2)).init(np.random.default_rng(0), (3,))
