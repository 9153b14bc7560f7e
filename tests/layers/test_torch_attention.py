"""Attention and transformer blocks against PyTorch: outputs and gradients with the same weights."""

import numpy as np
import pytest

from backends import get_backend, tree
from multinn import GELU, Masked, MultiHeadAttention, ReLU, TransformerBlock

torch = pytest.importorskip("torch")

BATCH, STEPS, FEATURES, HEADS, HIDDEN = 3, 5, 6, 2, 7
LENGTHS = np.array([2, 5, 1])
MASK = np.arange(STEPS) < LENGTHS[:, None]
NUMPY = get_backend("numpy")


def drawn(*shape):
    return np.random.default_rng([*shape, 7]).normal(size=shape)


def tensor(array):
    return torch.tensor(array, requires_grad=np.asarray(array).dtype.kind == "f")


def initial(layer, shape):
    """Return parameters of the layer; zeros would hide errors in terms that they multiply."""
    params, _ = layer.init(np.random.default_rng(1), shape)
    return tree.map(lambda leaf: leaf + 0.2 * drawn(*leaf.shape), params)


def run(layer, params, x, dy):
    """Return y, dx and the gradients of the parameters."""
    y, cache = layer.forward(NUMPY, params, x)
    return y, *layer.backward(NUMPY, params, cache, dy)


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected.detach().numpy(), rtol=1e-10, atol=1e-11)


def load(module, name, value):
    """Set a parameter of a PyTorch module."""
    module.get_parameter(name).data = torch.tensor(value)


def load_dense(module, name, params):
    load(module, f"{name}.weight", params["W"].T.copy())
    load(module, f"{name}.bias", params["b"])


def assert_dense_gradients(gradients, module, name):
    assert_close(gradients["W"].T, module.get_parameter(f"{name}.weight").grad)
    assert_close(gradients["b"], module.get_parameter(f"{name}.bias").grad)


def load_norm(module, name, params):
    load(module, f"{name}.weight", params["gamma"])
    load(module, f"{name}.bias", params["beta"])


def assert_norm_gradients(gradients, module, name):
    assert_close(gradients["gamma"], module.get_parameter(f"{name}.weight").grad)
    assert_close(gradients["beta"], module.get_parameter(f"{name}.bias").grad)


def load_attention(module, params):
    """Copy our parameters to PyTorch's attention, and draw its key bias, which has no effect."""
    parts = [params[name] for name in ("query", "key", "value")]
    key_bias = drawn(*parts[0]["b"].shape)
    load(module, "in_proj_bias", np.concatenate([parts[0]["b"], key_bias, parts[2]["b"]]))
    if module.in_proj_weight is None:  # the context has features of its own
        for letter, part in zip("qkv", parts, strict=True):
            load(module, f"{letter}_proj_weight", part["W"].T.copy())
    else:
        load(module, "in_proj_weight", np.concatenate([part["W"].T for part in parts]))
    load_dense(module, "out_proj", params["output"])


def assert_attention_gradients(gradients, module):
    if module.in_proj_weight is None:
        weights = [module.get_parameter(f"{letter}_proj_weight").grad for letter in "qkv"]
    else:
        weights = torch.split(module.in_proj_weight.grad, FEATURES)
    for name, weight in zip(("query", "key", "value"), weights, strict=True):
        assert_close(gradients[name]["W"].T, weight)
    d_query_bias, d_key_bias, d_value_bias = torch.split(module.in_proj_bias.grad, FEATURES)
    assert_close(gradients["query"]["b"], d_query_bias)
    assert_close(np.zeros(FEATURES), d_key_bias)
    assert_close(gradients["value"]["b"], d_value_bias)
    assert_dense_gradients(gradients["output"], module, "out_proj")


@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
@pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
def test_self_attention(causal, padded):
    layer = MultiHeadAttention(HEADS, causal=causal)
    params = initial(layer, (STEPS, FEATURES))
    module = torch.nn.MultiheadAttention(FEATURES, HEADS, batch_first=True, dtype=torch.float64)
    load_attention(module, params)
    values, dy = drawn(BATCH, STEPS, FEATURES), drawn(BATCH, STEPS, FEATURES) ** 2

    y, dx, gradients = run(layer, params, Masked(values, MASK) if padded else values, dy)
    x = tensor(values)
    later = torch.ones(STEPS, STEPS, dtype=torch.bool).triu(1) if causal else None
    padding = tensor(~MASK) if padded else None
    expected, _ = module(x, x, x, attn_mask=later, key_padding_mask=padding)
    expected.backward(torch.tensor(dy))

    assert_close(y.values if padded else y, expected)
    assert_close(dx, x.grad)
    assert_attention_gradients(gradients, module)


