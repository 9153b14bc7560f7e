"""Weights to and from layers of Keras: both sides give the same."""

import numpy as np
import pytest

from backends import tree
from multinn import (
    GRU,
    LSTM,
    BatchNorm,
    Bidirectional,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GroupNorm,
    LayerNorm,
    Masked,
    MaxPool2D,
    MultiHeadAttention,
    PositionEmbedding,
    PReLU,
    ReLU,
    RMSNorm,
    Sequential,
    SimpleRNN,
    Tanh,
)
from multinn.exchange import from_keras_weights, to_keras_weights
from tests.support.exchange_runs import assert_close, drawn, output_of
from tests.support.keras_on_jax import keras

layers = keras.layers

# Keras' own, of NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(3, 4)).astype(np.float32)
SEQUENCES = RNG.normal(size=(3, 5, 4)).astype(np.float32)
IMAGES = RNG.normal(size=(2, 6, 5, 4)).astype(np.float32)
IDS = RNG.integers(6, size=(3, 5)).astype(np.int32)
UNITS = 3


class SelfAttention(layers.MultiHeadAttention):
    def call(self, x, training=False):
        return super().call(x, x, training=training)

    def build(self, shape):
        super().build(shape, shape)

    def compute_output_shape(self, shape):
        return shape


def run(peer, x: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(peer(x, training=False))


@pytest.mark.parametrize(
    ("layer", "peer", "x"),
    [
        (Dense(3), layers.Dense(3), SEQUENCES),
        (Dense(3, use_bias=False), layers.Dense(3, use_bias=False), FEATURES),
        (Conv1D(6, 2, groups=2), layers.Conv1D(6, 2, groups=2), SEQUENCES),
        (Conv2D(6, (2, 3)), layers.Conv2D(6, (2, 3)), IMAGES),
        (ConvTranspose1D(3, 2, 2), layers.Conv1DTranspose(3, 2, 2), SEQUENCES),
        (ConvTranspose2D(3, (2, 3), 2), layers.Conv2DTranspose(3, (2, 3), 2), IMAGES),
        (BatchNorm(epsilon=1e-3), layers.BatchNormalization(), IMAGES),
        (LayerNorm(1e-3), layers.LayerNormalization(), SEQUENCES),
        (LayerNorm(1e-3, axes=2), layers.LayerNormalization(axis=[1, 2]), SEQUENCES),
        (RMSNorm(1e-6), layers.RMSNormalization(), SEQUENCES),
        (RMSNorm(1e-6, axes=2), layers.RMSNormalization(axis=[1, 2]), SEQUENCES),
        (GroupNorm(2, 1e-3), layers.GroupNormalization(2), IMAGES),
        (PReLU(), layers.PReLU(), FEATURES),
        (Embedding(6, 3), layers.Embedding(6, 3), IDS),
        (SimpleRNN(UNITS), layers.SimpleRNN(UNITS), SEQUENCES),
        (GRU(UNITS), layers.GRU(UNITS), SEQUENCES),
        (GRU(UNITS, reset_after=False), layers.GRU(UNITS, reset_after=False), SEQUENCES),
        (LSTM(UNITS, return_sequences=True), layers.LSTM(UNITS, return_sequences=True), SEQUENCES),
        (Bidirectional(GRU(UNITS)), layers.Bidirectional(layers.GRU(UNITS)), SEQUENCES),
        (MultiHeadAttention(2), SelfAttention(2, 2), SEQUENCES),
        (MultiHeadAttention(2, scale=0.3), SelfAttention(2, 2), SEQUENCES),
        (MultiHeadAttention(2, 3, value_size=5), SelfAttention(2, 3, 5, dropout=0.1), SEQUENCES),
        (
            MultiHeadAttention(2, key_size=3, use_bias=False),
            SelfAttention(2, 3, use_bias=False),
            SEQUENCES,
        ),
        (
            Sequential(
                [
                    Conv2D(3, 2),
                    BatchNorm(epsilon=1e-3),
                    MaxPool2D(),
                    Flatten(),
                    Dropout(),
                    Dense(2),
                    Tanh(),
                ]
            ),
            keras.Sequential(
                [
                    layers.Conv2D(3, 2),
                    layers.BatchNormalization(),
                    layers.MaxPooling2D(),
                    layers.Flatten(),
                    layers.Dropout(0.5),
                    layers.Dense(2, activation="tanh"),
                ]
            ),
            IMAGES,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_both_ways(layer, peer, x):
    shape = x.shape[1:]
    peer.build((None, *shape))
    params, state = drawn(layer, shape)
    ours = to_keras_weights(layer, params, state)
    peer.set_weights(ours)
    assert_close(run(peer, x), output_of(layer, params, state, x))
    others = [values + 0.1 * np.abs(RNG.normal(size=values.shape)) for values in ours]
    peer.set_weights(others)
    params, state = from_keras_weights(layer, peer.get_weights(), shape)
    assert_close(run(peer, x), output_of(layer, params, state, x))


def test_sequences_that_go_backwards_have_the_last_step_first_in_keras():
    layer = LSTM(UNITS, return_sequences=True, go_backwards=True)
    peer = layers.LSTM(UNITS, return_sequences=True, go_backwards=True)
    peer.build((None, 5, 4))
    params, state = drawn(layer, (5, 4))
    peer.set_weights(to_keras_weights(layer, params, state))
    assert_close(run(peer, SEQUENCES)[:, ::-1], output_of(layer, params, state, SEQUENCES))


@pytest.mark.parametrize("return_sequences", [True, False], ids=["all", "last"])
def test_both_directions_of_padded_sequences(return_sequences):
    """Keras gives 0 at masked steps of all outputs; ours keeps the states there."""
    layer = Bidirectional(GRU(UNITS, return_sequences=return_sequences))
    peer = layers.Bidirectional(layers.GRU(UNITS, return_sequences=return_sequences))
    peer.build((None, 5, 4))
    params, state = drawn(layer, (5, 4))
    peer.set_weights(to_keras_weights(layer, params, state))
    mask = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 1, 0, 1]], bool)
    y = output_of(layer, params, state, Masked(SEQUENCES, mask))
    expected = y * mask[..., None] if return_sequences else y
    assert_close(keras.ops.convert_to_numpy(peer(SEQUENCES, mask=mask)), expected)


def test_slopes_that_images_share():
    peer = layers.PReLU(shared_axes=[1, 2])
    peer.build((None, 6, 5, 4))
    params, _ = from_keras_weights(PReLU(), peer.get_weights(), (6, 5, 4))
    assert params["a"].shape == (4,)


MODEL = Sequential([Dense(3), ReLU(), GRU(2)])
WEIGHTS = to_keras_weights(MODEL, drawn(MODEL, (5, 4))[0])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            [WEIGHTS[0].T, *WEIGHTS[1:]],
            r"weights\[0\], kernel of Dense, layer 0: expected shape \(4, 3\), got \(3, 4\)",
        ),
        (
            [*WEIGHTS[:4], WEIGHTS[4][:1]],
            r"weights\[4\], bias of GRU, layer 2: expected shape \(2, 6\), got \(1, 6\)",
        ),
        (WEIGHTS[:-1], "weights: expected more arrays than 4, none is left for bias of GRU, layer 2"),
        (
            [*WEIGHTS, WEIGHTS[0]],
            r"weights\[5\], of shape \(4, 3\): expected only 5 arrays, as the model has, got 6",
        ),
    ],
    ids=["first", "last", "few", "many"],
)
def test_an_array_that_does_not_fit_is_named(weights, message):
    with pytest.raises(ValueError, match=message):
        from_keras_weights(MODEL, weights, (5, 4))


@pytest.mark.parametrize("weights", [None, "text", 3, {"0": 1.0}, [["text"]] * 5], ids=repr)
def test_weights_of_another_type_are_named(weights):
    with pytest.raises(TypeError, match=r"^weights(\[0\])?: expected"):
        from_keras_weights(MODEL, weights, (5, 4))


@pytest.mark.parametrize(
    ("dtype", "expected"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_all_results_have_one_dtype(dtype, expected):
    model = Sequential([Dense(3), BatchNorm(), PReLU()])
    weights = [values.astype(dtype) for values in to_keras_weights(model, *drawn(model, (2,)))]
    trees = from_keras_weights(model, weights, (2,))
    assert {leaf.dtype for leaf in tree.leaves(trees)} == {np.dtype(expected)}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Sequential([PositionEmbedding()]),
            "PositionEmbedding, layer 0: expected a layer that Keras has",
        ),
        (BatchNorm(), "BatchNorm: expected a layer_state, which has the running statistics"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layers_that_keras_lacks_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        to_keras_weights(model, drawn(model, (5, 4))[0])
