"""Weights to and from modules of PyTorch: both sides give the same."""

import numpy as np
import pytest

from backends import tree
from multinn import (
    ELU,
    GRU,
    LSTM,
    SGD,
    BatchNorm,
    Bidirectional,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GroupNorm,
    Identity,
    LayerNorm,
    Masked,
    MeanSquaredError,
    MultiHeadAttention,
    PositionEmbedding,
    PReLU,
    ReLU,
    Residual,
    RMSNorm,
    Sequential,
    SimpleRNN,
    Tanh,
    Trainer,
    TransformerBlock,
)
from multinn.exchange import from_state_dict, to_state_dict
from tests.support.exchange_runs import assert_close, drawn, output_of

torch = pytest.importorskip("torch")
runs = pytest.importorskip("tests.support.torch_exchange")
nn = torch.nn
FEATURES, SEQUENCES, IDS = runs.FEATURES, runs.SEQUENCES, runs.IDS
assert_both_ways, run_module, tensors = runs.assert_both_ways, runs.run_module, runs.tensors
UNITS = 3
RNG = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("layer", "module", "x"),
    [
        (Dense(3), nn.Linear(4, 3), FEATURES),
        (Dense(3, use_bias=False), nn.Linear(4, 3, bias=False), FEATURES),
        (BatchNorm(), nn.BatchNorm1d(4), FEATURES),
        (LayerNorm(), nn.LayerNorm(4), SEQUENCES),
        (LayerNorm(axes=2), nn.LayerNorm((5, 4)), SEQUENCES),
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
    ("kind", "peer"), [(SimpleRNN, nn.RNN), (GRU, nn.GRU), (LSTM, nn.LSTM)], ids=["RNN", "GRU", "LSTM"]
)
def test_recurrent_layers(kind, peer):
    layer = kind(UNITS, return_sequences=True)
    assert_both_ways(layer, peer(4, UNITS, batch_first=True), SEQUENCES)
    both = peer(4, UNITS, batch_first=True, bidirectional=True)
    assert_both_ways(Bidirectional(layer), both, SEQUENCES)


def stacked(kind, count, both=False, **last):
    """Return layers that are one module of PyTorch, with Dropout between them."""
    layers = [kind(UNITS, return_sequences=True) for _ in range(count - 1)] + [kind(UNITS, **last)]
    layers = [Bidirectional(layer) for layer in layers] if both else layers
    return Sequential([part for layer in layers for part in (layer, Dropout(0.2))][:-1])


@pytest.mark.parametrize(
    ("kind", "peer"), [(SimpleRNN, nn.RNN), (GRU, nn.GRU), (LSTM, nn.LSTM)], ids=["RNN", "GRU", "LSTM"]
)
@pytest.mark.parametrize(("count", "both"), [(3, False), (2, True)], ids=["forwards", "both"])
def test_modules_of_several_recurrent_layers(kind, peer, count, both):
    module = peer(4, UNITS, count, batch_first=True, dropout=0.2, bidirectional=both)
    assert_both_ways(stacked(kind, count, both, return_sequences=True), module, SEQUENCES)
    params, state = from_state_dict(stacked(kind, count, both), module.state_dict(), (5, 4))
    with torch.no_grad():
        states = module.eval()(torch.from_numpy(SEQUENCES))[1]
    h = (states[0] if kind is LSTM else states)[-2 if both else -1 :]
    last = np.concatenate(list(h.numpy()), axis=1)
    assert_close(output_of(stacked(kind, count, both), params, state, SEQUENCES), last)


class Tagger(nn.ModuleList):
    def forward(self, x):
        embedding, recurrent, dense = self
        return dense(recurrent(embedding(x))[0])


def test_recurrent_layers_within_a_model():
    module = Tagger(
        [
            nn.Embedding(6, 4),
            nn.GRU(4, UNITS, 2, batch_first=True, bidirectional=True),
            nn.Linear(2 * UNITS, 2),
        ]
    )
    recurrent = stacked(GRU, 2, both=True, return_sequences=True)
    assert_both_ways(Sequential([Embedding(6, 4), recurrent, Dense(2)]), module, IDS)


