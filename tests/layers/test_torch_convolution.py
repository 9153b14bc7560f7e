"""Convolution and pooling, values and gradients, against the functions of PyTorch."""

import numpy as np
import pytest

from backends import Tree, get_backend
from multinn import (
    AveragePool1D,
    AveragePool2D,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    Layer,
    MaxPool1D,
    MaxPool2D,
)

torch = pytest.importorskip("torch")

functional = torch.nn.functional
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 9, 8, 4))
SEQUENCES = RNG.normal(size=(3, 11, 4))


def channels_first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def assert_agree(layer: Layer, x: np.ndarray, weights_axes: tuple[int, ...], torch_forward) -> None:
    """Compare y, dx and the gradients of the parameters, for a random dy.

    Args:
        layer: our layer, with a bias if it has parameters.
        x: its inputs.
        weights_axes: the permutation of the axes of W to PyTorch's order.
        torch_forward: PyTorch's function of x, with the channels first, and of W and b, if any.
    """
    numpy = get_backend("numpy:eager")
    params, output_shape = layer.init(np.random.default_rng(1), x.shape[1:])
    if params:
        params["b"] = params["b"] + 0.5
    dy = RNG.normal(size=(len(x), *output_shape))
    y, cache = layer.forward(numpy, params, x)
    dx, gradients = layer.backward(numpy, params, cache, dy)

    leaves = [channels_first(x)]
    leaves += [np.transpose(params["W"], weights_axes), params["b"]] if params else []
    tensors = [torch.tensor(leaf, requires_grad=True) for leaf in leaves]
    expected = torch_forward(*tensors)
    close(channels_first(y), expected)
    expected.backward(torch.tensor(channels_first(dy)))
    close(channels_first(dx), tensors[0].grad)
    if params:
        compare_parameters(gradients, weights_axes, tensors[1:])


def compare_parameters(gradients: Tree, weights_axes: tuple[int, ...], tensors: list) -> None:
    close(np.transpose(gradients["W"], weights_axes), tensors[0].grad)
    close(gradients["b"], tensors[1].grad)


def close(got: np.ndarray, expected) -> None:
    np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": (2, 3)},
        {"padding": (2, 1)},
        {"stride": 3, "padding": 4},
        {"dilation": (2, 3)},
        {"stride": (3, 2), "padding": (1, 3), "dilation": (2, 3)},
        {"groups": 2},
        {"stride": 2, "padding": 1, "dilation": 2, "groups": 4},
    ],
    ids=str,
)
def test_conv2d(options):
    layer = Conv2D(8, (3, 2), **options)
    assert_agree(layer, IMAGES, (3, 2, 0, 1), lambda x, W, b: functional.conv2d(x, W, b, **options))


def test_depthwise_conv2d():
    options = {"stride": (3, 2), "padding": (1, 3), "dilation": (2, 3), "groups": 4}
    layer = Conv2D(4, (3, 2), **options)
    assert_agree(layer, IMAGES, (3, 2, 0, 1), lambda x, W, b: functional.conv2d(x, W, b, **options))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    "layer_and_function",
    [(Conv2D, functional.conv2d), (ConvTranspose2D, functional.conv_transpose2d)],
    ids=["Conv2D", "ConvTranspose2D"],
)
def test_row_by_row(layer_and_function, groups):
    layer, function = layer_and_function
    options = {"stride": (1, 2), "padding": 2, "dilation": 2, "groups": groups}
    assert_agree(
        layer(4, (3, 4), **options), IMAGES, (3, 2, 0, 1), lambda x, W, b: function(x, W, b, **options)
    )


@pytest.mark.parametrize(
    ("filters", "size", "options"), [(2, 9, {"stride": 2}), (4, 5, {"stride": (2, 1), "groups": 2})]
)
def test_large_windows_that_are_more_than_one_row_apart(filters, size, options):
    images = RNG.normal(size=(2, 20, 12, 8))
    layer = Conv2D(filters, size, **options)
    assert_agree(layer, images, (3, 2, 0, 1), lambda x, W, b: functional.conv2d(x, W, b, **options))


@pytest.mark.parametrize("size", [3, (2, 5)])
def test_conv2d_of_the_same_size(size):
    layer = Conv2D(8, size, padding="same", dilation=2)
    assert_agree(
        layer,
        IMAGES,
        (3, 2, 0, 1),
        lambda x, W, b: functional.conv2d(x, W, b, padding="same", dilation=2),
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2, "padding": 3}, {"dilation": 4}, {"padding": 1, "dilation": 3, "groups": 2}],
    ids=str,
)
def test_conv1d(options):
    layer = Conv1D(6, 3, **options)
    assert_agree(layer, SEQUENCES, (2, 1, 0), lambda x, W, b: functional.conv1d(x, W, b, **options))


