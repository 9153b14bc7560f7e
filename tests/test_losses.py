"""Losses: their values against plain formulas, example weights, and the checks of targets."""

import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from backends import Backend, get_backend
from multinn import (
    BinaryCrossEntropy,
    HalfSquaredError,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)

Formula = Callable[[np.ndarray, np.ndarray], np.ndarray]


def huber(delta: float) -> Formula:
    def formula(e: np.ndarray) -> np.ndarray:
        return np.where(np.abs(e) <= delta, e * e / 2.0, delta * (np.abs(e) - delta / 2.0))

    return lambda y, t: formula(y - t)


def binary_cross_entropy(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    p = 1.0 / (1.0 + np.exp(-z))
    return -(t * np.log(p) + (1.0 - t) * np.log(1.0 - p))


# The loss of one output; that of an example is the mean over its outputs.
ELEMENTWISE: dict[Loss, Formula] = {
    MeanSquaredError(): lambda y, t: (y - t) ** 2,
    MeanAbsoluteError(): lambda y, t: np.abs(y - t),
    Huber(): huber(1.0),
    Huber(0.3): huber(0.3),
    BinaryCrossEntropy(): binary_cross_entropy,
}
SUMS = [HalfSquaredError()]
SOFTMAX = [SoftmaxCrossEntropy(), SoftmaxCrossEntropy(label_smoothing=0.1)]
LOSSES = [*ELEMENTWISE, *SUMS, *SOFTMAX]

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=str)


def examples(loss: Loss, count: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw outputs (count, 3), and targets that the loss takes."""
    rng = np.random.default_rng(seed)
    outputs = rng.normal(0.0, 2.0, (count, 3))
    if loss in SOFTMAX:
        return outputs, rng.integers(0, 3, count).astype(np.int32)
    return outputs, rng.uniform(0.0, 1.0, (count, 3))


def call(
    backend: Backend,
    loss: Loss,
    outputs: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the value and the gradient, compiled, as NumPy arrays."""
    with backend.precision(str(outputs.dtype)):
        arguments = backend.from_numpy((outputs, targets, weights))
        value, gradient = backend.to_numpy(compiled(backend, loss)(*arguments))
    return value, gradient


@cache
def compiled(backend: Backend, loss: Loss) -> Callable[..., Any]:
    """Return the loss as a compiled function, one and the same for all tests."""
    return backend.jit(lambda *arguments: loss(backend, *arguments))


@every_loss
@pytest.mark.parametrize(
    ("weighted", "dtype"), [(False, "float32"), (True, "float32"), (True, "float64")]
)
def test_the_value_has_no_axes_and_the_gradient_those_of_the_outputs(backend, loss, weighted, dtype):
    outputs, targets = examples(loss)
    outputs, targets = outputs.astype(dtype), loss.prepare_targets(targets, (3,), dtype)
    weights = np.ones(8, dtype) if weighted else None
    value, gradient = call(backend, loss, outputs, targets, weights)
    assert (value.shape, gradient.shape) == ((), outputs.shape)
    assert (value.dtype, gradient.dtype) == (dtype, dtype)


@pytest.mark.parametrize("shape", [(1, 1), (4, 1), (4, 3), (4, 2, 3)])
@pytest.mark.parametrize("loss", ELEMENTWISE, ids=str)
def test_the_value_is_the_mean_of_the_formula(backend, loss, shape):
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(0.0, 2.0, shape), rng.uniform(0.0, 1.0, shape)
    expected = ELEMENTWISE[loss](outputs, targets).mean()
    np.testing.assert_allclose(call(backend, loss, outputs, targets)[0], expected, rtol=1e-13)


def test_half_the_squared_error_is_a_sum(backend):
    outputs, targets = examples(HalfSquaredError())
    expected = 0.5 * np.sum((outputs - targets) ** 2)
    np.testing.assert_allclose(call(backend, HalfSquaredError(), outputs, targets)[0], expected)


def test_softmax_cross_entropy_is_scikit_learns(backend):
    outputs, targets = examples(SoftmaxCrossEntropy())
    weights = np.arange(1.0, 9.0)
    p = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    expected = log_loss(targets, p, sample_weight=weights, labels=[0, 1, 2])
    value, _ = call(backend, SoftmaxCrossEntropy(), outputs, targets, weights)
    np.testing.assert_allclose(value, expected, rtol=1e-13)


def test_binary_cross_entropy_is_scikit_learns(backend):
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(0.0, 2.0, (9, 1)), np.array([0.0, 1, 1] * 3)[:, None]
    expected = log_loss(targets.ravel(), 1.0 / (1.0 + np.exp(-outputs)).ravel())
    value, _ = call(backend, BinaryCrossEntropy(), outputs, targets)
    np.testing.assert_allclose(value, expected, rtol=1e-13)


@pytest.mark.parametrize("loss", SOFTMAX, ids=str)
def test_classes_are_one_hot_probabilities(backend, loss):
    outputs, targets = examples(loss)
    classes, _ = call(backend, loss, outputs, targets)
    one_hot, _ = call(backend, loss, outputs, np.eye(3)[targets])
    np.testing.assert_allclose(classes, one_hot, rtol=1e-15)


def test_label_smoothing_mixes_in_the_uniform_distribution(backend):
    outputs, targets = examples(SoftmaxCrossEntropy())
    mixed = 0.7 * np.eye(3)[targets] + 0.3 / 3.0
    smoothed, _ = call(backend, SoftmaxCrossEntropy(label_smoothing=0.3), outputs, targets)
    np.testing.assert_allclose(
        smoothed, call(backend, SoftmaxCrossEntropy(), outputs, mixed)[0], rtol=1e-14
    )


def test_softmax_cross_entropy_of_many_distributions_is_their_mean(backend):
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(2, 4, 3))
    targets = rng.integers(0, 3, (2, 4)).astype(np.int32)
    flat = call(backend, SoftmaxCrossEntropy(), outputs.reshape(8, 3), targets.reshape(8))
    value, gradient = call(backend, SoftmaxCrossEntropy(), outputs, targets)
    np.testing.assert_allclose(value, flat[0], rtol=1e-14)
    np.testing.assert_allclose(gradient.reshape(8, 3), flat[1], rtol=1e-13)


