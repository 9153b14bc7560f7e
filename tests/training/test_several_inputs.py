"""Dicts and tuples of arrays as inputs: joined by the model, they train as one array, to the bit."""

from collections import UserDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multinn import (
    Adam,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Heads,
    Identity,
    Layer,
    MeanSquaredError,
    Parallel,
    Select,
    Sequential,
    ShuffledBatches,
    Tanh,
    Trainer,
)
from tests.support.small_runs import assert_same_bits

GENERATOR = np.random.default_rng(5)
A, B, Y = (GENERATOR.normal(size=(10, columns)) for columns in (2, 3, 1))
JOINED = np.concatenate([A, B], axis=1)
SEVERAL: dict[str, tuple[Any, list[Select]]] = {
    "dict": ({"a": A, "b": B}, [Select("a"), Select("b")]),
    "tuple": ((A, B), [Select(0), Select(1)]),
}

several = pytest.mark.parametrize(("x", "inputs"), SEVERAL.values(), ids=SEVERAL)
WEIGHTS = np.array([1.0, 0.0, 2.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 3.0])


def make_trainer(first: Layer, backend: Any) -> Trainer:
    model = Sequential([first, Dense(4), Tanh(), Dropout(0.2), Dense(1)])
    return Trainer(model, MeanSquaredError(), Adam(0.01), backend=backend, seed=3)


@several
def test_a_run_is_that_of_the_joined_array(backend, x, inputs):
    trainer, joined = (make_trainer(first, backend) for first in (Concatenate(inputs), Identity()))
    for each, data in ((trainer, x), (joined, JOINED)):
        settings = {"weights": WEIGHTS, "validation_data": (data, Y)}
        each.fit(data, Y, epochs=2, batch_size=4, progress=False, **settings)
    assert trainer.history == joined.history
    np.testing.assert_array_equal(trainer.predict(x), joined.predict(JOINED))
    assert trainer.evaluate(x, Y, batch_size=4) == joined.evaluate(JOINED, Y, batch_size=4)


@several
def test_batches_are_those_of_fit(x, inputs):
    trainer, other = (make_trainer(Concatenate(inputs), "numpy") for _ in range(2))
    trainer.fit(x, Y, epochs=2, batch_size=4, progress=False)
    other.fit_batches(ShuffledBatches(x, Y, batch_size=4, seed=3), epochs=2, progress=False)
    assert_same_bits(trainer, other)


@several
def test_a_checkpoint_continues_with_the_same_bits(tmp_path: Path, x, inputs):
    trainer = make_trainer(Concatenate(inputs), "numpy")
    trainer.fit(x, Y, epochs=1, batch_size=4, progress=False)
    trainer.save(tmp_path / "run.safetensors")
    loaded = Trainer.load(tmp_path / "run.safetensors", "numpy")
    assert loaded.input_shape == trainer.input_shape
    for each in (trainer, loaded):
        each.fit(x, Y, epochs=1, batch_size=4, progress=False)
    assert_same_bits(trainer, loaded)


def test_a_mapping_and_lists_are_a_dict_of_arrays():
    trainer = make_trainer(Concatenate([Select("a"), Select("b")]), "numpy")
    trainer.fit(UserDict(a=A.tolist(), b=B.tolist()), Y, epochs=1, progress=False)
    outputs = trainer.predict({"b": B, "a": A})
    np.testing.assert_array_equal(outputs, trainer.predict({"a": A, "b": B}))


def test_a_tuple_of_rows_of_numbers_is_one_array():
    trainer = make_trainer(Identity(), "numpy")
    trainer.fit(tuple(map(tuple, A.tolist())), Y, epochs=1, progress=False)
    assert trainer.input_shape == (2,)


MODEL = Concatenate([Select("a"), Sequential([Select("ids"), Embedding(5, 2), Flatten()])])
IDS = np.arange(10)[:, None] % 5


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ({"ids": IDS, "a": A[:9]}, r"x\['a'\]: expected 10 rows, as many as x\['ids'\] has, got 9"),
        ({"a": A * np.nan, "ids": IDS}, r"x\['a'\]: expected finite numbers, got nan at row 0"),
        ({"a": B, "ids": IDS}, r"x\['a'\]: expected examples of shape \(2,\), as in training"),
        ({"a": A}, "x: expected a dict with the keys 'a', 'ids', as in training, .* the keys 'a'$"),
        ((A, IDS), "x: expected a dict with the keys 'a', 'ids', as in training, got a tuple of 2"),
        (A, "x: expected a dict with the keys 'a', 'ids', as in training, got one array"),
        ({"a": A, "ids": IDS + 1}, r"x: Select\(entry='ids'\): Embedding: .* 5 at row 4, column 0"),
        ({"a": A[:, 0], "ids": IDS}, r"x\['a'\]: expected an array of shape \(examples, features"),
        ({}, "x: expected at least one entry, got an empty dict"),
        ([A, IDS], "x: .* ndarray of shape .*; several arrays are a tuple or a dict of arrays"),
    ],
)
def test_an_error_names_the_entry(x, message):
    trainer = make_trainer(MODEL, "numpy")
    trainer.fit({"a": A, "ids": IDS}, Y, epochs=1, progress=False)
    for call in (lambda: trainer.fit(x, Y, epochs=1), lambda: trainer.predict(x)):
        with pytest.raises(ValueError, match=message):
            call()


def test_keys_are_strings():
    with pytest.raises(TypeError, match="x: expected strings as the keys of a dict, got 1"):
        make_trainer(MODEL, "numpy").fit({1: A}, Y, epochs=1)


@pytest.mark.parametrize(
    ("model", "x", "y", "message"),
    [
        (Dense(1), {"a": A}, Y, "Dense: expected one array, got a dict of arrays of shapes"),
        (MODEL, A, Y, "branch 0 of Concatenate: Select: expected a dict or a tuple of arrays with"),
        (MODEL, {"a": A, "id": IDS}, Y, "with the entry 'ids', got a dict with the keys 'a', 'id'"),
        (Select(2), (A, B), Y, "with the entry 2, got a tuple of 2"),
        (Dense(1), A, {"a": Y}, "y: expected one array, as the model's outputs, got a dict"),
        (Parallel([Dense(1), Dense(1)]), A, (Y, Y), "MeanSquaredError: .* one output.*use Heads"),
    ],
)
def test_a_model_that_takes_or_gives_something_else_is_named(model, x, y, message):
    trainer = Trainer(model, MeanSquaredError(), backend="numpy")
    with pytest.raises(ValueError, match=message):
        trainer.fit(x, y, epochs=1, progress=False)
    assert trainer.params is None


def test_weights_of_classes_need_one_array():
    trainer = Trainer(Parallel([Dense(1)]), Heads([MeanSquaredError()]), backend="numpy")
    with pytest.raises(
        ValueError, match=r"class_weights: expected y as one array .*a tuple of 1; give weights"
    ):
        trainer.fit(A, (Y,), epochs=1, class_weights="balanced")


def test_weights_of_several_outputs_need_several_outputs():
    with pytest.raises(TypeError, match="weights: expected one array, got a dict with the keys 'a'"):
        make_trainer(Dense(1), "numpy").fit(A, Y, epochs=1, weights={"a": np.ones(10)})


def test_lengths_of_a_shape_may_be_integers_of_numpy():
    trainer = Trainer(Dense(1), MeanSquaredError(), backend="numpy")
    trainer.initialize((np.int64(2),))
    trainer.fit(A, Y, epochs=1, progress=False)
