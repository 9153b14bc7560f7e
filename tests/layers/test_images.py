"""Layers for images: values against plain loops and SciPy, shapes and errors."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import scipy.signal
from hypothesis import assume, given
from hypothesis import strategies as st

from backends import Backend, Tree, get_backend, tree
from multinn import (
    SGD,
    AveragePool2D,
    ChannelsLast,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    MaxPool2D,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    Trainer,
)
from multinn.layers.images import windows
from multinn.layers.images.geometry import Geometry

RNG = np.random.default_rng(0)
LENET = [
    Conv2D(3, 3),
    ReLU(),
    MaxPool2D(),
    Conv2D(4, 2),
    ReLU(),
    AveragePool2D(2, 1),
    Flatten(),
    Dense(3),
]
IMAGES = RNG.normal(size=(7, 9, 10, 2)).astype(np.float32)
LABELS = np.arange(7) % 3


def initial(layer: Layer, x: np.ndarray) -> Tree:
    """Return parameters for these inputs, none of them zero."""
    drawn, _ = layer.init(np.random.default_rng(1), x.shape[1:])
    return tree.map(lambda leaf: (leaf + 0.1).astype(x.dtype), drawn)


def forward(backend: Backend, layer: Layer, x: np.ndarray, params: Tree) -> np.ndarray:
    def run(params: Tree, x: np.ndarray) -> np.ndarray:
        y: np.ndarray = layer.forward(backend, params, x)[0]
        return y

    arguments = backend.from_numpy((params, x))
    result: np.ndarray = backend.to_numpy(backend.jit(run, *arguments)(*arguments))
    return result


def trained(backend: Backend, layers: list[Layer], images: np.ndarray) -> Tree:
    trainer = Trainer(Sequential(layers), SoftmaxCrossEntropy(), SGD(0.1), backend=backend)
    trainer.fit(images, LABELS, epochs=2, batch_size=3, progress=False)
    return backend.to_numpy(trainer.params)


def entries_of_windows(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Return the entries of each window, (batch, rows, columns, channels, size size)."""
    every = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return every[:, ::stride, ::stride].reshape(*every[:, ::stride, ::stride].shape[:4], -1)


@pytest.mark.parametrize("size", [1, 3, (2, 4), (9, 10)])
def test_a_convolution_is_scipys_correlation(backend, size):
    layer = Conv2D(4, size)
    params = initial(layer, IMAGES)
    expected = np.zeros((7, *Geometry(layer.kernel_size, (1, 1)).count((9, 10)), 4))
    for image, channel, unit in product(range(7), range(2), range(4)):
        kernel = params["W"][:, :, channel, unit]
        expected[image, ..., unit] += scipy.signal.correlate2d(
            IMAGES[image, ..., channel], kernel, "valid"
        )
    expected += params["b"]
    np.testing.assert_allclose(forward(backend, layer, IMAGES, params), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [2, (1, 3), (5, 2)])
def test_a_stride_skips_outputs(backend, stride):
    strided, dense = Conv2D(4, 3, stride), Conv2D(4, 3)
    params = initial(dense, IMAGES)
    rows, columns = strided.stride
    expected = forward(backend, dense, IMAGES, params)[:, ::rows, ::columns]
    np.testing.assert_allclose(forward(backend, strided, IMAGES, params), expected, rtol=1e-5, atol=1e-6)


def test_a_kernel_of_one_is_a_dense_layer_at_each_pixel(backend):
    convolution, dense = Conv2D(4, 1), Dense(4)
    params = initial(convolution, IMAGES)
    as_dense = {"W": params["W"][0, 0], "b": params["b"]}
    expected = forward(backend, dense, IMAGES, as_dense)
    np.testing.assert_allclose(
        forward(backend, convolution, IMAGES, params), expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(("size", "stride"), [(2, None), (3, 2), (2, 3), (3, 1), (9, None)])
@pytest.mark.parametrize(("kind", "reduce"), [(MaxPool2D, np.max), (AveragePool2D, np.mean)])
def test_pooling_reduces_each_window(backend, kind, reduce, size, stride):
    expected = reduce(entries_of_windows(IMAGES, size, stride or size), axis=-1)
    pooled = forward(backend, kind(size, stride), IMAGES, {})
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)


def test_the_default_stride_follows_a_new_pool_size():
    layer = replace(MaxPool2D(2), pool_size=3)
    assert layer.init(np.random.default_rng(0), (9, 9, 1))[1] == (3, 3, 1)