def test_recurrent_layers_that_are_numbered_are_read_too():
    model = stacked(LSTM, 2)
    params, _ = drawn(model, (5, 4))
    numbered = {
        f"{index}.{name}": values
        for index in (0, 2)
        for name, values in to_state_dict(model.layers[index], params[index]).items()
    }
    again, _ = from_state_dict(model, numbered, (5, 4))
    tree.map(np.testing.assert_array_equal, again, params)


@pytest.mark.parametrize(
    "layers",
    [
        [GRU(3, return_sequences=True)],
        [GRU(3, return_sequences=True), GRU(2)],
        [GRU(3, return_sequences=True), LSTM(3)],
        [GRU(3, return_sequences=True), GRU(3, go_backwards=True)],
        [SimpleRNN(3, return_sequences=True), SimpleRNN(3, activation="relu")],
        [GRU(3, return_sequences=True), Tanh(), GRU(3)],
        [GRU(3, return_sequences=True), GRU(3), Dropout()],
        [GRU(3, return_sequences=True), Bidirectional(GRU(3))],
        [Bidirectional(GRU(3, return_sequences=True), "sum"), Bidirectional(GRU(3), "sum")],
    ],
)
def test_layers_that_are_no_module_of_pytorch_together_are_numbered(layers):
    model = Sequential(layers)
    names = to_state_dict(model, drawn(model, (5, 4))[0])
    numbered = {
        str(index) for index, layer in enumerate(layers) if not isinstance(layer, Tanh | Dropout)
    }
    assert {name.split(".")[0] for name in names} == numbered
    assert all("_l0" in name for name in names)


class SelfAttention(nn.MultiheadAttention):
    def forward(self, x):
        return super().forward(x, x, x, need_weights=False)[0]


@pytest.mark.parametrize("use_bias", [True, False])
def test_attention(use_bias):
    module = SelfAttention(4, 2, bias=use_bias, batch_first=True)
    assert_both_ways(MultiHeadAttention(2, use_bias=use_bias), module, SEQUENCES)


def test_attention_with_a_scale_of_its_own():
    module = SelfAttention(4, 2, batch_first=True)
    assert_both_ways(MultiHeadAttention(2, scale=0.3), module, SEQUENCES)


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


@pytest.mark.parametrize("first", [True, False], ids=["normalized-first", "normalized-last"])
def test_transformer_blocks_with_cross_attention(first):
    """The context has padding, and the block is causal."""
    layer = TransformerBlock(
        4, 2, 6, causal=True, activation=ReLU(), pre_normalization=first, cross_attention=True
    )
    module = nn.TransformerDecoderLayer(4, 2, 6, batch_first=True, norm_first=first).eval()
    context, shapes = SEQUENCES[:, 1:] + 1.0, ((5, 4), (4, 4))
    mask = np.arange(4) < np.array([4, 1, 2])[:, None]
    params, state = drawn(layer, shapes)
    state_dict = to_state_dict(layer, params, None, shapes)
    module.load_state_dict(runs.tensors(state_dict))
    hidden = torch.ones(5, 5, dtype=torch.bool).triu(1)
    with torch.no_grad():
        expected = module(
            torch.from_numpy(SEQUENCES),
            torch.from_numpy(context),
            tgt_mask=hidden,
            memory_key_padding_mask=torch.from_numpy(~mask),
        )
    assert_close(output_of(layer, params, state, (SEQUENCES, Masked(context, mask))), expected.numpy())
    again, _ = from_state_dict(layer, state_dict, shapes)
    tree.map(np.testing.assert_array_equal, again, params)


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


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["float32"], "float32"),
        (["float64"], "float64"),
        (["float16"], "float32"),
        (["bfloat16"], "float32"),
        (["float32", "float64"], "float64"),
    ],
    ids=str,
)
def test_all_results_have_one_dtype(dtypes, expected):
    model = Sequential([Dense(3), BatchNorm()])
    modules = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state_dict = {
        name: values.to(getattr(torch, dtypes[index % len(dtypes)]))
        for index, (name, values) in enumerate(modules.state_dict().items())
    }
    params, state = from_state_dict(model, state_dict, (2,))
    assert {leaf.dtype for leaf in tree.leaves((params, state))} == {np.dtype(expected)}
    np.testing.assert_array_equal(params[0]["W"], state_dict["0.weight"].to(torch.float64).numpy().T)


