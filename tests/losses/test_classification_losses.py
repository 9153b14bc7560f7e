"""Losses of classes: cross-entropies, focal losses, divergences and hinges, against plain formulas."""

import numpy as np
import pytest
from sklearn.metrics import hinge_loss, log_loss

from backends import get_backend
from multinn import (
    BinaryCrossEntropy,
    BinaryFocal,
    Focal,
    Hinge,
    KLDivergence,
    MultiClassHinge,
    SoftmaxCrossEntropy,
)
from tests.support.loss_calls import call, per_example

SOFTMAX = [SoftmaxCrossEntropy(), SoftmaxCrossEntropy(label_smoothing=0.1)]
IGNORING = SoftmaxCrossEntropy(ignored_class=-1)


def examples(count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits (count, 3) and classes."""
    rng = np.random.default_rng(0)
    return rng.normal(0.0, 2.0, (count, 3)), rng.integers(0, 3, count).astype(np.int32)


def softmax(z: np.ndarray) -> np.ndarray:
    p = np.exp(z)
    p /= p.sum(axis=-1, keepdims=True)
    return p


def test_softmax_cross_entropy_equals_scikit_learn(backend):
    outputs, targets = examples()
    weights = np.arange(1.0, 9.0)
    expected = log_loss(targets, softmax(outputs), sample_weight=weights, labels=[0, 1, 2])
    value, _ = call(backend, SoftmaxCrossEntropy(), outputs, targets, weights)
    np.testing.assert_allclose(value, expected, rtol=1e-13)


def test_binary_cross_entropy_equals_scikit_learn(backend):
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(0.0, 2.0, (9, 1)), np.array([0.0, 1, 1] * 3)[:, None]
    expected = log_loss(targets.ravel(), 1.0 / (1.0 + np.exp(-outputs)).ravel())
    value, _ = call(backend, BinaryCrossEntropy(), outputs, targets)
    np.testing.assert_allclose(value, expected, rtol=1e-13)


@pytest.mark.parametrize("loss", SOFTMAX, ids=str)
def test_classes_are_one_hot_probabilities(backend, loss):
    outputs, targets = examples()
    classes, _ = call(backend, loss, outputs, targets)
    one_hot, _ = call(backend, loss, outputs, np.eye(3)[targets])
    np.testing.assert_allclose(classes, one_hot, rtol=1e-15)


def test_label_smoothing_mixes_in_the_uniform_distribution(backend):
    outputs, targets = examples()
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


def test_a_small_binary_cross_entropy_keeps_its_digits(backend):
    logits = np.array([[5.0], [10.0], [20.0], [60.0]], np.float32)
    loss = BinaryCrossEntropy()
    for one, target in ((logits, 1.0), (-logits, 0.0)):
        outputs, targets = backend.from_numpy((one, np.full_like(one, target)))
        values, _ = loss.per_example(backend, outputs, targets)
        expected = np.log1p(np.exp(-logits[:, 0].astype(np.float64)))
        np.testing.assert_allclose(backend.to_numpy(values), expected, rtol=1e-6)


@pytest.mark.parametrize("loss", [IGNORING, SoftmaxCrossEntropy(0.2, ignored_class=-1)], ids=str)
def test_an_example_is_the_mean_over_the_positions_that_are_not_ignored(backend, loss):
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(size=(3, 4, 5)), rng.integers(0, 5, (3, 4))
    targets[0, [1, 3]], targets[1, 0], targets[2] = -1, -1, -1
    values, gradient = per_example(backend, loss, outputs, targets)
    plain = SoftmaxCrossEntropy(loss.label_smoothing)
    for n in range(2):
        kept = targets[n] != -1
        value, part = per_example(backend, plain, outputs[n : n + 1, kept], targets[n : n + 1, kept])
        np.testing.assert_allclose(values[n], value[0], rtol=1e-14)
        np.testing.assert_allclose(gradient[n, kept], part[0], rtol=1e-14)
        assert not gradient[n, ~kept].any()
    assert values[2] == 0.0
    assert not gradient[2].any()


def test_where_nothing_is_ignored_the_loss_is_as_without(backend):
    outputs, targets = examples()
    for one, other in zip(
        per_example(backend, IGNORING, outputs, targets),
        per_example(backend, SoftmaxCrossEntropy(), outputs, targets),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_the_ignored_class_may_be_a_class(backend):
    outputs, targets = examples()
    values, gradient = per_example(backend, SoftmaxCrossEntropy(ignored_class=1), outputs, targets)
    assert not values[targets == 1].any()
    assert not gradient[targets == 1].any()
    assert (values[targets != 1] > 0.0).all()


def test_a_divergence_is_zero_where_the_distributions_are_the_same(backend):
    outputs, _ = examples()
    values, gradient = per_example(backend, KLDivergence(), outputs, softmax(outputs))
    np.testing.assert_allclose(values, 0.0, atol=1e-15)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-15)


def test_a_divergence_is_the_cross_entropy_less_the_entropy(backend):
    outputs, _ = examples()
    t = np.random.default_rng(1).dirichlet(np.ones(3), 8)
    cross_entropies, gradient = per_example(backend, SoftmaxCrossEntropy(), outputs, t)
    values, own_gradient = per_example(backend, KLDivergence(), outputs, t)
    np.testing.assert_allclose(values, cross_entropies + np.sum(t * np.log(t), axis=1), rtol=1e-12)
    np.testing.assert_array_equal(own_gradient, gradient)


def test_in_a_divergence_0_log_0_is_0(backend):
    outputs, classes = examples()
    values, _ = per_example(backend, KLDivergence(), outputs, np.eye(3)[classes])
    expected, _ = per_example(backend, SoftmaxCrossEntropy(), outputs, classes)
    np.testing.assert_allclose(values, expected, rtol=1e-14)


@pytest.mark.parametrize("alpha", [None, 0.25, (0.5, 1.0, 2.0)])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_focal_loss_is_its_formula(gamma, alpha):
    backend = get_backend("numpy")
    outputs, classes = examples()
    q = softmax(outputs)[np.arange(8), classes]
    weights = 1.0 if alpha is None else np.broadcast_to(alpha, 3)[classes]
    values, _ = per_example(backend, Focal(gamma, alpha), outputs, classes)
    np.testing.assert_allclose(values, -weights * (1.0 - q) ** gamma * np.log(q), rtol=1e-13)


def test_a_focal_loss_with_gamma_0_is_the_cross_entropy(backend):
    outputs, classes = examples()
    for one, other in zip(
        per_example(backend, Focal(0.0), outputs, classes),
        per_example(backend, SoftmaxCrossEntropy(), outputs, classes),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_a_focal_loss_of_two_classes_is_the_binary_one(backend, gamma):
    """Also where q is close to 0 or 1: the binary loss subtracts no close numbers."""
    z = np.array([-50.0, -20.0, -1.0, 0.0, 1.0, 20.0, 50.0])
    zeros = np.zeros(7, np.int32)
    values, gradient = per_example(backend, Focal(gamma), np.stack((z, 0.0 * z), axis=1), zeros)
    binary = per_example(backend, BinaryFocal(gamma), z[:, None], zeros[:, None] + 1)
    np.testing.assert_allclose(values, binary[0], rtol=1e-12)
    np.testing.assert_allclose(gradient[:, :1], binary[1], rtol=1e-12)


@pytest.mark.parametrize("loss", [Focal(), Focal(0.5)], ids=str)
def test_a_small_focal_loss_keeps_its_digits(backend, loss):
    z = np.array([[5.0, 0.0, -1.0], [10.0, 0.0, 1.0], [20.0, 0.0, -1.0]], np.float32)
    classes = np.zeros(3, np.int32)
    exact = per_example(get_backend("numpy"), loss, z.astype(np.float64), classes)
    for one, other in zip(per_example(backend, loss, z, classes), exact, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_a_hinge_equals_scikit_learn(backend):
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(size=(9, 1)), np.array([[0], [1], [1]] * 3)
    value, _ = call(backend, Hinge(), scores, Hinge().prepare_targets(targets, (1,), "float64"))
    np.testing.assert_allclose(value, hinge_loss(targets[:, 0], scores[:, 0]), rtol=1e-14)


def test_where_a_margin_is_met_exactly_the_slope_is_0(backend):
    outputs = np.array([[1.0], [-1.0]])
    for squared in (False, True):
        values, gradient = per_example(backend, Hinge(squared=squared), outputs, np.array([[1], [0]]))
        assert not values.any()
        assert not gradient.any()
        loss = MultiClassHinge(squared=squared)
        values, gradient = per_example(backend, loss, np.array([[1.0, 0.0]]), np.array([0]))
        assert not values.any()
        assert not gradient.any()
