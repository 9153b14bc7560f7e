"""Extreme but valid inputs: no warning, no NaN, and the right limits, forward and backward.

Everything runs eagerly, as a compiled function reports no floating-point warnings. Warnings are errors.
Arrays have few different shapes, as eager JAX compiles each operation for each shape.
"""

import math

import numpy as np
import pytest

from backends import Backend, get_backend, tree
from multinn import (
    ELU,
    GELU,
    BinaryCrossEntropy,
    HalfSquaredError,
    HardSwish,
    Huber,
    Layer,
    LayerNorm,
    LeakyReLU,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    SoftmaxCrossEntropy,
    Softplus,
    Softsign,
    Tanh,
)

# For each: output and derivative at -x, then at x, in the limit of large x.
FAR = {
    Sigmoid(): (lambda x: 0.0 * x, 0.0, lambda x: 0.0 * x + 1.0, 0.0),
    Tanh(): (lambda x: 0.0 * x - 1.0, 0.0, lambda x: 0.0 * x + 1.0, 0.0),
    ReLU(): (lambda x: 0.0 * x, 0.0, lambda x: x, 1.0),
    LeakyReLU(0.25): (lambda x: -0.25 * x, 0.25, lambda x: x, 1.0),
    ELU(): (lambda x: 0.0 * x - 1.0, 0.0, lambda x: x, 1.0),
    GELU(): (lambda x: 0.0 * x, 0.0, lambda x: x, 1.0),
    GELU("tanh"): (lambda x: 0.0 * x, 0.0, lambda x: x, 1.0),
    SiLU(): (lambda x: 0.0 * x, 0.0, lambda x: x, 1.0),
    Softplus(): (lambda x: 0.0 * x, 0.0, lambda x: x, 1.0),
    Mish(): (lambda x: 0.0 * x, 0.0, lambda x: x, 1.0),
    PReLU(): (lambda x: -0.25 * x, 0.25, lambda x: x, 1.0),
    ReLU6(): (lambda x: 0.0 * x, 0.0, lambda x: 0.0 * x + 6.0, 0.0),
    HardSwish(): (lambda x: 0.0 * x, 0.0, lambda x: x, 1.0),
}
# For each: output and derivative at 0.
AT_ZERO = {
    Sigmoid(): (0.5, 0.25),
    Tanh(): (0.0, 1.0),
    ELU(): (0.0, 1.0),
    GELU(): (0.0, 0.5),
    GELU("tanh"): (0.0, 0.5),
    SiLU(): (0.0, 0.5),
    Softplus(): (math.log(2.0), 0.5),
    Mish(): (0.0, 0.6),
    Softsign(): (0.0, 1.0),
    HardSwish(): (0.0, 0.5),
}
SMOOTHED = SoftmaxCrossEntropy(label_smoothing=0.3)

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_size = pytest.mark.parametrize("size", ["1e4", "1e15", "1e30", "largest"])


def number(size: str, dtype: str) -> float:
    """Return the number; "largest" is 1/8 of the largest float, so a few can be added."""
    return float(np.finfo(dtype).max) / 8.0 if size == "largest" else float(size)