@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_a_trainer_continues_from_a_trained_module_with_running_statistics(name):
    module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 1))
    x, y = torch.from_numpy(FEATURES), torch.ones(3, 1)

    def step() -> None:
        module.zero_grad()
        nn.functional.mse_loss(module.train()(x), y).backward()
        with torch.no_grad():
            for values in module.parameters():
                values.sub_(0.1 * values.grad)

    for _ in range(3):
        step()
    model = Sequential([Dense(6), BatchNorm(), Tanh(), Dense(1)])
    params, layer_state = from_state_dict(model, module.state_dict(), (4,))
    trainer = Trainer(model, MeanSquaredError(), SGD(0.1), backend=name)
    trainer.initialize((4,), params, layer_state=layer_state)
    assert_close(trainer.predict(FEATURES), run_module(module, FEATURES))
    trainer.fit(FEATURES, y.numpy(), epochs=1, progress=False)
    step()
    again = to_state_dict(model, trainer.params, trainer.state.layer_state)
    for key, values in module.named_parameters():
        assert_close(again[key], values.detach().numpy())


MODEL = Sequential([Dense(3), ReLU(), LSTM(2)])


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "0.weight",
            np.zeros((4, 3)),
            r"0\.weight of Dense, layer 0: expected shape \(3, 4\), got \(4, 3\)",
        ),
        (
            "2.bias_hh_l0",
            np.zeros(2),
            r"2\.bias_hh_l0 of LSTM, layer 2: expected shape \(8,\), got \(2,\)",
        ),
        (
            "0.bias",
            None,
            r"0\.bias of Dense, layer 0: expected an array of shape \(3,\), got no such .* are 2\.we",
        ),
        (
            "1.weight",
            np.zeros(2),
            r"1\.weight of ReLU, layer 1: expected no such entry; it has no entries",
        ),
        (
            "2.weight_hr_l0",
            np.zeros(2),
            r"2\.weight_hr_l0 of LSTM, layer 2: expected no .* has 2\.weight_ih_l0, 2\.weight_hh_l0",
        ),
        (
            "head.weight",
            np.zeros(2),
            r"head\.weight of Sequential: expected no such entry; it has 0\.weight, 0\.bias, 2",
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
            MultiHeadAttention(2, value_size=3),
            "MultiHeadAttention: expected heads of size features / heads",
        ),
        (
            Sequential([Dense(2), GRU(3, reset_after=False)]),
            "GRU, layer 1: expected reset_after=True, as in torch.nn.GRU",
        ),
        (
            LayerNorm(axes=2),
            "exchange: expected the input_shape of a model with Flatten, or with LayerNorm over several",
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
    ("argument", "value", "error"),
    [
        ("model", [Dense(3)], TypeError),
        ("params", None, ValueError),
        ("params", ({},), ValueError),
        ("params", ([], {}), ValueError),
        ("layer_state", 3, ValueError),
        ("layer_state", ({}, "text"), ValueError),
        ("input_shape", 3, TypeError),
        ("state_dict", nn.Linear(2, 3), TypeError),
        ("state_dict", ["0.weight"], TypeError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_arguments_of_another_type_are_named(argument, value, error):
    model = Sequential([Dense(3), BatchNorm()])
    params, layer_state = drawn(model, (2,))
    state_dict = to_state_dict(model, params, layer_state)
    function, others = to_state_dict, {"params": params, "layer_state": layer_state}
    if argument in ("state_dict", "input_shape"):
        function, others = from_state_dict, {"state_dict": state_dict, "input_shape": (2,)}
    with pytest.raises(error, match=f"^{argument}: expected"):
        function(**{"model": model} | others | {argument: value})


@pytest.mark.parametrize("values", ["text", [1j], None, [[1.0], [2.0, 3.0]]], ids=repr)
def test_entries_that_are_no_numbers_are_named(values):
    with pytest.raises((TypeError, ValueError), match=r"^weight: expected"):
        from_state_dict(Dense(1), {"weight": values, "bias": np.zeros(1)}, (1,))
