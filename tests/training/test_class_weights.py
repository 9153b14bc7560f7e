"""Class weights: scikit-learn's formula, and the same run as with weights of examples."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from multinn import BinaryCrossEntropy, Dense, Sequential, SoftmaxCrossEntropy
from multinn.training.examples import with_class_weights
from tests.support.small_runs import CLASSES, PLAIN, WEIGHTS, assert_same_bits, fit, make_trainer

LABELS = np.random.default_rng(0).choice([0, 1, 4], 50, p=[0.7, 0.2, 0.1])


def test_balanced_weights_equal_scikit_learns():
    expected = compute_sample_weight("balanced", LABELS)
    np.testing.assert_allclose(with_class_weights(LABELS, "balanced"), expected)
    each = dict(
        zip(
            [0, 1, 4], compute_class_weight("balanced", classes=np.unique(LABELS), y=LABELS), strict=True
        )
    )
    np.testing.assert_allclose(with_class_weights(LABELS, each), expected)


def test_a_missing_class_has_weight_one_and_weights_multiply():
    for weight in (3, np.float32(3.0), np.array(3.0)):
        product = with_class_weights(np.array([0, 1, 1]), {1: weight}, np.array([1.0, 2.0, 0.5]))
        np.testing.assert_array_equal(product, [1.0, 6.0, 1.5])


def test_a_run_with_class_weights_equals_one_with_weights_of_examples():
    loss = SoftmaxCrossEntropy()
    one = make_trainer(model=PLAIN, loss=loss)
    fit(one, 2, y=CLASSES, class_weights={1: 3.0}, weights=WEIGHTS)
    other = make_trainer(model=PLAIN, loss=loss)
    fit(other, 2, y=CLASSES, weights=np.where(CLASSES == 1, 3.0, 1.0) * WEIGHTS)
    assert_same_bits(one, other)


def test_binary_targets_have_classes():
    y, runs = CLASSES[:, None].astype(float), []
    weights = compute_sample_weight("balanced", CLASSES)
    for keywords in ({"class_weights": "balanced"}, {"weights": weights}):
        trainer = make_trainer(model=Sequential([Dense(1)]), loss=BinaryCrossEntropy())
        runs.append(fit(trainer, 1, y=y, **keywords))
    assert_same_bits(*runs)


@pytest.mark.parametrize(
    ("y", "weights", "error", "message"),
    [
        ([0, 1], {2: 1.0}, ValueError, "no example has the class 2, y has 0, 1"),
        ([0, 1], {1: -1.0}, ValueError, "0 or more, got -1.0 for class 1"),
        ([0, 1], {0: "a"}, TypeError, "the weight of class 0: a number, got 'a'"),
        ([0, 1], {0: np.ones(2)}, TypeError, "the weight of class 0: a number, got array"),
        ([0, 1], "balance", TypeError, "a dict of weights by class"),
        ([0, 1], [1.0, 2.0], TypeError, "a dict of weights by class"),
        ([[0, 1], [1, 0]], "balanced", ValueError, r"one class each, got \(2, 2\)"),
    ],
)
def test_invalid_class_weights_are_refused(y, weights, error, message):
    with pytest.raises(error, match=f"class_weights: .*{message}"):
        with_class_weights(np.array(y), weights)
