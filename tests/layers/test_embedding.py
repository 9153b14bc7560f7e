"""Embeddings and positions: values, masks, training from ids, and errors."""

import math

import numpy as np
import pytest
from scipy.linalg import toeplitz

from backends import get_backend
from multinn import (
    LSTM,
    Adam,
    ChannelsLast,
    Dense,
    Embedding,
    Flatten,
    HalfSquaredError,
    Identity,
    Masked,
    PositionalEncoding,
    PositionEmbedding,
    RelativePositionBias,
    Rescale,
    Sequential,
    Trainer,
)
from multinn.initializers import Uniform
from tests.support.layer_runs import fans_told

IDS = np.array([[3, 1, 0], [2, 0, 0]])
TABLE = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32"])
def test_ids_become_rows(backend, dtype):
    params, x = backend.from_numpy(({"W": TABLE}, IDS.astype(dtype)))
    y, _ = Embedding(4, 2).forward(backend, params, x)
    np.testing.assert_array_equal(backend.to_numpy(y), TABLE[IDS])


def test_a_padding_id_gives_a_mask(backend):
    params, x = backend.from_numpy(({"W": TABLE}, IDS.astype(np.float32)))
    y, _ = Embedding(4, 2, padding_id=0).forward(backend, params, x)
    assert isinstance(y, Masked)
    np.testing.assert_array_equal(backend.to_numpy(y.values), TABLE[IDS])
    np.testing.assert_array_equal(backend.to_numpy(y.mask), IDS != 0)


@pytest.mark.parametrize(
    ("layer", "input_shape", "fans"),
    [(Embedding(7, 3), (5,), (7, 3)), (PositionEmbedding(), (5, 3), (5, 3))],
    ids=str,
)
def test_fans_are_the_lengths_of_the_table(layer, input_shape, fans):
    assert fans_told(layer, input_shape, "weight_initializer") == [fans]


def test_the_largest_id_survives_float32():
    largest = np.array([[2**24 - 1]])
    assert int(largest.astype(np.float32)[0, 0]) == 2**24 - 1
    Embedding(2**24, 1).check_inputs(largest.astype(np.float32))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.array([[0, 1], [4, 0]]), "got 4 at row 1, column 0"),
        (np.array([[0, -1], [2, 0]]), "got -1 at row 0, column 1"),
        (np.array([[0.0, 1.0], [0.5, 1.0]]), "got 0.5 at row 1, column 0"),
    ],
)
def test_an_invalid_id_raises_with_its_place(wrong, message):
    trainer = Trainer(Sequential([Embedding(4, 2), LSTM(2)]), HalfSquaredError(), backend="numpy")
    whole = f"x: Embedding: expected ids, whole numbers from 0 to 3, {message}"
    with pytest.raises(ValueError, match=whole):
        trainer.fit(wrong, np.zeros((2, 2)), epochs=1)
    trainer.initialize((2,))
    with pytest.raises(ValueError, match=whole):
        trainer.predict(wrong)


@pytest.mark.parametrize(
    ("before", "shape"),
    [
        ([Flatten()], (2, 1)),
        ([Sequential([Identity()])], (2,)),
        ([Sequential([Flatten(), Identity()]), Identity()], (1, 2)),
        ([ChannelsLast(), Flatten()], (2, 1, 1)),
    ],
)
def test_ids_are_checked_after_layers_that_keep_them(before, shape):
    trainer = Trainer(Sequential([*before, Embedding(4, 2)]), HalfSquaredError(), backend="numpy")
    trainer.initialize(shape)
    with pytest.raises(ValueError, match=r"expected ids, whole numbers from 0 to 3, got -1 at row 1"):
        trainer.predict(np.array([0, 1, 2, -1]).reshape(2, *shape))


def test_outputs_of_other_layers_are_not_checked():
    model = Sequential([Sequential([Rescale(4.0)]), Embedding(4, 2)])
    trainer = Trainer(model, HalfSquaredError(), backend="numpy")
    trainer.initialize((2,))
    assert trainer.predict(np.array([[0.25, 0.5]])).shape == (1, 2, 2)


def test_a_model_of_ids_learns():
    ids = np.random.default_rng(0).integers(1, 5, size=(16, 6))
    ids[:8, 4:] = 0
    targets = np.where((ids == 3).any(axis=1), 1.0, 0.0)[:, None]
    model = Sequential([Embedding(5, 4, padding_id=0), LSTM(6), Dense(1)])
    trainer = Trainer(model, HalfSquaredError(), Adam(0.05), backend="numpy")
    trainer.fit(ids, targets, epochs=100, batch_size=16, progress=False)
    assert trainer.evaluate(ids, targets)["loss"] < 0.01


