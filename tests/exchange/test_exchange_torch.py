"""Weights to and from modules of PyTorch: both sides give the same."""

import numpy as np
import pytest

from multinn import (
    ELU,
    GRU,
    LSTM,
    Add,
    BatchNorm,
    Bidirectional,
    ChannelsLast,
    Concatenate,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalMaxPool1D,
    GroupNorm,
    Identity,
    LayerNorm,
    MaxPool2D,
    MultiHeadAttention,
    Parallel,
    PositionEmbedding,
    PReLU,
    ReLU,
    Residual,
    RMSNorm,
    Sequential,
    SimpleRNN,
    TransformerBlock,
)
from multinn.exchange import from_state_dict, to_state_dict
from tests.support.exchange_runs import assert_close, drawn, output_of

torch = pytest.importorskip("torch")
nn = torch.nn

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(3, 4)).astype(np.float32)
SEQUENCES = RNG.normal(size=(3, 5, 4)).astype(np.float32)
IMAGES = RNG.normal(size=(2, 6, 5, 4)).astype(np.float32)
IDS = RNG.integers(6, size=(3, 5)).astype(np.int32)
UNITS = 3


def run_module(module, x: np.ndarray) -> np.ndarray:
    """Return the output at inference; images, and sequences for convolution, have the channels first."""
    with torch.no_grad():
        y = module.eval()(torch.from_numpy(x))
    return (y[0] if isinstance(y, tuple) else y).numpy()


def channels_first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def tensors(state_dict: dict) -> dict:
    return {name: torch.from_numpy(values.copy()) for name, values in state_dict.items()}


def shaken(module):
    """Return the module with weights that are neither zeros nor ones."""
    torch.manual_seed(0)
    with torch.no_grad():
        for values in module.state_dict().values():
            if values.is_floating_point():
                values.add_(0.1 + 0.3 * torch.rand_like(values))
    return module


def assert_both_ways(layer, module, x, forth=lambda x: x, back=lambda y: y) -> None:
    """Compare outputs with our weights in the module, then with the weights of another in ours.

    Args:
        layer: ours.
        module: PyTorch's.
        x: our inputs.
        forth: makes its inputs of ours.
        back: makes our outputs of its.
    """
    shape = x.shape[1:]
    params, state = drawn(layer, shape)
    module.load_state_dict(tensors(to_state_dict(layer, params, state, shape)))
    assert_close(output_of(layer, params, state, x), back(run_module(module, forth(x))))
    params, state = from_state_dict(layer, shaken(module).state_dict(), shape)
    assert_close(output_of(layer, params, state, x), back(run_module(module, forth(x))))


