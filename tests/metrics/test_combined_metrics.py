"""Metrics that are not means over examples, against scikit-learn, over one batch or many."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, r2_score, recall_score, top_k_accuracy_score

from backends import Backend, get_backend
from multinn import (
    F1,
    R2,
    SGD,
    Accuracy,
    BinaryCrossEntropy,
    Dense,
    MeanSquaredError,
    Precision,
    Recall,
    Sequential,
    SoftmaxCrossEntropy,
    TopK,
    accuracy,
    binary_accuracy,
)
from multinn.metrics import CombinedMetric, Metric
from tests.support.small_runs import X, Y, fit, make_trainer

_RNG = np.random.default_rng(0)
SCORES = _RNG.normal(size=(60, 4)).astype(np.float32)
CLASSES = _RNG.choice(3, 60).astype(np.int32)  # the last one is predicted alone
WEIGHTS = _RNG.integers(0, 3, 60).astype(np.float32)
LOGITS = _RNG.normal(size=(60, 1)).astype(np.float32)
LABELS = _RNG.integers(0, 2, (60, 1)).astype(np.float32)
FIGURES = [(Precision, precision_score), (Recall, recall_score), (F1, f1_score)]

weighted = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
batch_sizes = pytest.mark.parametrize("size", [60, 7])


def measure(backend: Backend, metric: Metric, *arguments: Any) -> np.ndarray:
    run = backend.jit(lambda *arrays: metric(backend, *arrays), *backend.from_numpy(arguments))
    host: np.ndarray = backend.to_numpy(run(*backend.from_numpy(arguments)))
    return host


def called(metric: Metric, *arguments: Any) -> Any:
    return metric(get_backend("numpy"), *arguments)


def combined(backend: Backend, metric: CombinedMetric, arrays: tuple[Any, ...], size: int) -> float:
    """Return the metric over batches of that size."""
    batches = [
        measure(backend, metric, *(a if a is None else a[start : start + size] for a in arrays))
        for start in range(0, 60, size)
    ]
    return float(metric.combine(np.stack(batches).astype(np.float64)))


@pytest.mark.parametrize(("kind", "oracle"), FIGURES)
@pytest.mark.parametrize("average", ["macro", "micro"])
@pytest.mark.parametrize(("weights", "size"), [(None, 60), (WEIGHTS, 7)], ids=["plain", "weighted"])
def test_metrics_of_classes_equal_scikit_learn(backend, kind, oracle, average, weights, size):
    expected = oracle(
        CLASSES, SCORES.argmax(axis=1), average=average, sample_weight=weights, zero_division=0
    )
    figure = combined(backend, kind(average), (SCORES, CLASSES, weights), size)
    assert figure == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("kind", "oracle"), FIGURES)
@weighted
def test_metrics_of_logits_equal_scikit_learn(backend, kind, oracle, weights):
    expected = oracle(LABELS[:, 0], LOGITS[:, 0] > 0, sample_weight=weights)
    assert combined(backend, kind(), (LOGITS, LABELS, weights), 7) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", [Precision, Recall, F1])
def test_a_ratio_of_zeros_is_zero(kind):
    assert kind().combine(np.zeros((5, 3, 1))) == 0.0


def test_positions_count_as_examples(backend):
    one = measure(backend, F1("macro"), SCORES.reshape(20, 3, 4), CLASSES.reshape(20, 3))
    np.testing.assert_allclose(one, measure(backend, F1("macro"), SCORES, CLASSES), rtol=1e-6)


@weighted
@batch_sizes
def test_r2_equals_scikit_learn_far_from_zero(backend, weights, size):
    targets = SCORES + 1000.0
    outputs = (targets + 0.5 * SCORES[::-1]).astype(np.float32)
    expected = r2_score(targets.astype(float), outputs.astype(float), sample_weight=weights)
    assert combined(backend, R2(), (outputs, targets, weights), size) == pytest.approx(
        expected, abs=1e-4
    )


@batch_sizes
def test_r2_keeps_its_digits_where_the_spread_is_that_of_the_rounding(backend, size):
    """In float32, whole numbers above 2²³ are exact, but their mean is not."""
    rng = np.random.default_rng(0)
    targets = 2.0**23 + rng.integers(0, 10, (60, 1))
    outputs = targets + rng.integers(-1, 2, (60, 1))
    expected = r2_score(targets, outputs)
    arrays = outputs.astype(np.float32), targets.astype(np.float32), None
    assert combined(backend, R2(), arrays, size) == pytest.approx(expected, rel=1e-6)


OF_LOGITS = LOGITS, LABELS
OF_SCORES = SCORES, CLASSES
OF_NUMBERS = SCORES, SCORES[::-1].copy()
EVERY: list[tuple[Metric, Any]] = [
    (accuracy, OF_SCORES),
    (Accuracy(0), OF_SCORES),
    (binary_accuracy, OF_LOGITS),
    (TopK(2), OF_SCORES),
    (Precision(), OF_LOGITS),
    (Recall("macro"), OF_SCORES),
    (F1("micro"), OF_SCORES),
    (R2(), OF_NUMBERS),
    (SoftmaxCrossEntropy().value, OF_SCORES),
    (MeanSquaredError().value, OF_NUMBERS),
]


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict", "torch"], indirect=True)
@pytest.mark.parametrize(("metric", "arrays"), EVERY)
def test_no_metric_depends_on_examples_of_weight_0(backend, metric, arrays):
    outputs, targets = (array.copy() for array in arrays)
    expected = measure(backend, metric, outputs, targets, WEIGHTS)
    for wrong in (np.inf, -np.inf, np.nan, 1e30):
        outputs[WEIGHTS == 0] = wrong
        if arrays is OF_NUMBERS:
            targets[WEIGHTS == 0] = wrong
        found = measure(backend, metric, outputs, targets, WEIGHTS)
        np.testing.assert_array_equal(found, expected)


@weighted
@batch_sizes
@pytest.mark.parametrize("target", [0.1, 123.456])
def test_r2_of_equal_targets_tells_right_from_wrong(backend, weights, size, target):
    targets = np.full((60, 2), target, np.float32)
    if weights is not None:
        targets[weights == 0] = 7.0  # which counts nowhere
    assert combined(backend, R2(), (targets, targets, weights), size) == 1.0
    outputs = targets + np.array([0.0, 0.1], np.float32)
    assert combined(backend, R2(), (outputs, targets, weights), size) == 0.5


def test_r2_of_batches_of_one_target_each(backend):
    targets = np.repeat(np.float32([[1.0], [2.0], [4.0]]), 20, axis=0)
    outputs = targets + 0.5
    expected = r2_score(targets, outputs)
    assert combined(backend, R2(), (outputs, targets, None), 20) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3])
@weighted
def test_top_k_equals_scikit_learn(backend, k, weights):
    expected = top_k_accuracy_score(CLASSES, SCORES, k=k, sample_weight=weights, labels=np.arange(4))
    share = measure(backend, TopK(k), SCORES, CLASSES, weights)
    np.testing.assert_allclose(share, expected, rtol=1e-6)


def test_of_equal_outputs_the_first_are_the_top(backend):
    outputs, classes = np.zeros((4, 4), np.float32), np.arange(4, dtype=np.int32)
    assert measure(backend, TopK(3), outputs, classes) == 0.75
    assert measure(backend, TopK(1), outputs, classes) == measure(backend, accuracy, outputs, classes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: F1("weighted"), "F1: expected average 'binary' or 'macro' or 'micro'"),
        (lambda: TopK(0), "k: expected at least 1"),
        (lambda: called(TopK(4), SCORES, CLASSES), "TopK: expected scores of at least 5"),
        (lambda: called(F1(), SCORES, CLASSES), "F1: .*for scores of classes use average="),
        (lambda: called(F1("macro"), LOGITS, LABELS), "F1: .*use average='binary'"),
        (lambda: called(R2(), SCORES, LOGITS), "R2: expected targets of shape"),
    ],
)
def test_meaningless_metrics_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("backend", ["numpy", "jax"], indirect=True)
@pytest.mark.parametrize("batch_size", [4, 5, 10])
def test_the_history_has_the_metrics_of_all_batches(backend, batch_size):
    """With a learning rate of 0, training reports the same as an evaluation in batches."""
    model = Sequential([Dense(2)])
    trainer = make_trainer(backend, model, optimizer=SGD(0.0), metrics={"r2": R2()})
    fit(trainer, 3, batch_size=batch_size, validation_data=(X, Y))
    expected = r2_score(Y, trainer.predict(X))
    assert trainer.history["r2"] == pytest.approx([expected] * 3, rel=1e-5)
    assert trainer.history["validation_r2"] == pytest.approx([expected] * 3, rel=1e-5)
    assert trainer.evaluate(X, Y, batch_size=3)["r2"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "metric", "outputs"),
    [(SoftmaxCrossEntropy(), F1("macro"), 2), (BinaryCrossEntropy(), F1(), 1)],
)
def test_f1_of_a_classifier(loss, metric, outputs):
    y = (Y[:, 0] > 0).astype(np.int64)
    trainer = make_trainer(model=Sequential([Dense(outputs)]), loss=loss, metrics={"f1": metric})
    fit(trainer, 2, y=y if outputs == 2 else y[:, None])
    scores = trainer.predict(X)
    predicted = scores.argmax(axis=1) if outputs == 2 else scores[:, 0] > 0
    average = "macro" if outputs == 2 else "binary"
    figure = trainer.evaluate(X, y if outputs == 2 else y[:, None], batch_size=4)["f1"]
    assert figure == pytest.approx(f1_score(y, predicted, average=average), rel=1e-6)