@every_loss
def test_equal_weights_are_no_weights(backend, loss):
    outputs, targets = examples(loss)
    weights = np.ones(8) if loss in SUMS else np.full(8, 0.3)
    plain, weighted = (call(backend, loss, outputs, targets, w) for w in (None, weights))
    np.testing.assert_allclose(weighted[0], plain[0], rtol=1e-14)
    np.testing.assert_allclose(weighted[1], plain[1], rtol=1e-14)


@every_loss
@settings(max_examples=10)
@given(counts=st.lists(st.integers(0, 3), min_size=5, max_size=5).filter(any))
def test_a_weight_of_n_counts_as_n_examples(loss, counts):
    """And so a weight of 0 leaves an example out."""
    backend = get_backend("numpy")
    outputs, targets = examples(loss, 5)
    repeated, _ = call(backend, loss, np.repeat(outputs, counts, 0), np.repeat(targets, counts, 0))
    weighted, gradient = call(backend, loss, outputs, targets, np.array(counts, float))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-13)
    assert not gradient[np.array(counts) == 0].any()


@every_loss
def test_a_weight_of_2_counts_twice_on_each_backend(backend, loss):
    outputs, targets = examples(loss)
    counts = [2, 0, 1, 2, 0, 1, 1, 1]
    repeated, _ = call(backend, loss, np.repeat(outputs, counts, 0), np.repeat(targets, counts, 0))
    weighted, _ = call(backend, loss, outputs, targets, np.array(counts, float))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-13)


@every_loss
def test_weights_that_are_all_zero_give_zero(backend, loss):
    value, gradient = call(backend, loss, *examples(loss), np.zeros(8))
    assert value == 0.0
    assert not gradient.any()


@every_loss
def test_value_is_the_first_of_what_a_call_returns(loss):
    backend, (outputs, targets) = get_backend("numpy"), examples(loss)
    assert loss.value(backend, outputs, targets) == call(backend, loss, outputs, targets)[0]


