"""A weight for each entry of an output, for every loss of entries."""

import numpy as np
import pytest

from backends import get_backend
from multinn import (
    CTC,
    BinaryCrossEntropy,
    CosineSimilarity,
    Focal,
    HalfSquaredError,
    KLDivergence,
    Loss,
    MeanSquaredError,
    MultiClassHinge,
    SoftmaxCrossEntropy,
)
from multinn.losses import LossOfEntries
from tests.losses.test_losses import ELEMENTWISE, NEEDS_0_OR_1
from tests.support.loss_calls import call

RNG = np.random.default_rng(0)
WEIGHTS = np.array([[0.5, 2.0], [0.0, 1.0], [0.0, 0.0]])
IGNORING = SoftmaxCrossEntropy(ignored_class=-1)
OF_VECTORS: list[LossOfEntries] = [
    SoftmaxCrossEntropy(0.1),
    KLDivergence(),
    Focal(1.5),
    MultiClassHinge(),
    CosineSimilarity(),
]
of_vectors = pytest.mark.parametrize("loss", OF_VECTORS, ids=str)


def vectors(loss: Loss) -> tuple[np.ndarray, np.ndarray]:
    """Draw outputs (3, 2, 3), and targets."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, (3, 2))
    if isinstance(loss, KLDivergence | CosineSimilarity):
        targets = rng.dirichlet(np.ones(3), (3, 2))
    return rng.normal(size=(3, 2, 3)), loss.prepare_targets(targets, (2, 3), "float64")


@pytest.mark.parametrize("loss", ELEMENTWISE, ids=str)
def test_the_loss_is_the_weighted_mean_of_the_formula(loss):
    outputs, targets = RNG.normal(size=(3, 2)), RNG.uniform(size=(3, 2))
    targets = np.round(targets) if isinstance(loss, NEEDS_0_OR_1) else targets
    expected = np.average(ELEMENTWISE[loss](outputs, targets), weights=WEIGHTS)
    prepared = loss.prepare_targets(targets, (2,), "float64")
    value, _ = call(get_backend("numpy"), loss, outputs, prepared, WEIGHTS)
    np.testing.assert_allclose(value, expected, rtol=1e-13)


def test_a_sum_is_weighted(backend):
    outputs, targets = RNG.normal(size=(2, 3, 2))
    value, gradient = call(backend, HalfSquaredError(), outputs, targets, WEIGHTS)
    np.testing.assert_allclose(value, np.sum(WEIGHTS * (outputs - targets) ** 2) / 2.0, rtol=1e-13)
    np.testing.assert_allclose(gradient, WEIGHTS * (outputs - targets), rtol=1e-13)


@of_vectors
def test_positions_with_weights_count_as_examples_with_weights(backend, loss):
    outputs, targets = vectors(loss)
    value, gradient = call(backend, loss, outputs, targets, WEIGHTS)
    flat = outputs.reshape(6, 3), targets.reshape(6, *targets.shape[2:]), WEIGHTS.reshape(6)
    expected, of_flat = call(backend, loss, *flat)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(gradient.reshape(6, 3), of_flat, rtol=1e-12, atol=1e-16)


@of_vectors
def test_equal_weights_in_each_example_are_weights_of_examples(loss):
    backend, (outputs, targets) = get_backend("numpy"), vectors(loss)
    weights = np.array([0.5, 0.0, 3.0])
    of_entries = call(backend, loss, outputs, targets, np.repeat(weights[:, None], 2, axis=1))
    of_examples = call(backend, loss, outputs, targets, weights)
    for one, other in zip(of_entries, of_examples, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def test_weights_of_the_first_axes_are_those_of_all_entries_there(backend):
    outputs, targets = RNG.normal(size=(2, 3, 2, 2))
    of_steps = call(backend, MeanSquaredError(), outputs, targets, WEIGHTS)
    repeated = np.repeat(WEIGHTS[..., None], 2, axis=2)
    of_entries = call(backend, MeanSquaredError(), outputs, targets, repeated)
    for one, other in zip(of_steps, of_entries, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def test_with_an_ignored_class_the_mean_is_over_the_positions_that_count(backend):
    """Of the first example, only the second position counts; of the second, none; of the third, both."""
    outputs = RNG.normal(size=(3, 2, 3))
    targets = np.array([[-1, 0], [-1, -1], [2, 1]], np.int32)
    weights = np.array([[1.0, 2.0], [1.0, 1.0], [0.5, 0.0]])
    log_p = outputs - np.log(np.exp(outputs).sum(axis=-1, keepdims=True))
    total = 1.5 + 1.0 + 0.25
    expected = -(2.0 * log_p[0, 1, 0] + 0.5 * log_p[2, 0, 2] / 2.0) / total
    value, gradient = call(backend, IGNORING, outputs, targets, weights)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_array_equal(gradient.any(axis=2), [[False, True], [False, False], [True, False]])


@pytest.mark.parametrize("loss", [MeanSquaredError(), BinaryCrossEntropy(), *OF_VECTORS], ids=str)
def test_an_entry_of_weight_0_is_selected_away(loss):
    """0 · ∞ would be NaN, in the value and in the gradient."""
    backend, (outputs, targets) = get_backend("numpy"), vectors(loss if loss in OF_VECTORS else IGNORING)
    if loss not in OF_VECTORS:
        targets = np.ones_like(outputs)
    expected = call(backend, loss, outputs, targets, WEIGHTS)
    for wrong in (np.inf, -np.inf, np.nan):
        outputs[WEIGHTS == 0] = wrong
        found = call(backend, loss, outputs, targets, WEIGHTS)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


def test_weights_that_are_all_zero_give_zero():
    outputs, targets = vectors(IGNORING)
    value, gradient = call(get_backend("numpy"), IGNORING, outputs, targets, np.zeros((3, 2)))
    assert value == 0.0
    assert not gradient.any()


class OwnLoss(Loss):
    """A loss that knows only examples."""

    def per_example(self, backend, outputs, targets):
        return MeanSquaredError().per_example(backend, outputs, targets)


@pytest.mark.parametrize(
    ("loss", "weights", "message"),
    [
        (
            OwnLoss(),
            (3, 2),
            r"OwnLoss: expected weights of shape \(batch,\), .* got \(3, 2\); .*LossOfEnt",
        ),
        (MeanSquaredError(), (3, 3), r"weights: .* first axes of \(3, 2\), got \(3, 3\)"),
    ],
)
def test_weights_of_another_shape_are_refused(loss, weights, message):
    outputs, targets = RNG.normal(size=(2, 3, 2))
    with pytest.raises(ValueError, match=message):
        loss(get_backend("numpy"), outputs, targets, np.ones(weights))


def test_a_loss_of_examples_takes_weights_of_examples(backend):
    outputs, targets = RNG.normal(size=(2, 3, 2))
    own, theirs = (
        call(backend, loss, outputs, targets, WEIGHTS[:, 0]) for loss in (OwnLoss(), MeanSquaredError())
    )
    for one, other in zip(own, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("loss", "output_shape", "weights"),
    [
        (MeanSquaredError(), (2, 4), (3,)),
        (MeanSquaredError(), (2, 4), (3, 2)),
        (MeanSquaredError(), (2, 4), (3, 2, 4)),
        (SoftmaxCrossEntropy(), (2, 4), (3, 2)),
        (CTC(), (2, 4), (3,)),
        (MeanSquaredError(), (), (3,)),
    ],
)
def test_weights_are_converted_on_the_host(loss, output_shape, weights):
    prepared = loss.prepare_weights(np.ones(weights, np.int64), 3, output_shape, "float32")
    np.testing.assert_array_equal(prepared, np.ones(weights, np.float32), strict=True)


OF_NUMBERS, OF_CLASSES = MeanSquaredError(), SoftmaxCrossEntropy()


@pytest.mark.parametrize(
    ("loss", "weights", "message"),
    [
        (OF_NUMBERS, np.ones((3, 4)), r"shape \(3,\) or \(3, 2\) or \(3, 2, 4\), got \(3, 4\)"),
        (OF_CLASSES, np.ones((3, 2, 4)), r"shape \(3,\) or \(3, 2\), got \(3, 2, 4\)"),
        (CTC(), np.ones((3, 2)), r"shape \(3,\), got \(3, 2\)"),
        (OwnLoss(), np.ones((3, 2)), r"shape \(3,\), got \(3, 2\)"),
        (OF_NUMBERS, [[1, 1], [1, -2], [1, 1]], "0 or more, got -2 at row 1, column 1"),
        (OF_NUMBERS, [[1, 1], [np.nan, 2], [1, 1]], "finite numbers, got nan at row 1, column 0"),
        (OF_NUMBERS, np.zeros((3, 2)), "at least one above 0"),
        (OF_NUMBERS, np.ones((2, 2)), "3 rows"),
    ],
)
def test_impossible_weights_are_named(loss, weights, message):
    with pytest.raises(ValueError, match=f"w: expected {message}"):
        loss.prepare_weights(weights, 3, (2, 4), "float32", name="w")


def test_the_weights_of_a_batch_may_all_be_zero():
    prepared = MeanSquaredError().prepare_weights(np.zeros((3, 2)), 3, (2,), "float32", all_zero=True)
    assert prepared.shape == (3, 2)
