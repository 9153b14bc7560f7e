"""Models that are trained on sequences of one length take other lengths, where their layers can."""

import re
from typing import Any

import numpy as np
import pytest

from backends import get_backend, tree
from multinn import (
    GRU,
    LSTM,
    SGD,
    BatchNorm,
    Concatenate,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    Layer,
    MeanSquaredError,
    PositionalEncoding,
    PositionEmbedding,
    Select,
    Sequential,
    SoftmaxCrossEntropy,
    Trainer,
    TransformerBlock,
)
from multinn.host.shapes_only import ShapesOnly
from multinn.initializers import Orthogonal

RNG = np.random.default_rng(0)
TEXTS = {time: RNG.integers(0, 7, (4, time)) for time in (3, 5, 8)}
NEXT = {time: np.roll(text, -1, axis=1) for time, text in TEXTS.items()}
ONE = {time: text[:, :1] / 7.0 for time, text in TEXTS.items()}

WHOLE: dict[str, tuple[Layer, ...]] = {
    "recurrent": (LSTM(3),),
    "convolution": (Conv1D(3, 2), BatchNorm(), GlobalMaxPool1D()),
    "attention": (PositionalEncoding(), TransformerBlock(4, 2, 3), GlobalAveragePool1D()),
    "positions": (PositionEmbedding(steps=8), GlobalAveragePool1D()),
}


def trainer_of(*layers: Layer, loss: Any = None, **keywords: Any) -> Trainer:
    model = Sequential([Embedding(7, 4), *layers])
    arguments = {"backend": "numpy", "dtype": "float64"} | keywords
    return Trainer(model, loss or MeanSquaredError(), SGD(0.1), **arguments)


def texts_of_words(**keywords: Any) -> Trainer:
    """Return a trainer of a model with an output for each step."""
    layers = (GRU(3, return_sequences=True), Dense(7))
    return trainer_of(*layers, loss=SoftmaxCrossEntropy(), **keywords)


@pytest.mark.parametrize("layers", WHOLE.values(), ids=WHOLE)
def test_a_model_of_sequences_takes_other_lengths(layers):
    trainer = trainer_of(*layers, Dense(1))
    trainer.fit(TEXTS[5], ONE[5], epochs=1, progress=False, validation_data=(TEXTS[8], ONE[8]))
    for time in (3, 8):
        state = trainer.backend.to_numpy(trainer.model_state)
        outputs, _ = trainer.model.forward_with_state(get_backend("numpy:eager"), *state, TEXTS[time])
        np.testing.assert_allclose(trainer.predict(TEXTS[time]), outputs, rtol=1e-12)
        error = np.mean((outputs - ONE[time]) ** 2)
        assert trainer.evaluate(TEXTS[time], ONE[time])["loss"] == pytest.approx(error, rel=1e-12)
        if time == 8:
            assert trainer.history["validation_loss"][-1] == pytest.approx(error, rel=1e-12)
    assert trainer.input_shape == (5,)


def test_a_model_of_images_takes_other_sizes():
    model = Sequential([Conv2D(2, 3), GlobalAveragePool2D(), Dense(1)])
    trainer = Trainer(model, MeanSquaredError(), backend="numpy", dtype="float64")
    trainer.initialize((4, 4, 1))
    images = RNG.normal(size=(2, 5, 6, 1))
    outputs, _ = model.forward(
        get_backend("numpy:eager"), trainer.backend.to_numpy(trainer.params), images
    )
    np.testing.assert_allclose(trainer.predict(images), outputs, rtol=1e-12)


def test_targets_for_each_step_have_the_length_of_their_sequences(backend):
    trainer = texts_of_words(backend=backend, dtype="float32")
    trainer.initialize((5,))
    assert trainer.predict(TEXTS[3]).shape == (4, 3, 7)
    assert np.isfinite(trainer.evaluate(TEXTS[8], NEXT[8])["loss"])
    message = r"y: .* shape \('examples', 8\), integer classes.* got \(4, 5\)"
    with pytest.raises(ValueError, match=message):
        trainer.evaluate(TEXTS[8], NEXT[5])