@pytest.mark.parametrize("size", [100.0, 1e4, 1e30])
def test_confident_logits_do_not_overflow(backend, size):
    z = np.array([[size], [-size], [size], [-size]], np.float32)
    t = np.array([[1], [0], [0], [1]], np.float32)
    for right, expected in [(slice(0, 2), 0.0), (slice(2, 4), size)]:
        value, gradient = call(backend, BinaryCrossEntropy(), z[right], t[right])
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-30)
        assert np.isfinite(gradient).all()
        outputs = np.concatenate([z[right], 0.0 * z[right]], axis=1)
        classes = (1.0 - t[right, 0]).astype(np.int32)
        value, gradient = call(backend, SoftmaxCrossEntropy(), outputs, classes)
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-30)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Huber(0.0), "Huber: expected a positive, finite delta, got 0.0"),
        (lambda: Huber(math.inf), "Huber"),
        (lambda: Huber(math.nan), "Huber"),
        (
            lambda: SoftmaxCrossEntropy(1.0),
            r"SoftmaxCrossEntropy: .*label_smoothing in \[0, 1\), got 1.0",
        ),
        (lambda: SoftmaxCrossEntropy(-0.1), "SoftmaxCrossEntropy"),
    ],
)
def test_wrong_hyperparameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("loss", [*ELEMENTWISE, *SUMS], ids=str)
@pytest.mark.parametrize(
    ("targets", "outputs"),
    [((4,), (1,)), ((4, 1, 1), (1,)), ((4, 2), (1,)), ((4, 1), (2,)), ((4, 2), (2, 2))],
)
def test_targets_that_would_broadcast_in_silence_are_refused(loss, targets, outputs):
    with pytest.raises(
        ValueError, match=rf"{type(loss).__name__}: expected targets of shape \('examples'"
    ):
        loss.prepare_targets(np.zeros(targets), outputs, "float32")


@pytest.mark.parametrize("targets", [(4, 1), (4, 2), (4, 1, 3)])
def test_classes_of_a_wrong_shape_are_refused(targets):
    with pytest.raises(
        ValueError, match=r"shape \('examples',\), integer classes, or \('examples', 3\)"
    ):
        SoftmaxCrossEntropy().prepare_targets(np.zeros(targets), (3,), "float32")


@pytest.mark.parametrize(
    "targets", [np.array([0, 1]), np.array([False, True]), np.array([0, 1], np.uint8)], ids=str
)
@pytest.mark.parametrize("loss", [*ELEMENTWISE, *SUMS], ids=str)
def test_targets_become_floats_of_the_dtype(loss, targets):
    prepared = loss.prepare_targets(targets[:, None], (1,), "float64")
    np.testing.assert_array_equal(prepared, np.array([[0.0], [1.0]]), strict=True)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_classes_become_int32(dtype):
    prepared = SoftmaxCrossEntropy().prepare_targets(np.array([0, 1, 1], dtype), (2,), "float32")
    np.testing.assert_array_equal(prepared, np.array([0, 1, 1], np.int32), strict=True)


@pytest.mark.parametrize("wrong", [-1, 3, 255, 1.5, 1e300])
def test_a_class_out_of_range_is_named_with_its_row(wrong):
    with pytest.raises(ValueError, match=re.escape(f"got {wrong} at row 2")):
        SoftmaxCrossEntropy().prepare_targets(np.array([0, 1, wrong, 2]), (3,), "float32")


@pytest.mark.parametrize("wrong", [[0.5, 0.4, 0.0], [1.5, -0.5, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
def test_probabilities_that_are_none_are_named_with_their_row(wrong):
    targets = np.array([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5], wrong])
    with pytest.raises(ValueError, match=r"sum to 1, got .* at row 2"):
        SoftmaxCrossEntropy().prepare_targets(targets, (3,), "float32")


@pytest.mark.parametrize("wrong", [-0.1, 1.1, 2.0])
def test_a_binary_target_out_of_range_is_named_with_its_row(wrong):
    targets = np.array([[0.0, 1.0], [0.5, wrong]])
    with pytest.raises(ValueError, match=rf"targets in \[0, 1\], got {wrong} at row 1, column 1"):
        BinaryCrossEntropy().prepare_targets(targets, (2,), "float64")


def test_a_small_binary_cross_entropy_keeps_its_digits(backend):
    logits = np.array([[5.0], [10.0], [20.0], [60.0]], np.float32)
    loss = BinaryCrossEntropy()
    for one, target in ((logits, 1.0), (-logits, 0.0)):
        outputs, targets = backend.from_numpy((one, np.full_like(one, target)))
        values, _ = loss.per_example(backend, outputs, targets)
        expected = np.log1p(np.exp(-logits[:, 0].astype(np.float64)))
        np.testing.assert_allclose(backend.to_numpy(values), expected, rtol=1e-6)
