"""Losses of single numbers against plain formulas; weights and shapes of all losses."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln

from backends import get_backend
from multinn import (
    BinaryCrossEntropy,
    BinaryFocal,
    CosineSimilarity,
    Focal,
    HalfSquaredError,
    Hinge,
    Huber,
    KLDivergence,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    MultiClassHinge,
    Poisson,
    SoftmaxCrossEntropy,
)
from tests.support.loss_calls import call

Formula = Callable[[np.ndarray, np.ndarray], np.ndarray]


def huber(delta: float) -> Formula:
    def formula(e: np.ndarray) -> np.ndarray:
        return np.where(np.abs(e) <= delta, e * e / 2.0, delta * (np.abs(e) - delta / 2.0))

    return lambda y, t: formula(y - t)


def binary_cross_entropy(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    p = 1.0 / (1.0 + np.exp(-z))
    return -(t * np.log(p) + (1.0 - t) * np.log(1.0 - p))


def binary_focal(z: np.ndarray, t: np.ndarray) -> np.ndarray:
    """With t of 0 and 1: 1.5 is gamma, 0.3 is alpha."""
    q = 1.0 / (1.0 + np.exp(-z * (2.0 * t - 1.0)))
    return -np.where(t == 1.0, 0.3, 0.7) * (1.0 - q) ** 1.5 * np.log(q)


# The loss of one output; that of an example is the mean over its outputs.
ELEMENTWISE: dict[Loss, Formula] = {
    MeanSquaredError(): lambda y, t: (y - t) ** 2,
    MeanAbsoluteError(): lambda y, t: np.abs(y - t),
    Huber(): huber(1.0),
    Huber(0.3): huber(0.3),
    BinaryCrossEntropy(): binary_cross_entropy,
    BinaryFocal(0.0): binary_cross_entropy,
    BinaryFocal(1.5, 0.3): binary_focal,
    Hinge(): lambda z, t: np.maximum(1.0 - (2.0 * t - 1.0) * z, 0.0),
    Hinge(squared=True): lambda z, t: np.maximum(1.0 - (2.0 * t - 1.0) * z, 0.0) ** 2,
    Poisson(): lambda z, t: np.exp(z) - t * z,
    Poisson(full=True): lambda z, t: np.exp(z) - t * z + gammaln(t + 1.0),
}
SUMS = [HalfSquaredError()]
OF_CLASSES = [
    SoftmaxCrossEntropy(),
    SoftmaxCrossEntropy(label_smoothing=0.1),
    SoftmaxCrossEntropy(ignored_class=0),
    Focal(1.5, (0.5, 1.0, 2.0)),
    MultiClassHinge(0.5, squared=True),
]
OF_VECTORS = [KLDivergence(), CosineSimilarity()]
NEEDS_0_OR_1 = (BinaryFocal, Hinge)
FEWER = {BinaryFocal(0.0), Hinge(), Poisson()}  # each has another beside it
LOSSES = [*(loss for loss in ELEMENTWISE if loss not in FEWER), *SUMS, *OF_CLASSES, *OF_VECTORS]

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=str)


def examples(loss: Loss, count: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw outputs (count, 3), and targets that the loss takes."""
    rng = np.random.default_rng(seed)
    outputs = rng.normal(0.0, 2.0, (count, 3))
    if loss in OF_CLASSES:
        targets = rng.integers(0, 3, count)
    elif isinstance(loss, KLDivergence):
        targets = rng.dirichlet(np.ones(3), count)
    elif isinstance(loss, NEEDS_0_OR_1):
        targets = rng.integers(0, 2, (count, 3))
    else:
        targets = rng.uniform(0.0, 1.0, (count, 3))
    return outputs, loss.prepare_targets(targets, (3,), "float64")


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
    if isinstance(loss, NEEDS_0_OR_1):
        targets = np.round(targets)
    expected = ELEMENTWISE[loss](outputs, targets).mean()
    targets = loss.prepare_targets(targets, shape[1:], "float64")
    np.testing.assert_allclose(call(backend, loss, outputs, targets)[0], expected, rtol=1e-13)


def test_half_the_squared_error_is_a_sum(backend):
    outputs, targets = examples(HalfSquaredError())
    expected = 0.5 * np.sum((outputs - targets) ** 2)
    np.testing.assert_allclose(call(backend, HalfSquaredError(), outputs, targets)[0], expected)


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
    """So a weight of 0 leaves an example out."""
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
@pytest.mark.parametrize("weights", [[1, 0, 2, 0, 1, 1, 1, 0], [0] * 8], ids=["some", "all"])
def test_what_has_weight_0_is_selected_away(backend, loss, weights):
    """0 · ∞ would be NaN, in the value and in the gradient."""
    outputs, targets = examples(loss)
    weights = np.array(weights, float)
    expected = call(backend, loss, outputs, targets, weights)
    for wrong in (np.inf, -np.inf, np.nan, 1e300):
        outputs[weights == 0] = wrong
        found = call(backend, loss, outputs, targets, weights)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


@every_loss
def test_value_is_the_first_result_of_a_call(loss):
    backend, (outputs, targets) = get_backend("numpy"), examples(loss)
    assert loss.value(backend, outputs, targets) == call(backend, loss, outputs, targets)[0]
