"""Convolutions with padding, dilation and groups, along time, and transposed convolutions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import Backend, Tree, get_backend, tree
from multinn import (
    SGD,
    AveragePool2D,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    Dense,
    GlobalAveragePool2D,
    Layer,
    MaxPool2D,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
    Trainer,
)
from multinn.layers.images.geometry import Geometry
from tests.support.layer_runs import fans_told

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 7, 6, 4))
SEQUENCES = RNG.normal(size=(2, 9, 4))
NUMPY = get_backend("numpy:eager")


def initial(layer: Layer, x: np.ndarray) -> Tree:
    return layer.init(np.random.default_rng(1), x.shape[1:])[0]


def forward(layer: Layer, params: Tree, x: np.ndarray, backend: Backend = NUMPY) -> np.ndarray:
    arguments = backend.from_numpy((params, x))
    y: np.ndarray = backend.to_numpy(layer.forward(backend, *arguments)[0])
    return y


lengths = st.tuples(st.integers(1, 20), st.integers(1, 20))
small = st.tuples(st.integers(1, 5), st.integers(1, 5))


@given(lengths, small, small, small)
def test_same_is_the_padding_of_xla(shape, size, stride, dilation):
    jax = pytest.importorskip("jax")
    geometry = Geometry(size, stride, dilation, "same")
    expected = jax.lax.padtype_to_pads(shape, geometry.extent, stride, "SAME")
    assert list(geometry.margins(shape)) == [tuple(map(int, pair)) for pair in expected]
    assert geometry.count(shape) == tuple(-(-n // s) for n, s in zip(shape, stride, strict=True))


def test_the_odd_row_of_padding_is_at_the_end():
    assert Geometry((2, 2), (1, 1), padding="same").margins((5, 5)) == ((0, 1), (0, 1))


def test_dilation_is_a_kernel_with_zeros_in_between():
    dilated, dense = Conv2D(3, (2, 3), dilation=(3, 2)), Conv2D(3, (4, 5))
    params = initial(dilated, IMAGES)
    W = np.zeros((4, 5, 4, 3))
    W[::3, ::2] = params["W"]
    expected = forward(dense, params | {"W": W}, IMAGES)
    np.testing.assert_allclose(forward(dilated, params, IMAGES), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("groups", "filters"), [(2, 6), (4, 4), (4, 8)])
def test_groups_are_convolutions_side_by_side(groups, filters):
    layer = Conv2D(filters, 3, padding=1, groups=groups)
    params = initial(layer, IMAGES)
    assert params["W"].shape == (3, 3, 4 // groups, filters)
    alone = Conv2D(filters // groups, 3, padding=1)
    shares = zip(
        np.split(IMAGES, groups, axis=3),
        np.split(params["W"], groups, axis=3),
        np.split(params["b"], groups),
        strict=True,
    )
    expected = [forward(alone, {"W": W, "b": b}, x) for x, W, b in shares]
    np.testing.assert_allclose(
        forward(layer, params, IMAGES), np.concatenate(expected, axis=3), rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2, "padding": "same"}, {"padding": 2, "dilation": 3}, {"groups": 2}],
    ids=str,
)
def test_a_sequence_is_an_image_of_height_1(options):
    along_time = Conv1D(6, 3, **options)
    options = options | {"padding": ((0, 0), along_time.padding)} if "dilation" in options else options
    across = Conv2D(6, (1, 3), **{**options, "stride": (1, along_time.stride)})
    params = initial(along_time, SEQUENCES)
    images = SEQUENCES[:, None]
    expected = forward(across, params | {"W": params["W"][None]}, images)[:, 0]
    np.testing.assert_array_equal(forward(along_time, params, SEQUENCES), expected)


@pytest.mark.parametrize("stride", [1, 3])
def test_a_causal_output_depends_on_no_later_input(stride):
    layer = Conv1D(2, 3, stride, "causal", dilation=2)
    params = initial(layer, SEQUENCES)
    later = SEQUENCES.copy()
    later[:, 4:] += 1.0
    changed = forward(layer, params, later) != forward(layer, params, SEQUENCES)
    assert changed.any(axis=(0, 2)).tolist() == [step * stride >= 4 for step in range(changed.shape[1])]


@pytest.mark.parametrize(
    ("size", "lost", "options"),
    [
        ((6, 7), 0, {"kernel_size": 3}),
        ((9, 8), 0, {"kernel_size": (2, 3), "stride": (3, 2), "padding": "same"}),
        ((8, 9), 0, {"kernel_size": 1, "stride": (2, 3), "padding": "same"}),
        ((9, 8), (1, 0), {"kernel_size": 3, "stride": 2, "padding": ((1, 2), (0, 1)), "dilation": 2}),
        ((7, 9), 0, {"kernel_size": 2, "padding": 3, "groups": 2}),
    ],
    ids=str,
)
def test_a_transposed_convolution_is_the_gradient_of_a_convolution(size, lost, options):
    there = Conv2D(4, use_bias=False, **options)
    back = ConvTranspose2D(2, use_bias=False, output_padding=lost, **options)
    x = RNG.normal(size=(2, *size, 2))
    params, shape = there.init(np.random.default_rng(1), x.shape[1:])
    y, cache = there.forward(NUMPY, params, x)
    assert back.init(np.random.default_rng(1), shape)[1] == x.shape[1:]
    expected, _ = there.backward(NUMPY, params, cache, y)
    np.testing.assert_allclose(forward(back, params, y), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("layer", "inputs", "weights", "outputs"),
    [
        (Conv2D(8, 3, 2, "same", groups=2), (7, 6, 4), (3, 3, 2, 8), (4, 3, 8)),
        (Conv2D(8, 3, 1, (2, 0), 2), (7, 6, 4), (3, 3, 4, 8), (7, 2, 8)),
        (Conv2D(8, 5, padding=((4, 0), (0, 2))), (1, 3, 4), (5, 5, 4, 8), (1, 1, 8)),
        (Conv1D(3, 4, padding="causal", dilation=3), (1, 4), (4, 4, 3), (1, 3)),
        (Conv1D(3, 4, 2, (1, 2)), (9, 4), (4, 4, 3), (5, 3)),
        (ConvTranspose2D(2, 3, 2, groups=2), (7, 6, 4), (3, 3, 1, 4), (15, 13, 2)),
        (ConvTranspose2D(2, 2, 3, "same"), (7, 6, 4), (2, 2, 2, 4), (21, 18, 2)),
        (ConvTranspose2D(2, 3, (2, 3), 1, (0, 2)), (1, 2, 4), (3, 3, 2, 4), (1, 6, 2)),
    ],
    ids=str,
)
def test_shapes(backend, layer, inputs, weights, outputs):
    x = np.ones((2, *inputs), np.float32)
    params, shape = layer.init(np.random.default_rng(0), inputs)
    assert (params["W"].shape, shape) == (weights, outputs)
    single = tree.map(lambda leaf: leaf.astype(np.float32), params)
    assert forward(layer, single, x, backend).shape == (2, *outputs)


@pytest.mark.parametrize("layer", [Conv2D(8, 3, groups=2), ConvTranspose2D(8, 3, groups=2)], ids=str)
def test_fans_are_those_of_one_group(layer):
    assert fans_told(layer, IMAGES.shape[1:], "weight_initializer") == [(3 * 3 * 2, 3 * 3 * 4)]


def test_hyperparameters_are_normalized():
    layer = Conv2D(np.int64(4), 3, padding=[1, np.int64(2)], dilation=[2, 1], groups=np.int64(2))
    assert layer == Conv2D(4, (3, 3), 1, ((1, 1), (2, 2)), (2, 1), 2)
    assert hash(layer) == hash(replace(layer))
    assert Conv1D(4, np.int64(3), padding=[1, 2]) == Conv1D(4, 3, padding=(1, 2))


def test_they_train_together_and_compiled_numpy_has_the_bits_of_eager_numpy():
    layers = [
        Conv2D(4, 3, 2, "same", groups=2),
        Tanh(),
        MaxPool2D(2, 1, "same"),
        ConvTranspose2D(3, 3, 2, "same"),
        Conv2D(3, 3, padding=2, dilation=2, groups=3),
        AveragePool2D(3, 2, 1),
        GlobalAveragePool2D(),
        Dense(2),
    ]

    def trained(backend: str) -> Trainer:
        trainer = Trainer(Sequential(layers), SoftmaxCrossEntropy(), SGD(0.1), backend=backend)
        trainer.fit(IMAGES, np.array([0, 1]), epochs=3, batch_size=1, progress=False)
        return trainer

    compiled, eager = trained("numpy"), trained("numpy:eager")
    tree.map(np.testing.assert_array_equal, compiled.params, eager.params)
    assert compiled.history.losses[-1] < compiled.history.losses[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2D(4, 3, padding="causal"), "Conv2D: expected padding \"valid\", .* got 'causal'"),
        (lambda: Conv2D(4, 3, padding=-1), "Conv2D: expected padding .* got -1"),
        (lambda: Conv2D(4, 3, padding=1.5), "Conv2D: expected padding .* got 1.5"),
        (lambda: Conv2D(4, 3, 1, False), "Conv2D: expected padding .* got False"),
        (lambda: Conv2D(4, 3, padding=(1, 2, 3)), r"Conv2D: expected padding .* got \(1, 2, 3\)"),
        (lambda: Conv2D(4, 3, padding=((1, 2), (3, -4))), "Conv2D: expected padding"),
        (lambda: Conv2D(4, 3, padding=((1, 2), (3,))), "Conv2D: expected padding"),
        (
            lambda: Conv2D(4, 3, dilation=0),
            "Conv2D: expected dilation of at least 1, one integer or a pair, got 0",
        ),
        (lambda: Conv2D(4, 3, groups=0), "Conv2D: expected groups of at least 1, got 0"),
        (lambda: Conv2D(4, 3, groups=3), "Conv2D: expected filters divisible by 3 groups, got 4"),
        (lambda: Conv1D(0, 3), "Conv1D: expected filters of at least 1, got 0"),
        (lambda: Conv1D(4, (3, 3)), r"Conv1D: expected kernel_size of at least 1, got \(3, 3\)"),
        (lambda: Conv1D(4, 3, 1.5), "Conv1D: expected stride of at least 1, got 1.5"),
        (lambda: Conv1D(4, 3, dilation=-1), "Conv1D: expected dilation of at least 1"),
        (lambda: Conv1D(4, 3, padding="full"), "Conv1D: expected padding .*\"causal\".* got 'full'"),
        (lambda: Conv1D(4, 3, padding=(1, 2, 3)), "Conv1D: expected padding"),
        (lambda: Conv1D(4, 3, groups=3), "Conv1D: expected filters divisible by 3 groups"),
        (lambda: ConvTranspose1D(4, (3, 3)), "ConvTranspose1D: expected kernel_size of at least 1"),
        (lambda: ConvTranspose1D(4, 3, 2, 0, 2), "output_padding below stride 2, got 2"),
        (lambda: ConvTranspose2D(0, 3), "ConvTranspose2D: expected filters of at least 1"),
        (lambda: ConvTranspose2D(4, 0), "ConvTranspose2D: expected kernel_size of at least 1"),
        (lambda: ConvTranspose2D(4, 3, padding="causal"), "ConvTranspose2D: expected padding"),
        (lambda: ConvTranspose2D(4, 3, output_padding=-1), "expected output_padding of at least 0"),
        (lambda: ConvTranspose2D(4, 3, 2, 0, 2), r"output_padding below stride \(2, 2\), got \(2, 2\)"),
        (lambda: ConvTranspose2D(4, 3, 2, "same", 1), 'output_padding 0 with padding "same"'),
        (
            lambda: ConvTranspose2D(4, 3, groups=3),
            "ConvTranspose2D: expected filters divisible by 3 groups",
        ),
    ],
)
def test_invalid_hyperparameters_raise(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Conv2D(4, 3, dilation=2), (4, 9, 1), "Conv2D: expected images of at least 5 x 5"),
        (Conv2D(4, 5, padding=1), (2, 9, 1), "at least 3 x 3, the size of a window without the padding"),
        (Conv2D(4, 5, padding="same"), (0, 9, 1), "Conv2D: expected images of at least 1 x 1"),
        (Conv2D(4, 3, groups=2), (9, 9, 3), "Conv2D: expected .* channels divisible by 2 groups, got 3"),
        (Conv1D(4, 3), (9,), r"Conv1D: expected sequences .* got \('batch', 9\); add an axis"),
        (Conv1D(4, 3), (9, 9, 1), r"Conv1D: expected sequences .* got \('batch', 9, 9, 1\)"),
        (Conv1D(4, 3), (2, 1), "Conv1D: expected sequences of a length of at least 3"),
        (Conv1D(4, 3, padding="causal"), (0, 1), "Conv1D: expected sequences of a length of at least 1"),
        (Conv1D(4, 3, padding=(2, 0)), (0, 1), "at least 1, the size of a window without the padding"),
        (Conv1D(4, 3), (9, 0), "Conv1D: .* at least one channel"),
        (Conv1D(4, 3, groups=4), (9, 6), "Conv1D: expected .* channels divisible by 4 groups, got 6"),
        (ConvTranspose1D(4, 3), (9, 9, 1), "ConvTranspose1D: expected sequences"),
        (ConvTranspose1D(4, 3, 2, 2), (1, 1), "ConvTranspose1D: .* least 1, got .*which leaves -1 for"),
        (ConvTranspose2D(4, 3), (9, 9), "ConvTranspose2D: expected images"),
        (ConvTranspose2D(4, 3), (0, 9, 1), "ConvTranspose2D: expected images of at least 1 x 1"),
        (ConvTranspose2D(4, 3, groups=4), (9, 9, 6), "ConvTranspose2D: expected .* 4 groups, got 6"),
        (ConvTranspose2D(4, 3, 2, 2), (1, 9, 1), "ConvTranspose2D: .* which leaves -1 x 15"),
    ],
    ids=str,
)
def test_inputs_of_invalid_shape_raise(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.init(np.random.default_rng(0), shape)