@pytest.mark.parametrize(
    ("layer", "module", "x"),
    [
        (Dense(3), nn.Linear(4, 3), FEATURES),
        (Dense(3, use_bias=False), nn.Linear(4, 3, bias=False), FEATURES),
        (BatchNorm(), nn.BatchNorm1d(4), FEATURES),
        (LayerNorm(), nn.LayerNorm(4), SEQUENCES),
        (RMSNorm(), nn.RMSNorm(4, eps=1e-5), SEQUENCES),
        (GroupNorm(2), nn.GroupNorm(2, 4), FEATURES),
        (PReLU(), nn.PReLU(4), FEATURES),
        (Embedding(6, 3), nn.Embedding(6, 3), IDS),
        (
            Sequential([Dense(3), BatchNorm(), ReLU(), Sequential([Dense(2), ELU()]), Dropout()]),
            nn.Sequential(
                nn.Linear(4, 3),
                nn.BatchNorm1d(3),
                nn.ReLU(),
                nn.Sequential(nn.Linear(3, 2), nn.ELU()),
                nn.Dropout(),
            ),
            FEATURES,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_features(layer, module, x):
    assert_both_ways(layer, module, x)


@pytest.mark.parametrize(
    ("layer", "module", "x"),
    [
        (Conv1D(6, 2, groups=2), nn.Conv1d(4, 6, 2, groups=2), SEQUENCES),
        (Conv2D(6, (2, 3), groups=2), nn.Conv2d(4, 6, (2, 3), groups=2), IMAGES),
        (ConvTranspose2D(6, (2, 3), 2, groups=2), nn.ConvTranspose2d(4, 6, (2, 3), 2, groups=2), IMAGES),
        (GroupNorm(2), nn.GroupNorm(2, 4), IMAGES),
        (Sequential([Conv2D(3, 2), PReLU()]), nn.Sequential(nn.Conv2d(4, 3, 2), nn.PReLU(3)), IMAGES),
    ],
    ids=lambda value: type(value).__name__,
)
def test_channels_are_first(layer, module, x):
    assert_both_ways(layer, module, x, channels_first, lambda y: np.moveaxis(y, 1, -1))


@pytest.mark.parametrize(
    ("layer", "module", "x"),
    [
        (
            Sequential([Conv2D(3, 2), BatchNorm(), MaxPool2D(), Flatten(), ReLU(), Dense(2), Dense(3)]),
            nn.Sequential(
                nn.Conv2d(4, 3, 2),
                nn.BatchNorm2d(3),
                nn.MaxPool2d(2),
                nn.Flatten(),
                nn.ReLU(),
                nn.Linear(12, 2),
                nn.Linear(2, 3),
            ),
            IMAGES,
        ),
        (
            Sequential([Conv1D(3, 2), Flatten(), Dense(2)]),
            nn.Sequential(nn.Conv1d(4, 3, 2), nn.Flatten(), nn.Linear(12, 2)),
            SEQUENCES,
        ),
    ],
    ids=["images", "sequences"],
)
def test_images_that_are_flattened(layer, module, x):
    assert_both_ways(layer, module, x, channels_first)


class Sum(nn.ModuleList):
    def forward(self, x):
        return sum(module(x) for module in self)


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        (Residual(Conv1D(4, 3, padding=1)), Sum([nn.Identity(), nn.Conv1d(4, 4, 3, padding=1)])),
        (
            Add([Identity(), Conv1D(4, 3, padding=1)]),
            Sum([nn.Identity(), nn.Conv1d(4, 4, 3, padding=1)]),
        ),
        (
            Add([Conv1D(4, 3, padding=1), Identity()]),
            Sum([nn.Conv1d(4, 4, 3, padding=1), nn.Identity()]),
        ),
        (
            Residual(Sequential([Residual(Conv1D(4, 1)), ReLU()])),
            Sum([nn.Identity(), nn.Sequential(Sum([nn.Identity(), nn.Conv1d(4, 4, 1)]), nn.ReLU())]),
        ),
        (BatchNorm(), nn.BatchNorm1d(4)),
        (GroupNorm(2), nn.GroupNorm(2, 4)),
        (PReLU(), nn.PReLU(4)),
    ],
    ids=["residual", "identity-first", "identity-last", "nested", "BatchNorm", "GroupNorm", "PReLU"],
)
def test_flat_sequences_whose_channels_one_layer_needs_first(layer, module):
    module = nn.Sequential(module, nn.Flatten(), nn.Linear(20, 2))
    assert_both_ways(Sequential([layer, Flatten(), Dense(2)]), module, SEQUENCES, channels_first)


def test_flat_images_with_the_channels_first():
    module = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(120, 2))
    assert_both_ways(Sequential([ChannelsLast(), Flatten(), Dense(2)]), module, channels_first(IMAGES))


def test_flat_sequences_keep_their_order():
    module = nn.Sequential(nn.Embedding(6, 3), nn.Flatten(), nn.Linear(15, 2))
    assert_both_ways(Sequential([Embedding(6, 3), Flatten(), Dense(2)]), module, IDS)