def test_each_batch_may_have_a_length_of_its_own():
    """Training on batches is the same as fits of one step each."""
    one, other = texts_of_words(), texts_of_words()
    batches = [(TEXTS[time], NEXT[time]) for time in (5, 3, 8)]
    one.fit_batches(batches, epochs=1, progress=False)
    for x, y in batches:
        other.fit(x, y, epochs=1, progress=False)
    for found, expected in zip(tree.leaves(one.params), tree.leaves(other.params), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_step_on_other_lengths_is_traced():
    trainer = texts_of_words()
    trainer.initialize((5,))
    trace = trainer.trace(TEXTS[3], NEXT[3])
    history = trainer.fit(TEXTS[3], NEXT[3], epochs=1, progress=False)
    np.testing.assert_allclose(trace.losses, history["loss"], rtol=1e-12)


def test_a_length_is_compiled_once():
    trainer = texts_of_words()
    trainer.initialize((5,))
    for time in (3, 8):
        trainer.predict(TEXTS[time])
    seconds = trainer.seconds.compile
    for time in (3, 8, 3):
        trainer.predict(TEXTS[time])
    assert trainer.seconds.compile == seconds


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((Flatten(), Dense(1)), "Dense would need the parameter 2.W of shape (12, 1), not (20, 1)"),
        (
            (PositionEmbedding(), LSTM(3), Dense(1)),
            "PositionEmbedding would need the parameter 1.P of shape (3, 4), not (5, 4)",
        ),
        (
            (Sequential([Conv1D(2, 4), GlobalMaxPool1D()]), Dense(1)),
            "layer 1 of Sequential: layer 0 of Sequential: Conv1D: expected sequences of a length of "
            "at least 4",
        ),
    ],
    ids=["Flatten", "PositionEmbedding", "Conv1D"],
)
def test_a_layer_that_cannot_take_another_length_is_named(layers, message):
    trainer = trainer_of(*layers)
    trainer.initialize((5,))
    expected = f"x: expected examples of shape (5,), as in training, got (3,): {message}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        trainer.predict(TEXTS[3])
    with pytest.raises(ValueError, match=re.escape(f"batch 1: {expected}")):
        trainer.fit_batches([(TEXTS[3], ONE[3])], epochs=1, progress=False)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((5, 3), "LSTM would need the parameter W of shape (3, 8), not (2, 8)"),
        ((5, 2, 1), "the number of axes differs"),
        ((5,), "the number of axes differs"),
    ],
)
def test_other_features_are_an_error(shape, reason):
    trainer = Trainer(LSTM(2), MeanSquaredError(), backend="numpy")
    trainer.initialize((5, 2))
    message = (
        f"x: expected examples of shape (5, 2), as in training, got {shape}: {reason}; give the same"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        trainer.predict(np.zeros((1, *shape)))


def test_one_of_several_inputs_may_have_another_length():
    inputs = [Sequential([Select("text"), Embedding(7, 4), LSTM(3)]), Select("numbers")]
    trainer = Trainer(Sequential([Concatenate(inputs), Dense(1)]), MeanSquaredError(), backend="numpy")
    numbers = np.ones((4, 2))
    trainer.fit({"text": TEXTS[5], "numbers": numbers}, ONE[5], epochs=1, progress=False)
    together = trainer.predict({"text": TEXTS[8], "numbers": numbers})
    alone = trainer.predict({"text": TEXTS[8][:1], "numbers": numbers[:1]})
    np.testing.assert_allclose(together[:1], alone, rtol=1e-6)
    message = (
        r"^x\['numbers'\]: .* \(2,\), as in training, got \(3,\): Dense would need the parameter 1.W"
    )
    with pytest.raises(ValueError, match=message):
        trainer.predict({"text": TEXTS[5], "numbers": np.ones((4, 3))})


def test_a_generator_of_shapes_draws_nothing():
    drawn = Orthogonal()(ShapesOnly(), (4, 3), 4, 3)
    np.testing.assert_array_equal(drawn, np.zeros((4, 3)))


def test_a_trace_of_another_length_takes_weights_of_its_steps():
    trainer = Trainer(GRU(1, return_sequences=True), MeanSquaredError(), backend="numpy")
    trainer.initialize((5, 2))
    x, weights = np.ones((3, 4, 2)), np.array([[1, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    trace = trainer.trace(x, np.zeros((3, 4, 1)), weights=weights, examples=[0, 2])
    assert trace.losses[0] == pytest.approx(
        trainer.evaluate(x, np.zeros((3, 4, 1)), weights=weights)["loss"]
    )
    with pytest.raises(ValueError, match=r"chosen weights: .* got only zeros"):
        trainer.trace(x, np.zeros((3, 4, 1)), weights=weights, examples=[1])
