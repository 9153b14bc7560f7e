"""Attention: causality, masks, extreme inputs and errors."""

from dataclasses import replace

import numpy as np
import pytest

from backends import get_backend, tree
from multinn import (
    Adam,
    Dense,
    Dropout,
    Identity,
    LayerNorm,
    Masked,
    Masking,
    MeanSquaredError,
    MultiHeadAttention,
    Parallel,
    Residual,
    Sequential,
    Tanh,
    Trainer,
    TransformerBlock,
)
from multinn.random import Key, step_words

X = np.random.default_rng(0).normal(size=(2, 5, 4))
MASK = np.array([[True, True, True, False, False], [False] * 5])


def initial(layer, shape=X.shape[1:]):
    params, _ = layer.init(np.random.default_rng(1), shape)
    return tree.map(lambda leaf: leaf + 0.2, params)


def outputs(layer, backend, x, key=None):
    """Return the outputs of the layer for x, an array, a pair or `Masked`."""
    params = initial(layer)
    with backend.precision("float64"):
        y, _ = layer.forward(backend, *backend.from_numpy((params, x)), key)
        return backend.to_numpy(y)


def changed(x, index):
    result = x.copy()
    result[index] **= 2
    return result


CAUSAL = [MultiHeadAttention(2, causal=True), TransformerBlock(4, 2, 3, causal=True)]


@pytest.mark.parametrize("layer", CAUSAL, ids=lambda layer: type(layer).__name__)
def test_a_later_step_changes_no_earlier_output(backend, layer):
    y, other = outputs(layer, backend, X), outputs(layer, backend, changed(X, np.s_[:, 3]))
    np.testing.assert_array_equal(y[:, :3], other[:, :3])
    assert (y[:, 3:] != other[:, 3:]).any(axis=2).all()


def test_without_causality_each_step_changes_each_output(backend):
    layer = MultiHeadAttention(2)
    y, other = outputs(layer, backend, X), outputs(layer, backend, changed(X, np.s_[:, 3]))
    assert (y != other).any(axis=2).all()


def test_padding_has_no_influence(backend):
    layer = TransformerBlock(4, 2, 3)
    padded = outputs(layer, backend, Masked(X, MASK))
    other = outputs(layer, backend, Masked(changed(X, ~MASK), MASK))
    np.testing.assert_array_equal(padded.values[MASK], other.values[MASK])
    np.testing.assert_array_equal(padded.mask, MASK)
    alone = outputs(layer, backend, X[:1, :3])
    np.testing.assert_allclose(padded.values[:1, :3], alone, rtol=1e-12)


def test_the_context_mask_hides_padding_and_the_query_mask_is_kept(backend):
    layer = Sequential([Parallel([Identity(), Dense(3)]), MultiHeadAttention(2)])
    y = outputs(layer, backend, Masked(X, MASK))
    other = outputs(layer, backend, Masked(changed(X, ~MASK), MASK))
    np.testing.assert_array_equal(y.values[MASK], other.values[MASK])
    np.testing.assert_array_equal(y.mask, MASK)


def test_a_sequence_of_padding_gets_the_bias_and_no_gradient(backend):
    layer = MultiHeadAttention(2)
    params = initial(layer)
    nothing = np.zeros(X.shape[:2], bool)
    with backend.precision("float64"):
        own_params, x, mask = backend.from_numpy((params, X, nothing))
        y, cache = layer.forward(backend, own_params, Masked(x, mask))
        dx, gradients = layer.backward(backend, own_params, cache, x)
        y, dx, gradients = backend.to_numpy((y.values, dx, gradients))
    np.testing.assert_array_equal(y, np.broadcast_to(params["output"]["b"], y.shape))
    np.testing.assert_array_equal(dx, 0.0)
    tree.map(
        lambda leaf: np.testing.assert_array_equal(leaf, 0.0), gradients | {"output": gradients["key"]}
    )