@pytest.mark.parametrize(
    "last",
    [
        LSTM(2, return_sequences=True),
        Residual(LSTM(3, return_sequences=True)),
        TransformerBlock(3, 1, 2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_flat_sequences_after_convolution_and_recurrence_keep_their_order(last):
    model = Sequential([Conv1D(3, 2), last, Flatten(), Dense(2)])
    params, _ = drawn(model, (5, 4))
    state_dict = to_state_dict(model, params, None, (5, 4))
    np.testing.assert_array_equal(state_dict["3.weight"], params[3]["W"].T)


@pytest.mark.parametrize(
    ("kind", "peer"), [(SimpleRNN, nn.RNN), (GRU, nn.GRU), (LSTM, nn.LSTM)], ids=["RNN", "GRU", "LSTM"]
)
def test_recurrent_layers(kind, peer):
    layer = kind(UNITS, return_sequences=True)
    assert_both_ways(layer, peer(4, UNITS, batch_first=True), SEQUENCES)
    both = peer(4, UNITS, batch_first=True, bidirectional=True)
    assert_both_ways(Bidirectional(layer), both, SEQUENCES)


class SelfAttention(nn.MultiheadAttention):
    def forward(self, x):
        return super().forward(x, x, x, need_weights=False)[0]


@pytest.mark.parametrize("use_bias", [True, False])
def test_attention(use_bias):
    module = SelfAttention(4, 2, bias=use_bias, batch_first=True)
    assert_both_ways(MultiHeadAttention(2, use_bias=use_bias), module, SEQUENCES)


def test_attention_to_a_context_of_other_features():
    layer, shapes = MultiHeadAttention(2), ((5, 4), (6, 3))
    params, _ = drawn(layer, shapes)
    module = nn.MultiheadAttention(4, 2, kdim=3, vdim=3, batch_first=True)
    module.load_state_dict(tensors(to_state_dict(layer, params)))
    context = RNG.normal(size=(3, 6, 3)).astype(np.float32)
    X, C = torch.from_numpy(SEQUENCES), torch.from_numpy(context)
    with torch.no_grad():
        expected = module(X, C, C)[0].numpy()
    assert_close(output_of(layer, params, {}, (SEQUENCES, context)), expected)
    again, _ = from_state_dict(layer, module.state_dict(), shapes)
    assert_close(output_of(layer, again, {}, (SEQUENCES, context)), expected)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("first", [True, False], ids=["normalized-first", "normalized-last"])
def test_transformer_blocks(first):
    layer = TransformerBlock(4, 2, 6, activation=ReLU(), pre_normalization=first)
    module = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, norm_first=first)
    assert_both_ways(layer, module, SEQUENCES)


def test_layers_side_by_side_are_numbered():
    model = Sequential([Residual(Dense(4)), Concatenate([Identity(), Dense(2)])])
    names = ["0.1.weight", "0.1.bias", "1.1.weight", "1.1.bias"]
    assert list(to_state_dict(model, drawn(model, (4,))[0])) == names


def test_no_batches_are_counted():
    params, state = drawn(BatchNorm(), (4,))
    state_dict = to_state_dict(BatchNorm(), params, state)
    del state_dict["num_batches_tracked"]
    _, again = from_state_dict(BatchNorm(), state_dict, (4,))
    np.testing.assert_array_equal(again["mean"], state["mean"])
    np.testing.assert_array_equal(again["mean_weight"], 0.0)


MODEL = Sequential([Dense(3), ReLU(), LSTM(2)])


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("0.weight", np.zeros((4, 3)), r"0\.weight: expected shape \(3, 4\), got \(4, 3\)"),
        ("2.bias_hh_l0", np.zeros(2), r"2\.bias_hh_l0: expected shape \(8,\), got \(2,\)"),
        ("0.bias", None, r"0\.bias: expected an array of shape \(3,\), got no such entry"),
        (
            "1.weight",
            np.zeros(2),
            r"1\.weight: expected no such entry; the entries of the model are 0\.weight",
        ),
    ],
)
def test_an_entry_that_does_not_fit_is_named(name, values, message):
    state_dict = to_state_dict(MODEL, drawn(MODEL, (5, 4))[0]) | {name: values}
    if values is None:
        del state_dict[name]
    with pytest.raises(ValueError, match=message):
        from_state_dict(MODEL, state_dict, (5, 4))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Sequential([PositionEmbedding()]),
            "PositionEmbedding, layer 0: expected a layer that PyTorch has",
        ),
        (
            MultiHeadAttention(2, key_size=3),
            "MultiHeadAttention: expected heads of size features / heads",
        ),
        (
            TransformerBlock(4, 2, 3, activation=PReLU()),
            "PReLU, layer 1.1.2: expected a layer without weights",
        ),
        (BatchNorm(), "BatchNorm: expected a layer_state, which has the running statistics"),
        (
            Sequential([Bidirectional(LSTM(2, go_backwards=True))]),
            "LSTM, layer 0.0: expected Bidirectional of a layer with go_backwards=False",
        ),
        (
            Sequential([Flatten(), Dense(2)]),
            "exchange: expected the input_shape of a model with Flatten",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layers_that_pytorch_lacks_are_refused(model, message):
    params, _ = drawn(model, (5, 4))
    with pytest.raises(ValueError, match=message):
        to_state_dict(model, params)


@pytest.mark.parametrize(
    "last",
    [LayerNorm(), Add([ReLU(), ReLU()]), Parallel([ReLU()])],
    ids=lambda layer: type(layer).__name__,
)
def test_flat_images_need_a_dense_layer(last):
    model = Sequential([Conv2D(2, 2), Flatten(), last])
    params, _ = drawn(model, (4, 4, 1))
    with pytest.raises(ValueError, match=r"layer 2: expected Dense as the first layer .* after Flatten"):
        to_state_dict(model, params, None, (4, 4, 1))


def test_branches_of_two_layouts_have_no_order():
    branches = Concatenate([ReLU(), Conv1D(3, 1), LSTM(3, return_sequences=True)])
    model = Sequential([branches, Flatten(), Dense(2)])
    params, _ = drawn(model, (5, 4))
    with pytest.raises(
        ValueError, match=r"Concatenate, layer 0: expected branches .* got first and last; exch"
    ):
        to_state_dict(model, params, None, (5, 4))


def test_branches_without_time_have_no_layout():
    ends = Concatenate([Sequential([Conv1D(3, 1), GlobalMaxPool1D()]), LSTM(3)])
    model = Sequential([ends, Flatten(), Dense(2)])
    params, _ = drawn(model, (5, 4))
    state_dict = to_state_dict(model, params, None, (5, 4))
    np.testing.assert_array_equal(state_dict["2.weight"], params[2]["W"].T)
