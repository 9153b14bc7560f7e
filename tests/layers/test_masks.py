"""Masks through all kinds of layers: a padded batch gives the same results as its single sequences."""

import numpy as np
import pytest

from backends import get_backend, tree
from multinn import (
    GRU,
    LSTM,
    Add,
    AveragePool1D,
    BatchNorm,
    Bidirectional,
    Concatenate,
    Conv1D,
    ConvTranspose2D,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GroupNorm,
    Identity,
    Layer,
    LayerNorm,
    Masked,
    Masking,
    MaxPool1D,
    MeanSquaredError,
    MultiHeadAttention,
    Parallel,
    Residual,
    Sequential,
    SimpleRNN,
    Trainer,
    TransformerBlock,
)
from multinn.layers.base import values_of

FEATURES, TIME = 4, 5
SEQUENCES = [np.random.default_rng(n).normal(size=(n, FEATURES)) for n in (5, 3, 1)]
PADDED = np.zeros((3, TIME, FEATURES))
MASK = np.zeros((3, TIME), bool)
for row, sequence in enumerate(SEQUENCES):
    PADDED[row, : len(sequence)] = sequence
    MASK[row, : len(sequence)] = True


def both_ways(model: Layer, params, x) -> tuple:
    """Return y, dx and the gradients of the sum of y, at inference."""
    backend = get_backend("numpy")
    y, cache = model.forward_with_state(backend, params, model.init_state(params), x)
    y = values_of(y)
    return y, *model.backward(backend, params, cache, np.ones_like(y))


@pytest.mark.parametrize("pool", [GlobalAveragePool1D(), GlobalMaxPool1D()], ids=repr)
@pytest.mark.parametrize(
    "layer",
    [
        Residual(Sequential([Dense(FEATURES), LayerNorm()])),
        Concatenate([Dense(3), Identity()]),
        Concatenate([Dense(FEATURES), Identity()], axis=1),
        Bidirectional(GRU(3, return_sequences=True), merge="sum"),
        TransformerBlock(FEATURES, heads=2, hidden_units=3, activation=BatchNorm()),
        Sequential([Parallel([Identity(), Dense(3)]), MultiHeadAttention(2)]),
        Residual(GroupNorm(2)),
        Sequential([Dense(3), Conv1D(2, 3, padding="same")]),
        Sequential([Dense(3), Conv1D(2, 2, padding="causal", dilation=2)]),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_padded_batch_gives_the_results_of_its_single_sequences(layer, pool):
    model = Sequential([layer, pool])
    params, _ = model.init(np.random.default_rng(0), (TIME, FEATURES))
    padding = np.where(MASK[..., None], PADDED, 1e3)  # of any value
    y, dx, gradients = both_ways(model, params, Masked(padding, MASK))
    alone = [both_ways(model, params, sequence[None]) for sequence in SEQUENCES]
    np.testing.assert_allclose(y, np.concatenate([each[0] for each in alone]), atol=1e-12)
    for row, each in enumerate(alone):
        np.testing.assert_allclose(dx[row, MASK[row]], each[1][0], atol=1e-10)
    assert not dx[~MASK].any()
    summed = tree.map(lambda *parts: sum(parts), *(each[2] for each in alone))
    tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), gradients, summed)