def test_a_causal_step_with_only_padding_before_gets_the_bias(backend):
    layer = MultiHeadAttention(2, causal=True)
    y = outputs(layer, backend, Masked(X, np.array([[False, False, True, True, True]] * 2))).values
    bias = initial(layer)["output"]["b"]
    np.testing.assert_array_equal(y[:, :2], np.broadcast_to(bias, y[:, :2].shape))
    assert (y[:, 2:] != bias).any(axis=2).all()


def both_ways(backend, layer, x):
    """Return y, the gradients of x and those of the parameters, for dy = 1 at steps that count."""
    queries = x[0] if isinstance(x, tuple) and not isinstance(x, Masked) else x
    params = initial(layer, X.shape[1:])
    counted = np.ones(X.shape) * (queries.mask[..., None] if isinstance(queries, Masked) else 1.0)
    with backend.precision("float64"):
        params, x, dy = backend.from_numpy((params, x, counted))
        y, cache = layer.forward(backend, params, x)
        return backend.to_numpy((y, *layer.backward(backend, params, cache, dy)))


@pytest.mark.parametrize("lowest", [-np.inf, np.finfo(np.float64).min])
def test_an_additive_mask_of_minus_infinity_hides_steps(backend, lowest):
    later = np.where(np.tri(5, dtype=bool), 0.0, lowest) * np.ones((2, 1, 1))
    y, (dX, dC, dB), gradients = both_ways(backend, MultiHeadAttention(2), (X, X, later))
    expected, dx, expected_gradients = both_ways(backend, MultiHeadAttention(2, causal=True), X)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(dX + dC, dx)
    np.testing.assert_array_equal(dB[:, ~np.tri(5, dtype=bool)], 0.0)
    tree.map(np.testing.assert_array_equal, gradients, expected_gradients)


def test_a_row_that_an_additive_mask_hides_wholly_gets_the_bias_and_no_gradient(backend):
    mask = np.zeros((2, 2, 5, 5))
    mask[:, :, 3] = -np.inf
    layer = MultiHeadAttention(2)
    y, (dX, _, dB), _ = both_ways(backend, layer, (X, X, mask))
    np.testing.assert_array_equal(y[:, 3], [initial(layer)["output"]["b"]] * 2)
    np.testing.assert_array_equal(dX[:, 3], 0.0)
    np.testing.assert_array_equal(dB[:, :, 3], 0.0)


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, 1e300])
def test_no_number_in_padding_reaches_steps_that_count(backend, number):
    layer = MultiHeadAttention(2)
    mask = np.array([[True, True, False, True, False], [False] * 5])
    mixed = np.where(mask[..., None], X, number)
    inputs = [Masked(np.where(mask[..., None], X, 0.0), mask), Masked(mixed, mask)]
    for wrap in (lambda x: x, lambda x: (X, x)):
        expected, got = (both_ways(backend, layer, wrap(x)) for x in inputs)
        counted = mask if isinstance(got[0], Masked) else np.ones_like(mask)
        ys = [getattr(run[0], "values", run[0])[counted] for run in (expected, got)]
        np.testing.assert_array_equal(*ys)
        tree.map(np.testing.assert_array_equal, got[1:], expected[1:])


@pytest.mark.parametrize("causal", [False, True])
def test_extreme_logits_pick_the_largest(backend, causal):
    layer = MultiHeadAttention(1, causal=causal, use_bias=False)
    identity = {name: {"W": np.eye(2, dtype=np.float32)} for name in ("query", "key", "value", "output")}
    x = np.array([[[1e4, 0.0], [-2e4, 0.0], [3e4, 0.0]]], np.float32)
    params, own_x = backend.from_numpy((identity, x))
    y, cache = layer.forward(backend, params, own_x)
    dx, gradients = layer.backward(backend, params, cache, own_x)
    # Query -2 has its largest product with key -2; 1 and 3, with the largest key that is not hidden.
    expected = x[:, [0, 1, 2] if causal else [2, 1, 2]]
    np.testing.assert_array_equal(backend.to_numpy(y), expected)
    for leaf in tree.leaves(backend.to_numpy((dx, gradients))):
        assert np.isfinite(leaf).all()


