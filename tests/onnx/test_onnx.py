"""Export to ONNX: each layer gives the same in ONNX Runtime."""

import inspect
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import multinn
from multinn import (
    GRU,
    LSTM,
    Add,
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    ChannelsLast,
    Concatenate,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
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
    Masking,
    MaxPool1D,
    MaxPool2D,
    MultiHeadAttention,
    Parallel,
    PReLU,
    RelativePositionBias,
    ReLU,
    Rescale,
    Residual,
    RMSNorm,
    Sequential,
    SimpleRNN,
    Softmax,
    Tanh,
)
from multinn.host.trees import shape_of
from multinn.layers.base import ParameterFree
from multinn.onnx import Graph, Value, converts, has_converter, to_onnx
from multinn.sklearn.network import ACTIVATIONS
from tests.support.onnx_runs import (
    CASES,
    WITHOUT_CONVERTER,
    assert_same,
    drawn,
    ordered_leaves,
    outputs_of,
    point_of,
    run_onnx,
)

# What the reference evaluator of the onnx package does not implement, and ONNX Runtime does.
BEYOND_THE_REFERENCE = {
    "ConvTranspose1D groups": "groups of a transposed convolution",
    "ConvTranspose2D dilated, groups": "groups of a transposed convolution",
    "SimpleRNN relu": "the activation Relu",
    "SimpleRNN backwards": "lengths of sequences",
    "GRU": "lengths of sequences",
    "GRU reset before": "lengths of sequences",
    "LSTM sequences": "lengths of sequences",
    "Bidirectional": "lengths of sequences",
    "Sequential of ids": "lengths of sequences",
}

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 6, 5, 4))
SEQUENCES = RNG.normal(size=(3, 6, 4))
PADDED = (
    SEQUENCES * np.array([[1, 1, 1, 1, 0, 0], [0, 1, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0]])[..., None]
)  # at the end, in the middle and in front, and nothing else


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_layer_gives_the_same_in_onnx_runtime(case):
    layer, params, state, x = point_of(case)
    assert_same(layer, x, params, state)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.name not in BEYOND_THE_REFERENCE], ids=lambda case: case.name
)
def test_a_layer_in_float64_gives_the_same_by_the_reference(case):
    layer, params, state, x = point_of(case)
    expected = outputs_of(layer, params, state, x, "float64")
    model = to_onnx(layer, params, state, shape_of(x), "float64")
    inputs = [leaf.astype(np.float64) for leaf in ordered_leaves(x)]
    names = [each.name for each in model.graph.input]
    got = ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))
    for own, other in zip(expected, got, strict=True):
        assert own.dtype == other.dtype
        np.testing.assert_allclose(other, own, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_of_an_estimator_in_float64_gives_the_same_in_onnx_runtime(name):
    x = RNG.normal(size=(3, 4)) * 3.0
    (expected,) = outputs_of(ACTIVATIONS[name], {}, {}, x, "float64")
    (got,) = run_onnx(to_onnx(ACTIVATIONS[name], {}, {}, (4,), "float64"), x)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_each_layer_has_a_converter_or_a_reason():
    exported = {
        member
        for member in vars(multinn).values()
        if inspect.isclass(member) and issubclass(member, Layer) and not inspect.isabstract(member)
    }
    assert {layer for layer in exported if not has_converter(layer)} == set(WITHOUT_CONVERTER)


@pytest.mark.parametrize(
    "layer",
    [
        Conv2D(3, (2, 3), padding="same", stride=(1, 2), dilation=2),
        ConvTranspose2D(2, 2, 3, "same"),
        ConvTranspose2D(2, 3, 2, ((0, 2), (1, 0)), output_padding=1),
        ConvTranspose2D(4, 2, 2, groups=4),
        MaxPool2D(3, 2, "same"),
        AveragePool2D(3, 2, ((0, 1), (2, 0)), count_padding=True),
        AveragePool2D(3, 2, 1),
        AveragePool2D(3, 2, (0, 1), ceil_mode=True),
        AveragePool2D((3, 2), 2, 1, count_padding=True, ceil_mode=True),
        AveragePool2D(2, 1, "same", dilation=(1, 2)),
        MaxPool2D(2, 2, 1, dilation=(2, 1), ceil_mode=True),
        MaxPool2D(2, 1, "same", dilation=(3, 4)),
        GroupNorm(4),
        BatchNorm(),
        Sequential([Conv2D(4, 2), PReLU(), GroupNorm(2), Softmax()]),
        Sequential([Conv2D(4, 1), Concatenate([Conv2D(2, 1), Conv2D(3, 1)]), Tanh()]),
        Sequential([Conv2D(4, 1), Concatenate([Conv2D(2, 1), Conv2D(2, 1)], axis=2)]),
        Sequential([Conv2D(4, 1), Concatenate([Conv2D(4, 1), Identity()], axis=1)]),
        Sequential([Conv2D(4, 1), Residual(Dense(4)), Flatten(), Dense(2)]),
        Sequential([ChannelsLast(), Flatten(), Dense(2)]),
        Sequential([ChannelsLast(), GlobalMaxPool2D()]),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_images(layer):
    assert_same(layer, IMAGES)


@pytest.mark.parametrize(
    "layer",
    [
        Conv1D(3, 3, 2, "same"),
        Conv1D(4, 2, padding=(2, 0), groups=2),
        ConvTranspose1D(3, 2, 3, (1, 0), 1),
        ConvTranspose1D(2, 3, 2, "same"),
        MaxPool1D(3, 2, (1, 2)),
        AveragePool1D(3, 2, 1),
        MaxPool1D(2, 3, (0, 2), dilation=4, ceil_mode=True),
        AveragePool1D(2, 3, (2, 0), count_padding=True, dilation=2, ceil_mode=True),
        BatchNorm(),
        Sequential([Conv1D(3, 2), GlobalMaxPool1D()]),
        Sequential([Conv1D(3, 2), GlobalAveragePool1D()]),
        Sequential([Conv1D(3, 2), LSTM(2)]),
        GRU(3, reset_after=False, return_sequences=True, go_backwards=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_sequences(layer):
    assert_same(layer, SEQUENCES)


@pytest.mark.parametrize("return_sequences", [True, False], ids=["all", "last"])
@pytest.mark.parametrize("go_backwards", [True, False], ids=["backwards", "forwards"])
@pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM])
def test_recurrent_layers_of_sequences_with_padding_anywhere(kind, go_backwards, return_sequences):
    layer = kind(3, return_sequences=return_sequences, go_backwards=go_backwards)
    assert_same(Sequential([Masking(), layer]), PADDED)


@pytest.mark.parametrize(
    "layer",
    [
        BatchNorm(),
        GroupNorm(2),
        Dense(3),
        GlobalAveragePool1D(),
        GlobalMaxPool1D(),
        MultiHeadAttention(2, causal=True),
        Sequential([Dense(2), Conv1D(3, 2, padding="causal"), GlobalMaxPool1D()]),
        Residual(Sequential([Masking(1.0), GRU(4, return_sequences=True)])),
        Add([Dense(2), GRU(2, return_sequences=True)]),
        Sequential([Concatenate([Identity(), Identity()], axis=1), GlobalAveragePool1D()]),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_masks_reach_the_layers_that_know_of_them(layer):
    assert_same(Sequential([Masking(), layer]), PADDED)


def test_an_additive_mask_that_hides_steps():
    positions = Parallel([Identity(), Identity(), RelativePositionBias(2)])
    model = Sequential([Masking(), positions, MultiHeadAttention(2, scale=0.4)])
    params, state = drawn(model, PADDED.shape[1:])
    params[1][2]["b"][:, 2:9] = np.finfo(np.float32).min  # hides all steps that are near
    assert_same(model, PADDED, params, state)


@pytest.mark.parametrize(
    "branches",
    [[Masking(), Dense(4)], [Dense(4), Masking()], [Masking(), Conv1D(4, 2), Identity()]],
    ids=["first", "last", "convolution"],
)
def test_steps_of_branches_without_a_mask_count(branches):
    assert_same(Sequential([Concatenate(branches, axis=1), GRU(2)]), PADDED)


def test_masks_of_images_in_time():
    films = (
        RNG.normal(size=(2, 4, 3, 2, 4)) * np.array([[1, 0, 1, 1], [0, 0, 1, 0]])[..., None, None, None]
    )
    assert_same(Sequential([Masking(), GroupNorm(2), BatchNorm()]), films)


@pytest.mark.parametrize("layer", [Flatten(), MaxPool1D(2, 1, padding="same"), RMSNorm(axes=2)], ids=str)
def test_layers_that_would_mix_padding_with_steps_that_count_refuse_a_mask(layer):
    model = Sequential([Masking(), layer])
    with pytest.raises(ValueError, match=f"{type(layer).__name__}: expected no mask, as padding would"):
        to_onnx(model, drawn(model, (3, 2))[0], None, (3, 2))


def test_channels_change_places_only_where_they_have_to():
    convolutions = [Conv2D(2, 2), ReLU(), BatchNorm(), MaxPool2D(), Residual(Conv2D(2, 1)), Tanh()]
    model = Sequential([*convolutions, GlobalAveragePool2D()])
    assert operators(to_onnx(model, *drawn(model, (6, 5, 4)), (6, 5, 4))).count("Transpose") == 1
    model = Sequential([ChannelsLast(), *convolutions, GlobalAveragePool2D()])
    assert operators(to_onnx(model, *drawn(model, (4, 6, 5)), (4, 6, 5))).count("Transpose") == 0


def test_the_form_of_the_model():
    model = Sequential([Dense(3), Sequential([Dense(2)])])
    proto = to_onnx(model, *drawn(model, (4,)), (4,))
    assert [each.version for each in proto.opset_import] == [17]
    assert proto.ir_version == 8
    (x,), (y,) = proto.graph.input, proto.graph.output
    shapes = [
        [axis.dim_param or axis.dim_value for axis in each.type.tensor_type.shape.dim] for each in (x, y)
    ]
    assert (x.name, y.name, shapes) == ("input", "output", [["batch", 4], ["batch", 2]])
    assert [each.name for each in proto.graph.initializer] == ["0.W", "0.b", "1.0.W", "1.0.b"]


def test_several_inputs_and_outputs():
    model = Sequential([MultiHeadAttention(2), Parallel([Dense(2), Identity()])])
    shapes = ((3, 4), (5, 6))
    params, state = drawn(model, shapes)
    x = tuple(RNG.normal(size=(2, *shape)).astype(np.float32) for shape in shapes)
    proto = to_onnx(model, params, state, shapes)
    assert [each.name for each in proto.graph.input] == ["input_0", "input_1"]
    assert [each.name for each in proto.graph.output] == ["output_0", "output_1"]
    expected = outputs_of(model, params, state, x, "float32")
    for own, other in zip(expected, run_onnx(proto, *x), strict=True):
        np.testing.assert_allclose(other, own, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "dtype"),
    [(Rescale(), "uint8"), (Embedding(256, 2), "int64"), (Embedding(256, 2), "int32")],
)
def test_inputs_of_another_dtype(layer, dtype):
    x = RNG.integers(256, size=(3, 4)).astype(dtype)
    params, state = drawn(layer, (4,))
    (got,) = run_onnx(to_onnx(layer, params, state, (4,), input_dtype=dtype), x)
    (expected,) = outputs_of(layer, params, state, x, "float32")
    np.testing.assert_allclose(got, expected, rtol=1e-6)


class Cube(ParameterFree):
    def forward(self, backend, params, x, key=None):
        return x * x * x, x

    def backward(self, backend, params, cache, dy):
        return 3.0 * dy * cache * cache, {}


class OtherDense(Dense):
    """It might compute something else."""


@pytest.mark.parametrize("layer", [Cube(), OtherDense(3)], ids=["new", "subclass"])
def test_a_layer_without_a_converter_is_named_with_its_place(layer):
    model = Sequential([Dense(3), Residual(Sequential([Tanh(), layer]))])
    name = type(layer).__name__
    with pytest.raises(
        NotImplementedError, match=rf"no converter for {name}, layer 1\.1\.1 of the model"
    ):
        to_onnx(model, drawn(model, (3,))[0], None, (3,))
    with pytest.raises(NotImplementedError, match="the model itself"):
        to_onnx(layer, drawn(layer, (3,))[0], None, (3,))


def test_a_third_party_registers_a_converter(monkeypatch):
    monkeypatch.setattr("multinn.onnx.registry._CONVERTERS", {**multinn.onnx.registry._CONVERTERS})

    @converts(Cube)
    def cube(graph: Graph, layer, params, state, x: Value) -> Value:
        return replace(x, name=graph.add("Pow", x.name, graph.constant(3.0)))

    assert_same(Sequential([Dense(3), Cube()]), SEQUENCES)


def test_a_model_with_running_statistics_needs_its_state():
    model = Sequential([Dense(3), BatchNorm()])
    with pytest.raises(ValueError, match="BatchNorm: expected the state of a trained model"):
        to_onnx(model, drawn(model, (4,))[0], None, (4,))


def test_inputs_of_a_shape_that_the_model_cannot_take():
    with pytest.raises(ValueError, match="Conv2D: expected images"):
        to_onnx(Conv2D(2, 2), {}, None, (4,))


def test_weights_beyond_the_limit_of_the_format(monkeypatch):
    monkeypatch.setattr("multinn.onnx.model._MOST_BYTES", 10)
    with pytest.raises(ValueError, match="less than 2 GiB"):
        to_onnx(Dense(3), drawn(Dense(3), (4,))[0], None, (4,))


def test_without_the_library_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r'multinn\.onnx needs onnx .*pip install "multinn\[onnx\]"'):
        to_onnx(Tanh(), {}, None, (4,))


def test_the_checker_of_onnx_looks_at_each_model(monkeypatch):
    looked_at = []
    checker = SimpleNamespace(check_model=lambda model, full_check: looked_at.append(full_check))
    monkeypatch.setattr(onnx, "checker", checker)
    to_onnx(Tanh(), {}, None, (4,))
    assert looked_at == [True]
