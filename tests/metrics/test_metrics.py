"""Accuracy and top-k accuracy: weights, shapes, and inputs without a meaning."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from backends import Backend
from multinn import Accuracy, TopK, accuracy, binary_accuracy
from multinn.metrics import Metric

OUTPUTS = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
CLASSES = np.random.default_rng(1).integers(0, 4, 50).astype(np.int32)
WEIGHTS = np.random.default_rng(2).integers(0, 3, 50).astype(np.float32)


def measure(
    backend: Backend, metric: Metric, outputs: Any, targets: Any, weights: Any = None
) -> np.ndarray:
    arguments = backend.from_numpy((outputs, targets, weights))
    run = backend.jit(lambda *arguments: metric(backend, *arguments))
    host: np.ndarray = backend.to_numpy(run(*arguments))
    return host


def column(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_accuracy_equals_scikit_learn(backend, weights):
    expected = accuracy_score(CLASSES, OUTPUTS.argmax(axis=1), sample_weight=weights)
    share = measure(backend, accuracy, OUTPUTS, CLASSES, weights)
    assert (share.shape, share.dtype) == ((), np.float32)
    np.testing.assert_allclose(share, expected, rtol=1e-6)


def test_accuracy_takes_one_hot_targets(backend):
    one_hot = np.eye(4, dtype=np.float32)[CLASSES]
    assert measure(backend, accuracy, OUTPUTS, one_hot) == measure(backend, accuracy, OUTPUTS, CLASSES)


def test_accuracy_of_many_distributions_is_their_mean(backend):
    share = measure(backend, accuracy, OUTPUTS.reshape(10, 5, 4), CLASSES.reshape(10, 5))
    np.testing.assert_allclose(share, measure(backend, accuracy, OUTPUTS, CLASSES), rtol=1e-6)


def test_of_equal_outputs_the_first_counts(backend):
    outputs = np.zeros((2, 3), np.float32)
    assert measure(backend, accuracy, outputs, np.array([0, 2], np.int32)) == 0.5


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_top_k_is_the_share_of_targets_among_the_first_k_of_a_stable_order(backend, k, weights):
    outputs = np.round(OUTPUTS)  # of which many are equal
    first = np.argsort(-outputs, axis=1, kind="stable")[:, :k]
    expected = np.average((first == CLASSES[:, None]).any(axis=1), weights=weights)
    share = measure(backend, TopK(k), outputs, CLASSES, weights)
    np.testing.assert_allclose(share, expected, rtol=1e-6)


def test_top_k_takes_one_hot_targets(backend):
    one_hot = np.eye(4, dtype=np.float32)[CLASSES]
    assert measure(backend, TopK(2), OUTPUTS, one_hot) == measure(backend, TopK(2), OUTPUTS, CLASSES)


def test_binary_accuracy_cuts_logits_at_zero(backend):
    outputs, targets = column([-3.0, -0.1, 0.1, 3.0]), column([0.0, 1.0, 1.0, 1.0])
    assert measure(backend, binary_accuracy, outputs, targets) == 0.75


def test_binary_accuracy_is_weighted(backend):
    outputs, targets = column([-3.0, -0.1, 0.1, 3.0]), column([0.0, 1.0, 1.0, 1.0])
    weights = np.array([1.0, 3.0, 0.0, 1.0], np.float32)
    np.testing.assert_allclose(measure(backend, binary_accuracy, outputs, targets, weights), 0.4)


def test_binary_accuracy_of_many_outputs_is_their_mean(backend):
    outputs = np.array([[1.0, -1.0], [1.0, 1.0]], np.float32)
    targets = np.array([[1.0, 1.0], [1.0, 1.0]], np.float32)
    assert measure(backend, binary_accuracy, outputs, targets) == 0.75


@pytest.mark.parametrize("metric", [accuracy, binary_accuracy])
def test_weights_that_are_all_zero_give_zero(backend, metric):
    targets = OUTPUTS if metric is binary_accuracy else CLASSES
    assert measure(backend, metric, OUTPUTS, targets, np.zeros(50, np.float32)) == 0.0


def test_accuracy_of_a_single_logit_is_refused(backend):
    """The largest of one output is always at 0: the share would be 1 for any model."""
    with pytest.raises(ValueError, match="binary_accuracy"):
        measure(backend, accuracy, column([-3.0, 3.0]), column([1.0, 0.0]))


def test_binary_accuracy_of_other_shapes_is_refused(backend):
    """They would broadcast silently."""
    with pytest.raises(ValueError, match="binary_accuracy"):
        measure(backend, binary_accuracy, OUTPUTS[:4], CLASSES[:4])


def test_ignored_positions_count_nothing(backend):
    """In the three examples, 1 of 2, 2 of 4 and 0 of 0 positions are right."""
    right = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [0, 0, 0, 0]])
    targets = np.array([[0, -1, 0, -1], [3, 2, 0, 1], [-1, -1, -1, -1]], np.int32)
    outputs = np.eye(4, dtype=np.float32)[right]
    metric = Accuracy(ignored_class=-1)
    assert measure(backend, metric, outputs[:2], targets[:2]) == 0.5
    np.testing.assert_allclose(measure(backend, metric, outputs, targets), 1.0 / 3.0, rtol=1e-6)
    weights = np.array([3.0, 1.0, 0.0], np.float32)
    assert measure(backend, metric, outputs, targets, weights) == 0.5


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_an_accuracy_that_ignores_nothing_is_the_accuracy(backend, weights):
    expected = measure(backend, accuracy, OUTPUTS, CLASSES, weights)
    for metric in (Accuracy(), Accuracy(ignored_class=-1)):
        assert measure(backend, metric, OUTPUTS, CLASSES, weights) == expected


def test_an_ignored_class_is_an_integer():
    with pytest.raises(ValueError, match="Accuracy: expected an ignored_class of at most 32 bits"):
        Accuracy(ignored_class=2**32)
    with pytest.raises(ValueError, match="Accuracy: expected an integer ignored_class, or None"):
        Accuracy("a")  # type: ignore[arg-type]