def test_dropout_applies_only_while_training(backend):
    layer = MultiHeadAttention(2, dropout=0.5)
    key = Key(backend.from_numpy(step_words(0, 0, 1)[0]))
    plain = outputs(MultiHeadAttention(2), backend, X)
    np.testing.assert_array_equal(outputs(layer, backend, X), plain)
    assert (outputs(layer, backend, X, key) != plain).any()


def test_a_key_size_leaves_the_output_shape_unchanged():
    params, shape = MultiHeadAttention(3, key_size=5).init(np.random.default_rng(0), (7, 4))
    assert shape == (7, 4)
    assert {name: part["W"].shape for name, part in params.items()} == {
        "query": (4, 15),
        "key": (4, 15),
        "value": (4, 15),
        "output": (15, 4),
    }


@pytest.mark.parametrize("number", [np.inf, np.nan])
@pytest.mark.parametrize("heads", [(), (2,)], ids=["one", "heads"])
def test_no_number_of_an_additive_mask_in_padding_reaches_steps_that_count(backend, number, heads):
    mask = np.array([[True, True, False, True, False], [False] * 5])
    counts = mask.reshape(2, *(1 for _ in heads), 5, 1)
    B = np.random.default_rng(2).normal(size=(2, *heads, 5, 5))
    expected, got = (
        both_ways(backend, MultiHeadAttention(2), (Masked(X, mask), X, np.where(counts, B, other)))
        for other in (0.0, number)
    )
    np.testing.assert_array_equal(got[0].values, expected[0].values)
    tree.map(np.testing.assert_array_equal, got[1:], expected[1:])


def test_a_value_size_is_that_of_values_alone():
    params, shape = MultiHeadAttention(3, 5, value_size=2).init(np.random.default_rng(0), (7, 4))
    assert shape == (7, 4)
    shapes = {name: part["W"].shape for name, part in params.items()}
    assert shapes == {"query": (4, 15), "key": (4, 15), "value": (4, 6), "output": (6, 4)}


def test_cross_attention_has_the_shape_of_the_queries():
    params, shape = MultiHeadAttention(2).init(np.random.default_rng(0), ((7, 4), (9, 3)))
    assert shape == (7, 4)
    assert params["key"]["W"].shape == (3, 4)


def test_a_block_is_its_composition():
    block = TransformerBlock(4, 2, 3, dropout=0.1, causal=True, activation=Tanh())
    attention = MultiHeadAttention(2, causal=True)
    assert Sequential(block.layers) == Sequential(
        [
            Residual(Sequential([LayerNorm(), attention, Dropout(0.1)])),
            Residual(Sequential([LayerNorm(), Dense(3), Tanh(), Dense(4), Dropout(0.1)])),
        ]
    )