@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
def test_cross_attention(padded):
    layer = MultiHeadAttention(HEADS)
    params = initial(layer, ((4, FEATURES), (STEPS, 3)))
    module = torch.nn.MultiheadAttention(
        FEATURES, HEADS, batch_first=True, kdim=3, vdim=3, dtype=torch.float64
    )
    load_attention(module, params)
    queries, values, dy = (
        drawn(BATCH, 4, FEATURES),
        drawn(BATCH, STEPS, 3),
        drawn(BATCH, 4, FEATURES) ** 2,
    )

    context = Masked(values, MASK) if padded else values
    y, (d_queries, d_context), gradients = run(layer, params, (queries, context), dy)
    x, c = tensor(queries), tensor(values)
    expected, _ = module(x, c, c, key_padding_mask=tensor(~MASK) if padded else None)
    expected.backward(torch.tensor(dy))

    assert_close(y, expected)
    assert_close(d_queries, x.grad)
    assert_close(d_context, c.grad)
    assert_attention_gradients(gradients, module)


@pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
def test_one_head_with_identity_projections_is_scaled_dot_product_attention(causal):
    layer = MultiHeadAttention(1, causal=causal, use_bias=False)
    params = {name: {"W": np.eye(FEATURES)} for name in ("query", "key", "value", "output")}
    values, dy = drawn(BATCH, STEPS, FEATURES), drawn(BATCH, STEPS, FEATURES) ** 2

    y, dx, _ = run(layer, params, values, dy)
    x = tensor(values)
    expected = torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=causal)
    expected.backward(torch.tensor(dy))

    assert_close(y, expected)
    assert_close(dx, x.grad)


@pytest.mark.parametrize(
    "shape", [(BATCH, STEPS, STEPS), (BATCH, HEADS, STEPS, STEPS)], ids=["one", "heads"]
)
def test_a_scale_and_an_additive_mask_are_those_of_scaled_dot_product_attention(shape):
    layer = MultiHeadAttention(HEADS, use_bias=False, scale=0.7)
    params = {name: {"W": np.eye(FEATURES)} for name in ("query", "key", "value", "output")}
    queries, context, dy = (drawn(BATCH, STEPS, FEATURES) ** power for power in (1, 2, 3))
    mask = drawn(*shape)
    mask[..., 1::2, ::2] = -np.inf

    y, gradients, _ = run(layer, params, (queries, context, mask), dy)
    leaves = [tensor(each) for each in (queries, context, mask)]
    Q, K = (leaf.unflatten(-1, (HEADS, -1)).transpose(1, 2) for leaf in leaves[:2])
    B = leaves[2] if len(shape) == 4 else leaves[2][:, None]
    A = torch.nn.functional.scaled_dot_product_attention(Q, K, K, attn_mask=B, scale=0.7)
    expected = A.transpose(1, 2).flatten(2)
    expected.backward(torch.tensor(dy))

    assert_close(y, expected)
    for gradient, leaf in zip(gradients, leaves, strict=True):
        assert_close(gradient, leaf.grad)


def parts_of_block(params, normalized_first):
    """Return the parameters of norm1, self_attn, norm2, linear1 and linear2."""
    if normalized_first:
        (_, (norm_1, attention, _)), (_, (norm_2, dense_1, _, dense_2, _)) = params
    else:
        (_, (attention, _)), norm_1, (_, (dense_1, _, dense_2, _)), norm_2 = params
    return norm_1, attention, norm_2, dense_1, dense_2


@pytest.mark.parametrize("first", [True, False], ids=["normalized first", "normalized last"])
@pytest.mark.parametrize(
    ("activation", "name"), [(GELU(), "gelu"), (ReLU(), "relu")], ids=["GELU", "ReLU"]
)
def test_transformer_block(first, activation, name):
    layer = TransformerBlock(FEATURES, HEADS, HIDDEN, activation=activation, pre_normalization=first)
    params = initial(layer, (STEPS, FEATURES))
    module = torch.nn.TransformerEncoderLayer(
        FEATURES,
        HEADS,
        HIDDEN,
        dropout=0.0,
        activation=name,
        batch_first=True,
        norm_first=first,
        dtype=torch.float64,
    )
    norm_1, attention, norm_2, dense_1, dense_2 = parts_of_block(params, first)
    load_attention(module.self_attn, attention)
    load_dense(module, "linear1", dense_1)
    load_dense(module, "linear2", dense_2)
    load_norm(module, "norm1", norm_1)
    load_norm(module, "norm2", norm_2)
    values, dy = drawn(BATCH, STEPS, FEATURES), drawn(BATCH, STEPS, FEATURES) ** 2

    y, dx, gradients = run(layer, params, Masked(values, MASK), dy)
    x = tensor(values)
    expected = module(x, src_key_padding_mask=tensor(~MASK))
    expected.backward(torch.tensor(dy))

    assert_close(y.values, expected)
    assert_close(dx, x.grad)
    d_norm_1, d_attention, d_norm_2, d_dense_1, d_dense_2 = parts_of_block(gradients, first)
    assert_attention_gradients(d_attention, module.self_attn)
    assert_dense_gradients(d_dense_1, module, "linear1")
    assert_dense_gradients(d_dense_2, module, "linear2")
    assert_norm_gradients(d_norm_1, module, "norm1")
    assert_norm_gradients(d_norm_2, module, "norm2")