@pytest.mark.parametrize("dilation", [1, 3])
def test_conv1d_that_is_causal(dilation):
    def causal(x, W, b):
        return functional.conv1d(functional.pad(x, (2 * dilation, 0)), W, b, dilation=dilation)

    layer = Conv1D(6, 3, padding="causal", dilation=dilation)
    assert_agree(layer, SEQUENCES, (2, 1, 0), causal)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": (2, 3)},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": (3, 2), "padding": (0, 2), "output_padding": (2, 0), "dilation": (1, 3)},
        {"stride": 4},
        {"padding": 2, "groups": 2},
        {"stride": 2, "groups": 4},
    ],
    ids=str,
)
def test_conv_transpose2d(options):
    layer = ConvTranspose2D(4, (3, 2), **options)

    def transposed(x, W, b):
        return functional.conv_transpose2d(x, W, b, **options)

    assert_agree(layer, IMAGES, (3, 2, 0, 1), transposed)


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 3},
        {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
        {"padding": 2, "dilation": 3},
    ],
    ids=str,
)
def test_conv_transpose1d(options):
    layer = ConvTranspose1D(4, 3, **options)

    def transposed(x, W, b):
        return functional.conv_transpose1d(x, W, b, **options)

    assert_agree(layer, SEQUENCES, (2, 1, 0), transposed)


GEOMETRIES = [(2, 2, 0), (3, 2, 1), ((3, 4), (1, 3), (1, 2)), (2, 3, 1)]


@pytest.mark.parametrize(("size", "stride", "padding"), GEOMETRIES)
def test_max_pool2d(size, stride, padding):
    def pooled(x):
        return functional.max_pool2d(x, size, stride, padding)

    assert_agree(MaxPool2D(size, stride, padding), IMAGES, (), pooled)


@pytest.mark.parametrize("count_padding", [False, True])
@pytest.mark.parametrize(("size", "stride", "padding"), GEOMETRIES)
def test_avg_pool2d(size, stride, padding, count_padding):
    def pooled(x):
        return functional.avg_pool2d(x, size, stride, padding, count_include_pad=count_padding)

    assert_agree(AveragePool2D(size, stride, padding, count_padding), IMAGES, (), pooled)


@pytest.mark.parametrize(
    "options",
    [
        {"dilation": 3, "padding": 1},
        {"ceil_mode": True, "stride": (2, 3)},
        {"ceil_mode": True, "stride": 3, "padding": 1, "dilation": (2, 1)},
        {"ceil_mode": True, "stride": 4, "padding": 1},  # the last window would begin on the padding
    ],
    ids=str,
)
def test_max_pool2d_dilated_or_in_ceil_mode(options):
    assert_agree(
        MaxPool2D((3, 2), **options), IMAGES, (), lambda x: functional.max_pool2d(x, (3, 2), **options)
    )


@pytest.mark.parametrize("count_padding", [False, True])
@pytest.mark.parametrize("stride", [2, (3, 4)])
def test_avg_pool2d_in_ceil_mode(stride, count_padding):
    def pooled(x):
        return functional.avg_pool2d(
            x, (3, 2), stride, 1, ceil_mode=True, count_include_pad=count_padding
        )

    assert_agree(AveragePool2D((3, 2), stride, 1, count_padding, ceil_mode=True), IMAGES, (), pooled)


def test_max_pool1d():
    assert_agree(MaxPool1D(3, 2, 1), SEQUENCES, (), lambda x: functional.max_pool1d(x, 3, 2, 1))


@pytest.mark.parametrize("count_padding", [False, True])
def test_avg_pool1d(count_padding):
    def pooled(x):
        return functional.avg_pool1d(x, 4, 3, 2, count_include_pad=count_padding)

    assert_agree(AveragePool1D(4, 3, 2, count_padding), SEQUENCES, (), pooled)


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (GlobalAveragePool2D(), functional.adaptive_avg_pool2d),
        (GlobalMaxPool2D(), functional.adaptive_max_pool2d),
    ],
    ids=["average", "maximum"],
)
@pytest.mark.parametrize("images", [IMAGES, np.round(IMAGES)], ids=["numbers", "equal numbers"])
def test_pooling_of_whole_images(layer, function, images):
    assert_agree(layer, images, (), lambda x: function(x, 1)[:, :, 0, 0])