def test_a_block_is_equal_by_its_hyperparameters():
    block = TransformerBlock(4, 2, 3)
    assert replace(block, causal=True) == TransformerBlock(4, 2, 3, causal=True) != block
    assert "causal=True" in repr(replace(block, causal=True))
    assert hash(block) == hash(TransformerBlock(4, 2, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiHeadAttention(0), "MultiHeadAttention: expected heads of at least 1, got 0"),
        (lambda: MultiHeadAttention(None), "MultiHeadAttention: expected heads of at least 1, got None"),
        (
            lambda: MultiHeadAttention(2, 1.5),
            "MultiHeadAttention: expected key_size of at least 1, got 1.5",
        ),
        (
            lambda: MultiHeadAttention(2, dropout=1.0),
            r"MultiHeadAttention: expected dropout in \[0, 1\)",
        ),
        (
            lambda: TransformerBlock(4, 2, 0),
            "TransformerBlock: expected hidden_units of at least 1, got 0",
        ),
        (
            lambda: MultiHeadAttention(2, scale=0.0),
            "MultiHeadAttention: expected a positive, finite scale",
        ),
        (
            lambda: MultiHeadAttention(2, value_size=0),
            "MultiHeadAttention: expected value_size of at least 1, got 0",
        ),
        (lambda: TransformerBlock(4, 3, 2), "TransformerBlock: expected features divisible by 3 heads"),
        (
            lambda: TransformerBlock(4, 2, 3, -0.1),
            r"TransformerBlock: expected dropout in \[0, 1\), got -",
        ),
    ],
)
def test_invalid_hyperparameters_raise(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_activation_that_is_no_layer_raises():
    with pytest.raises(TypeError, match="TransformerBlock: expected a layer as activation, got 'gelu'"):
        TransformerBlock(4, 2, 3, activation="gelu")


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (MultiHeadAttention(2), (4,), r"shape \(batch, time, features\).*got \('batch', 4\)"),
        (MultiHeadAttention(2), (), r"got \('batch',\)"),
        (
            MultiHeadAttention(2),
            ((3, 4),),
            r"pair \(queries, context\) of such inputs, got \[\('batch', 3, 4\)\]",
        ),
        (MultiHeadAttention(2), ((3, 4), (4,)), r"got \[\('batch', 3, 4\), \('batch', 4\)\]"),
        (
            MultiHeadAttention(2),
            ((3, 4), (5, 4), (5, 3)),
            r"mask of shape \('batch', 3, 5\) or \('batch', 2, 3, 5\), got \('batch', 5, 3\)",
        ),
        (MultiHeadAttention(2), ((3, 4), (3, 4), (4, 3, 3)), r"got \('batch', 4, 3, 3\)"),
        (MultiHeadAttention(3), (5, 4), "features divisible by 3 heads, got 4; change"),
        (MultiHeadAttention(2, causal=True), ((3, 4), (5, 4)), "as many time steps.*got 5 and 3"),
        (TransformerBlock(4, 2, 3), (5, 6), r"shape \(batch, time, 4\), got \('batch', 5, 6\); a Dense"),
        (TransformerBlock(4, 2, 3), (4,), r"shape \(batch, time, 4\), got \('batch', 4\)"),
        (
            TransformerBlock(4, 2, 3, cross_attention=True),
            (5, 4),
            r"with cross_attention a pair \(x, context\) .*, got \(5, 4\)",
        ),
        (
            TransformerBlock(4, 2, 3, cross_attention=True),
            ((5, 6), (3, 4)),
            r"shape \(batch, time, 4\), got \('batch', 5, 6\)",
        ),
        (
            TransformerBlock(4, 2, 3, cross_attention=True),
            ({"a": (5, 4), "b": (5, 4)}, (3, 4)),
            r"with cross_attention a pair \(x, context\)",
        ),
    ],
)
def test_invalid_shapes_raise(layer, shape, message):
    with pytest.raises(ValueError, match=f"^{type(layer).__name__}: expected .*{message}"):
        layer.init(np.random.default_rng(0), shape)


def trained(backend_name, dtype):
    sequences = np.random.default_rng(0).normal(size=(12, 4, 2))
    sequences[::3, 2:] = 0.0
    targets = np.cumsum(sequences[..., :1], axis=1)
    block = TransformerBlock(4, 2, 6, dropout=0.1, causal=True)
    model = Sequential([Masking(), Dense(4), block, Dense(1)])
    trainer = Trainer(
        model, MeanSquaredError(), Adam(0.01), backend=get_backend(backend_name), dtype=dtype, seed=3
    )
    trainer.fit(sequences, targets, epochs=20, batch_size=4, progress=False)
    return trainer.history.losses


def test_a_run_is_the_same_on_numpy_and_jax():
    np.testing.assert_allclose(trained("numpy", "float64"), trained("jax", "float64"), rtol=1e-10)


def test_a_compiled_run_gives_the_bits_of_an_eager_one():
    losses = trained("numpy", "float32")
    assert losses == trained("numpy:eager", "float32")
    assert losses[-1] < 0.7 * losses[0]