def forward_and_backward(
    backend: Backend, layer: Layer, x: np.ndarray, dy: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return y and dx; by default, dy is ones."""
    params, _ = layer.init(np.random.default_rng(0), x.shape[1:])
    params = tree.map(lambda leaf: leaf.astype(x.dtype), params)
    with backend.precision(str(x.dtype)):
        params, x, dy = backend.from_numpy((params, x, np.ones_like(x) if dy is None else dy))
        y, cache = layer.forward(backend, params, x)
        dx, _ = layer.backward(backend, params, cache, dy)
        y, dx = backend.to_numpy((y, dx))
    return y, dx


def value_and_gradient(
    backend: Backend, loss: Loss, outputs: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    dtype = str(outputs.dtype)
    targets = loss.prepare_targets(np.asarray(targets), outputs.shape[1:], dtype)
    with backend.precision(dtype):
        value, gradient = backend.to_numpy(loss(backend, *backend.from_numpy((outputs, targets))))
    return value, gradient


@each_dtype
@pytest.mark.parametrize("layer", FAR, ids=str)
def test_far_from_zero_an_activation_is_its_limit(backend, layer, dtype):
    x = np.array([[750.0, 1e4, 1e10, 1e15, 1e19, 1e30, number("largest", dtype)]], dtype)
    left_output, left_slope, right_output, right_slope = FAR[layer]
    y, dx = forward_and_backward(backend, layer, np.concatenate([-x, x]))
    smallest = 1000.0 * np.finfo(dtype).tiny
    limits = np.concatenate([left_output(x), right_output(x)])
    np.testing.assert_allclose(y, limits, rtol=0.0, atol=smallest)
    np.testing.assert_allclose(
        dx, np.repeat([[left_slope], [right_slope]], x.size, axis=1), atol=smallest
    )


@each_dtype
@pytest.mark.parametrize("layer", AT_ZERO, ids=str)
def test_at_the_smallest_numbers_an_activation_is_as_at_zero(backend, layer, dtype):
    limits = np.finfo(dtype)
    smallest = [limits.smallest_subnormal, limits.tiny / 2.0, limits.tiny, 2.0 * limits.tiny]
    x = np.array([[*smallest, 1e-35, 1e-30, 0.0]], dtype)
    y, dx = forward_and_backward(backend, layer, np.concatenate([-x, x]))
    output, slope = AT_ZERO[layer]
    np.testing.assert_allclose(y, output, rtol=1e-6, atol=1e-29)
    np.testing.assert_allclose(dx, slope, rtol=1e-6)


@pytest.mark.parametrize("layer", [*FAR, ELU(0.5), Softmax(), Softsign()], ids=str)
def test_float32_is_close_to_float64_where_exponentials_end(backend, layer):
    grid = np.concatenate([np.linspace(-120.0, 120.0, 4801), [-88.8, 88.8, -103.98, 103.98]])
    x = grid.astype(np.float32).reshape(-1, 1)
    got = forward_and_backward(backend, layer, x)
    expected = forward_and_backward(get_backend("numpy"), layer, x.astype(np.float64))
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@each_dtype
@each_size
def test_softmax_of_equal_inputs_is_uniform(backend, size, dtype):
    c = number(size, dtype)
    dy = np.array([[1.0, 0.0, 0.0]] * 2, dtype)
    y, dx = forward_and_backward(backend, Softmax(), np.array([[c] * 3, [-c] * 3], dtype), dy)
    np.testing.assert_allclose(y, 1.0 / 3.0, rtol=1e-6)
    np.testing.assert_allclose(dx, [[2.0 / 9.0, -1.0 / 9.0, -1.0 / 9.0]] * 2, rtol=1e-6)


@each_dtype
@each_size
def test_softmax_of_inputs_far_apart_is_one_hot(backend, size, dtype):
    c = number(size, dtype)
    y, dx = forward_and_backward(backend, Softmax(), np.array([[-c, c, 0.0], [c, 0.0, -c]], dtype))
    np.testing.assert_array_equal(y, [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(dx, np.zeros((2, 3)))


@each_dtype
@pytest.mark.parametrize("size", [1e-3, 1e4, 1e15])
def test_layer_norm_does_not_depend_on_the_scale(backend, size, dtype):
    x = np.array([[-size, 0.0, size]] * 2, dtype)
    y, dx = forward_and_backward(backend, LayerNorm(1e-30), x, np.array([[1.0, 0.0, 0.0]] * 2, dtype))
    np.testing.assert_allclose(y, [[-math.sqrt(1.5), 0.0, math.sqrt(1.5)]] * 2, rtol=1e-6)
    slope = math.sqrt(1.5) / size / 6.0
    np.testing.assert_allclose(dx, [[slope, -2.0 * slope, slope]] * 2, rtol=1e-5)


@each_dtype
def test_layer_norm_takes_the_smallest_numbers(backend, dtype):
    x = np.array([[0.0, 0.0, 0.0], [-1.0, 0.0, 1.0]], dtype) * np.finfo(dtype).smallest_subnormal
    y, dx = forward_and_backward(backend, LayerNorm(), x, np.array([[1.0, 0.0, 0.0]] * 2, dtype))
    np.testing.assert_allclose(y, 0.0, atol=1e-30)
    np.testing.assert_allclose(dx * math.sqrt(1e-5), [[2 / 3, -1 / 3, -1 / 3]] * 2, rtol=1e-5)


@each_dtype
@each_size
@pytest.mark.parametrize(
    ("loss", "offset"), [(MeanAbsoluteError(), 0.0), (Huber(), 0.5)], ids=["absolute", "Huber"]
)
def test_linear_losses_of_large_errors(backend, loss, offset, size, dtype):
    c = number(size, dtype)
    outputs = np.array([[c, -c], [0.0, c]], dtype)
    value, gradient = value_and_gradient(backend, loss, outputs, np.zeros((2, 2)))
    np.testing.assert_allclose(value, 0.75 * (c - offset), rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[0.25, -0.25], [0.0, 0.25]])


@each_dtype
@pytest.mark.parametrize("size", [1e4, 1e15])  # squares of numbers above 1.8e19 overflow float32
@pytest.mark.parametrize(
    ("loss", "scale"), [(MeanSquaredError(), 1.0), (HalfSquaredError(), 2.0)], ids=["mean", "half"]
)
def test_squared_losses_of_large_errors(backend, loss, scale, size, dtype):
    outputs = np.array([[size, -size], [0.0, size]], dtype)
    value, gradient = value_and_gradient(backend, loss, outputs, np.zeros((2, 2)))
    np.testing.assert_allclose(value, scale * 0.75 * size**2, rtol=1e-6)
    np.testing.assert_allclose(gradient, scale * outputs / 2.0, rtol=1e-6)


@each_dtype
@each_size
@pytest.mark.parametrize(
    ("targets", "share", "errors"),
    [([1.0, 0.0], 0.0, [0.0, 0.0]), ([0.0, 1.0], 1.0, [1.0, -1.0]), ([0.5, 0.5], 0.5, [0.5, -0.5])],
    ids=["right", "wrong", "half"],
)
def test_binary_cross_entropy_of_large_logits(backend, targets, share, errors, size, dtype):
    c = number(size, dtype)
    outputs = np.array([[c, -c]] * 2, dtype)
    value, gradient = value_and_gradient(backend, BinaryCrossEntropy(), outputs, np.array([targets] * 2))
    np.testing.assert_allclose(value, share * c, rtol=1e-6)
    smallest = np.finfo(dtype).tiny
    np.testing.assert_allclose(gradient, np.array([errors] * 2) / 4.0, rtol=0.0, atol=smallest)


@each_dtype
@each_size
@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), SMOOTHED], ids=str)
def test_softmax_cross_entropy_of_equal_logits(backend, loss, size, dtype):
    c = number(size, dtype)
    q = np.eye(3)[[2]] * (1.0 - loss.label_smoothing) + loss.label_smoothing / 3.0
    for logit in (c, -c):
        value, gradient = value_and_gradient(backend, loss, np.full((1, 3), logit, dtype), [2])
        np.testing.assert_allclose(value, math.log(3.0), rtol=1e-6)
        np.testing.assert_allclose(gradient, 1.0 / 3.0 - q, rtol=1e-6)


@each_dtype
@each_size
@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), SMOOTHED], ids=str)
@pytest.mark.parametrize("one_hot", [False, True], ids=["classes", "one-hot"])
def test_softmax_cross_entropy_of_logits_far_apart(backend, loss, one_hot, label, size, dtype):
    c = number(size, dtype)
    q = np.eye(3)[[label]] * (1.0 - loss.label_smoothing) + loss.label_smoothing / 3.0
    targets = np.eye(3)[[label]] if one_hot else np.array([label])
    value, gradient = value_and_gradient(backend, loss, np.array([[c, 0.0, -c]], dtype), targets)
    np.testing.assert_allclose(value, c * (q[0, 1] + 2.0 * q[0, 2]), rtol=1e-6)
    np.testing.assert_allclose(gradient, np.array([[1.0, 0.0, 0.0]]) - q, rtol=1e-6, atol=1e-7)


# MeanAbsoluteError is left out: its derivative jumps at 0, and libraries may round these numbers to 0.
@each_dtype
@pytest.mark.parametrize(
    "loss", [MeanSquaredError(), HalfSquaredError(), Huber(), BinaryCrossEntropy(), SMOOTHED], ids=str
)
def test_at_the_smallest_numbers_a_loss_is_as_at_zero(backend, loss, dtype):
    targets = np.array([[0.0, 0.0, 1.0]])
    zeros = np.zeros((1, 3), dtype)
    smallest = np.array([[1.0, 0.0, -1.0]], dtype) * np.finfo(dtype).smallest_subnormal
    value, gradient = value_and_gradient(backend, loss, smallest, targets)
    value_at_zero, gradient_at_zero = value_and_gradient(backend, loss, zeros, targets)
    np.testing.assert_allclose(value, value_at_zero, rtol=1e-6)
    np.testing.assert_allclose(gradient, gradient_at_zero, rtol=1e-6, atol=1e-30)