def test_the_gradient_goes_to_the_first_of_equal_maxima(backend):
    x, dy = backend.from_numpy((np.ones((1, 2, 4, 1), np.float32), np.ones((1, 1, 2, 1), np.float32)))
    _, cache = MaxPool2D().forward(backend, {}, x)
    dx = backend.to_numpy(MaxPool2D().backward(backend, {}, cache, dy)[0])
    np.testing.assert_array_equal(dx[0, ..., 0], [[1, 0, 1, 0], [0, 0, 0, 0]])


def pairs(least: int, most: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(least, most), st.integers(least, most))


paddings = st.sampled_from(["valid", "same", "causal"]) | st.tuples(pairs(0, 3), pairs(0, 3))
geometries = st.builds(Geometry, pairs(1, 4), pairs(1, 4), pairs(1, 3), paddings, st.booleans())


@given(pairs(1, 12), geometries, st.integers(0, 100))
def test_sum_windows_is_the_adjoint_of_windows(shape, geometry, seed):
    """⟨windows(x), parts⟩ = ⟨x, sum_windows(parts)⟩ for all x and parts; exactly, for small integers."""
    assume(min(geometry.count(shape)) >= 1)
    numpy, generator = get_backend("numpy:eager"), np.random.default_rng(seed)
    x = generator.integers(-9, 10, (2, *shape, 3)).astype(np.float64)
    places = windows.windows(numpy, x, geometry)
    parts = [generator.integers(-9, 10, place.shape).astype(np.float64) for place in places]
    back = windows.sum_windows(numpy, parts, geometry, shape)
    assert back.shape == x.shape
    assert sum(np.vdot(*each) for each in zip(places, parts, strict=True)) == np.vdot(x, back)


def test_images_with_the_channels_first_give_the_same_training(backend):
    channels_first = np.ascontiguousarray(np.transpose(IMAGES, (0, 3, 1, 2)))
    first = trained(backend, [ChannelsLast(), *LENET], channels_first)
    last = trained(backend, LENET, IMAGES)
    tree.map(np.testing.assert_array_equal, first[1:], last)


def test_convolutional_networks_have_the_bits_of_eager_numpy():
    runs = [trained(get_backend(name), LENET, IMAGES) for name in ("numpy", "numpy:eager")]
    tree.map(np.testing.assert_array_equal, *runs)


@pytest.mark.parametrize(
    ("layer", "inputs", "outputs"),
    [
        (Conv2D(4, 3), (9, 10, 2), (7, 8, 4)),
        (Conv2D(4, (1, 3), (2, 3)), (9, 10, 2), (5, 3, 4)),
        (MaxPool2D(), (9, 10, 2), (4, 5, 2)),
        (MaxPool2D(3, 2), (9, 10, 2), (4, 4, 2)),
        (AveragePool2D((1, 2)), (9, 10, 2), (9, 5, 2)),
        (ChannelsLast(), (2, 9, 10), (9, 10, 2)),
    ],
    ids=str,
)
def test_init_returns_the_output_shape(backend, layer, inputs, outputs):
    x = np.ones((2, *inputs), np.float32)
    assert layer.init(np.random.default_rng(0), inputs)[1] == outputs
    assert forward(backend, layer, x, initial(layer, x)).shape == (2, *outputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2D(0, 3), "Conv2D: expected filters of at least 1, got 0"),
        (lambda: Conv2D(2.5, 3), "Conv2D: expected filters of at least 1, got 2.5"),
        (
            lambda: Conv2D(2, 0),
            "Conv2D: expected kernel_size of at least 1, one integer or a pair, got 0",
        ),
        (lambda: Conv2D(2, (3, 3, 3)), "Conv2D: expected kernel_size"),
        (lambda: Conv2D(2, 3, (1, -1)), r"Conv2D: expected stride .* got \(1, -1\)"),
        (lambda: MaxPool2D(0), "MaxPool2D: expected pool_size of at least 1"),
        (lambda: AveragePool2D(2, 1.5), "AveragePool2D: expected stride of at least 1"),
    ],
)
def test_invalid_hyperparameters_raise(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Conv2D(2, 3), (28, 28), r"Conv2D: .* got \('batch', 28, 28\); add an axis for the channel"),
        (Conv2D(2, 3), (784,), r"Conv2D: expected images .* got \('batch', 784\)"),
        (Conv2D(2, 3), (1, 28, 28), "Conv2D: expected images of at least 3 x 3.*ChannelsLast"),
        (Conv2D(2, 3), (28, 28, 0), "at least one channel"),
        (MaxPool2D(4), (3, 9, 1), "MaxPool2D: expected images of at least 4 x 4"),
        (AveragePool2D(), (9,), "AveragePool2D: expected images"),
        (ChannelsLast(), (28, 28), "ChannelsLast: expected images"),
    ],
)
def test_inputs_that_are_no_images_raise(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.init(np.random.default_rng(0), shape)