@pytest.mark.parametrize(
    "layer",
    [
        SimpleRNN(3),
        Bidirectional(GRU(3, return_sequences=True)),
        LSTM(3, go_backwards=True),
        Conv1D(2, 3, padding="same"),
        BatchNorm(),
        GroupNorm(2),
        GlobalAveragePool1D(),
        GlobalMaxPool1D(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_padding_may_be_infinite_or_nan(layer):
    params, _ = layer.init(np.random.default_rng(0), (TIME, FEATURES))
    expected = both_ways(layer, params, Masked(PADDED, MASK))
    for padding in (np.inf, -np.inf, np.nan, 1e300):
        x = Masked(np.where(MASK[..., None], PADDED, padding), MASK)
        tree.map(np.testing.assert_array_equal, both_ways(layer, params, x), expected)


def test_the_largest_of_infinite_steps():
    """0 · ∞ would be NaN."""
    x = np.array([[[-np.inf, 1.0], [2.0, np.inf], [-np.inf, -np.inf]]])
    y, dx, _ = both_ways(GlobalMaxPool1D(), {}, x)
    assert y.tolist() == [[2.0, np.inf]]
    assert dx.tolist() == [[[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]


@pytest.mark.parametrize(
    "layer",
    [MaxPool1D(2, 1, padding="same"), AveragePool1D(), Flatten(), LayerNorm(axes=2)],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_would_mix_padding_with_steps_that_count_raise(layer):
    with pytest.raises(ValueError, match=f"{type(layer).__name__}: expected no mask, as padding would"):
        Sequential([layer]).forward(get_backend("numpy"), ({},), Masked(PADDED, MASK))


@pytest.mark.parametrize(
    "layer", [GlobalAveragePool2D(), GlobalMaxPool2D(), ConvTranspose2D(1, 1)], ids=repr
)
def test_layers_for_images_take_no_mask(layer):
    assert layer.mixes_steps


def test_a_convolution_that_changes_the_number_of_steps_takes_no_mask():
    with pytest.raises(
        ValueError, match=r'Conv1D: .*, 5 time steps, got 4; use stride=1 and padding="s'
    ):
        Sequential([Conv1D(2, 2)]).forward(
            get_backend("numpy"), ({"W": np.ones((2, 4, 2)), "b": np.zeros(2)},), Masked(PADDED, MASK)
        )


def mask_of_ids(backend, layer: Layer, ids: list[list[int]]) -> list[list[bool]] | None:
    params, _ = layer.init(np.random.default_rng(0), (len(ids[0]),))
    with backend.precision("float64"):
        arguments = backend.from_numpy((params, np.asarray(ids)))
        y, _ = layer.forward(backend, *arguments)
        return backend.to_numpy(y.mask).tolist() if isinstance(y, Masked) else None


def test_a_step_counts_if_it_counts_in_each_branch_with_a_mask(backend):
    plain, zeros, ones = Embedding(3, 2), Embedding(3, 2, padding_id=0), Embedding(3, 2, padding_id=1)
    assert mask_of_ids(backend, Add([plain, zeros]), [[2, 1, 0]]) == [[True, True, False]]
    assert mask_of_ids(backend, Residual(ones, plain), [[2, 1, 0]]) == [[True, False, True]]
    assert mask_of_ids(backend, Concatenate([zeros, ones]), [[2, 1, 0]]) == [[True, False, False]]
    assert mask_of_ids(backend, Concatenate([plain, plain]), [[2, 1, 0]]) is None


def test_along_time_branches_without_a_mask_count_everywhere(backend):
    layer = Concatenate([Embedding(3, 2), Embedding(3, 2, padding_id=0)], axis=1)
    assert mask_of_ids(backend, layer, [[2, 0]]) == [[True, True, True, False]]


def test_a_layer_that_adds_a_mask_to_masked_inputs_combines_both_masks(backend):
    layer = Sequential([Masking(1), Embedding(3, 2, padding_id=0)])
    assert mask_of_ids(backend, layer, [[2, 1, 0]]) == [[True, False, False]]


@pytest.mark.parametrize("first", [Masking(), Identity()], ids=repr)
def test_ids_are_checked_after_layers_that_pass_them_on(backend, first):
    model = Sequential([first, Embedding(3, 2), GlobalAveragePool1D()])
    trainer = Trainer(model, MeanSquaredError(), backend=backend)
    with pytest.raises(
        ValueError, match="x: Embedding: expected ids, whole numbers from 0 to 2, got -1"
    ):
        trainer.fit(np.array([[0, -1]]), np.zeros((1, 2)), epochs=1, progress=False)


@pytest.mark.parametrize("padding", [np.nan, np.inf])
def test_padding_has_to_be_finite(padding):
    with pytest.raises(ValueError, match="Masking: expected a finite padding, got"):
        Masking(padding)