def test_padding_of_any_length_gives_the_same_prediction():
    model = Sequential([Embedding(5, 4, padding_id=0), PositionalEncoding(), LSTM(6), Dense(1)])
    ids = np.array([[1, 4, 2]])
    predictions = []
    for length in (3, 5):
        trainer = Trainer(model, HalfSquaredError(), backend="numpy")
        trainer.initialize((length,))
        predictions.append(trainer.predict(np.pad(ids, ((0, 0), (0, length - 3)))))
    np.testing.assert_array_equal(*predictions)


def test_positional_encoding(backend):
    expected = np.zeros((3, 5))
    for t in range(3):
        for j in range(5):
            angle = t / 10_000.0 ** ((j - j % 2) / 5)
            expected[t, j] = math.cos(angle) if j % 2 else math.sin(angle)
    with backend.precision("float64"):
        x = backend.from_numpy(np.ones((2, 3, 5)))
        y = backend.to_numpy(PositionalEncoding().forward(backend, {}, x)[0])
    np.testing.assert_allclose(y, 1.0 + np.stack([expected, expected]), rtol=1e-14)


def test_positions_keep_the_dtype(backend):
    x = backend.from_numpy(np.zeros((1, 3, 4), np.float32))
    y = backend.to_numpy(PositionalEncoding().forward(backend, {}, x)[0])
    assert y.dtype == np.float32


def test_position_embedding_adds_a_row_to_each_step():
    params, shape = PositionEmbedding().init(np.random.default_rng(0), (3, 2))
    assert shape == params["P"].shape == (3, 2)
    y, _ = PositionEmbedding().forward(get_backend("numpy"), params, np.zeros((2, 3, 2)))
    np.testing.assert_array_equal(y, [params["P"], params["P"]])


def test_position_embedding_of_more_steps_uses_the_first_rows(backend):
    layer = PositionEmbedding(steps=5)
    params, shape = layer.init(np.random.default_rng(0), (3, 2))
    assert (shape, params["P"].shape) == ((3, 2), (5, 2))
    x, dy = np.zeros((2, 3, 2)), np.arange(12.0).reshape(2, 3, 2)
    with backend.precision("float64"):
        parameters, *arrays = backend.from_numpy((params, x, dy))
        y, cache = layer.forward(backend, parameters, arrays[0])
        _, gradients = layer.backward(backend, parameters, cache, arrays[1])
        y, dP = backend.to_numpy((y, gradients["P"]))
    np.testing.assert_array_equal(y, [params["P"][:3]] * 2)
    np.testing.assert_array_equal(dP, [[6, 8], [10, 12], [14, 16], [0, 0], [0, 0]])


def test_relative_position_bias_has_a_number_for_each_distance():
    layer, numpy = RelativePositionBias(2, Uniform()), get_backend("numpy:eager")
    params, shape = layer.init(np.random.default_rng(0), (3, 4))
    x = Masked(np.ones((2, 3, 4)), np.ones((2, 3), bool))
    y, cache = layer.forward(numpy, params, x)
    # The first column has the distances 0, -1, -2, the first row 0, 1, 2.
    heads = [toeplitz(b[2::-1], b[2:]) for b in params["b"]]
    assert shape == (2, 3, 3)
    np.testing.assert_array_equal(y, [heads, heads])
    dx, gradients = layer.backward(numpy, params, cache, np.ones((2, 2, 3, 3)))
    np.testing.assert_array_equal(gradients["b"], [[2, 4, 6, 4, 2]] * 2)
    np.testing.assert_array_equal(dx, np.zeros((2, 3, 4)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PositionEmbedding(steps=0), "PositionEmbedding: expected steps of at least 1, got 0"),
        (lambda: RelativePositionBias(0), "RelativePositionBias: expected heads of at least 1, got 0"),
        (lambda: Embedding(0, 2), "Embedding: expected a vocabulary_size from 1 to 16777216.* got 0"),
        (lambda: Embedding(2**24 + 1, 2), "Embedding: expected a vocabulary_size .* got 16777217"),
        (lambda: Embedding(4, 0), "Embedding: expected dimension of at least 1, got 0"),
        (lambda: Embedding(4, 2, 4), "Embedding: expected None or a padding_id from 0 to 3, got 4"),
    ],
)
def test_invalid_hyperparameters_raise(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Embedding(4, 2, padding_id=0), (3, 2), r"Embedding: with a padding_id, expected .* 3, 2\)"),
        (PositionalEncoding(), (3,), "PositionalEncoding: expected sequences"),
        (RelativePositionBias(2), (3,), "RelativePositionBias: expected sequences"),
        (PositionEmbedding(), (3, 4, 5), "PositionEmbedding: expected sequences"),
        (PositionEmbedding(steps=2), (3, 4), "PositionEmbedding: .* at most 2 steps, got 3; increase"),
    ],
)
def test_invalid_shapes_raise(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.init(np.random.default_rng(0), shape)
