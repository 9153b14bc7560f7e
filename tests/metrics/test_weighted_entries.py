"""Metrics with a weight for each position or output, against scikit-learn, and metrics of one head."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, r2_score, top_k_accuracy_score

from backends import Backend, get_backend
from multinn import (
    F1,
    R2,
    Accuracy,
    HalfSquaredError,
    Heads,
    Identity,
    MeanAbsoluteError,
    MeanSquaredError,
    OfHead,
    Parallel,
    SoftmaxCrossEntropy,
    TopK,
    Trainer,
    accuracy,
    binary_accuracy,
)
from multinn.metrics import Metric, build_metric, describe_metric, reduction_of

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(6, 4, 3)).astype(np.float32)
CLASSES = RNG.integers(0, 3, (6, 4)).astype(np.int32)
LOGITS = RNG.normal(size=(6, 4)).astype(np.float32)
LABELS = RNG.integers(0, 2, (6, 4)).astype(np.float32)
WEIGHTS = RNG.integers(0, 3, (6, 4)).astype(np.float32)
WEIGHTS[0] = 0.0
FLAT = WEIGHTS.ravel()


def measure(backend: Backend, metric: Metric, *arguments: Any) -> Any:
    """Return the metric, compiled, and combined if it is no mean."""
    on_backend = backend.from_numpy(arguments)
    run = backend.jit(lambda *arrays: metric(backend, *arrays), *on_backend)
    value = backend.to_numpy(run(*on_backend))
    reduction = reduction_of(metric)
    return reduction(value[None].astype(np.float64)) if callable(reduction) else value


def test_means_over_positions_equal_scikit_learn(backend):
    flat_scores, flat_classes = SCORES.reshape(-1, 3), CLASSES.ravel()
    expected = accuracy_score(flat_classes, flat_scores.argmax(axis=1), sample_weight=FLAT)
    for metric in (accuracy, Accuracy(), Accuracy(-1)):
        assert measure(backend, metric, SCORES, CLASSES, WEIGHTS) == pytest.approx(expected, rel=1e-6)
    expected = top_k_accuracy_score(flat_classes, flat_scores, k=2, sample_weight=FLAT)
    assert measure(backend, TopK(2), SCORES, CLASSES, WEIGHTS) == pytest.approx(expected, rel=1e-6)
    expected = accuracy_score(LABELS.ravel(), LOGITS.ravel() > 0, sample_weight=FLAT)
    assert measure(backend, binary_accuracy, LOGITS, LABELS, WEIGHTS) == pytest.approx(
        expected, rel=1e-6
    )


def test_counts_of_positions_equal_scikit_learn(backend):
    predicted = SCORES.argmax(axis=-1).ravel()
    expected = f1_score(CLASSES.ravel(), predicted, average="macro", sample_weight=FLAT)
    assert measure(backend, F1("macro"), SCORES, CLASSES, WEIGHTS) == pytest.approx(expected, rel=1e-6)
    expected = f1_score(LABELS.ravel(), LOGITS.ravel() > 0, sample_weight=FLAT)
    assert measure(backend, F1(), LOGITS, LABELS, WEIGHTS) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_r2_with_weights_of_outputs_equals_scikit_learn(backend, axes):
    targets = SCORES[::-1] + SCORES
    weights = np.broadcast_to(WEIGHTS.sum(axis=1)[:, None] if axes == 1 else WEIGHTS, (6, 4))[..., None]
    of_each = [
        r2_score(targets[:, i, j], SCORES[:, i, j], sample_weight=weights[:, i, 0])
        for i in range(4)
        for j in range(3)
    ]
    given = {1: weights[:, 0, 0], 2: weights[..., 0], 3: np.repeat(weights, 3, axis=2)}[axes]
    value = measure(backend, R2(), SCORES, targets, given)
    assert value == pytest.approx(np.mean(of_each), rel=1e-5)


def test_with_an_ignored_class_the_mean_is_over_the_positions_that_count(backend):
    """Of the first example, the first position is right and the second ignored; of the second, none."""
    outputs = np.eye(3, dtype=np.float32)[[[0, 1, 2], [0, 1, 2]]]
    targets = np.array([[0, -1, 1], [1, 0, 0]], np.int32)
    weights = np.array([[2.0, 1.0, 3.0], [1.0, 1.0, 1.0]], np.float32)
    value = measure(backend, Accuracy(-1), outputs, targets, weights)
    assert value == pytest.approx((2.0 / 2.0) / (2.0 + 1.0))


def test_weights_that_do_not_fit_the_positions_are_refused():
    for metric in (accuracy, F1("macro"), R2()):
        with pytest.raises(ValueError, match=r"weights: expected the shape of the first axes of"):
            metric(get_backend("numpy"), SCORES, SCORES, np.ones((6, 3)))


OUTPUTS, TARGETS = {"kind": SCORES, "price": LOGITS}, {"kind": CLASSES, "price": LABELS}
OF_HEADS = {"kind": WEIGHTS, "price": FLAT[::4].copy()}
SUM = HalfSquaredError().value
MACRO = F1("macro")


@pytest.mark.parametrize(
    ("entry", "metric"),
    [
        ("kind", accuracy),
        ("kind", F1("macro")),
        ("price", R2()),
        ("price", MeanSquaredError().value),
        ("price", SUM),
    ],
)
def test_a_metric_of_a_head_is_the_metric_of_its_arrays(backend, entry, metric):
    of_head = OfHead(entry, metric)
    for weights in (None, FLAT[:6]):
        found = measure(backend, of_head, OUTPUTS, TARGETS, weights)
        assert found == measure(backend, metric, OUTPUTS[entry], TARGETS[entry], weights)
    of_tuple = OfHead(["kind", "price"].index(entry), metric)
    found = measure(backend, of_tuple, (SCORES, LOGITS), (CLASSES, LABELS), None)
    assert found == measure(backend, metric, OUTPUTS[entry], TARGETS[entry], None)


@pytest.mark.parametrize("metric", [accuracy, F1("macro"), SoftmaxCrossEntropy().value])
def test_a_metric_of_a_head_uses_its_own_weights(backend, metric):
    found = measure(backend, OfHead("kind", metric), OUTPUTS, TARGETS, OF_HEADS)
    assert found == measure(backend, metric, SCORES, CLASSES, WEIGHTS)


def test_means_of_a_head_are_exact_over_batches_and_for_losses_that_are_sums():
    """Weights for such losses are not divided by their means, and differ from head to head."""
    loss = HalfSquaredError()
    metrics = {name: OfHead(name, MeanAbsoluteError().value) for name in ("a", "b")}
    heads = Parallel({"a": Identity(), "b": Identity()})
    trainer = Trainer(heads, Heads({"a": loss, "b": loss}), metrics=metrics, backend="numpy")
    x, zeros = np.array([[1.0], [2.0], [3.0], [6.0]]), np.zeros((4, 1))
    weights = {"a": np.array([1.0, 1.0, 0.0, 0.0]), "b": np.array([0.0, 0.0, 8.0, 4.0])}
    trainer.initialize((1,))
    found = trainer.evaluate(x, {"a": zeros, "b": zeros}, weights=weights, batch_size=3)
    assert found["a"] == (1.0 + 2.0) / 2.0
    assert found["b"] == (8.0 * 3.0 + 4.0 * 6.0) / 12.0


def test_a_sum_of_a_head_has_no_share():
    numpy, metric = get_backend("numpy"), HalfSquaredError().value
    found = OfHead("price", metric)(numpy, OUTPUTS, TARGETS, OF_HEADS)
    assert found == metric(numpy, LOGITS, LABELS, OF_HEADS["price"])


@pytest.mark.parametrize(
    ("metric", "reduction"), [(SUM, "sum"), (MACRO, MACRO.combine), (OfHead(0, SUM), "sum")]
)
def test_batches_of_a_head_are_combined_as_those_of_the_metric(metric, reduction):
    assert reduction_of(metric) == reduction_of(OfHead("kind", metric)) == reduction


@pytest.mark.parametrize(
    "metric", [accuracy, "accuracy", F1("macro"), SUM, HalfSquaredError(), OfHead(1, R2())]
)
def test_a_description_gives_the_same_metric(metric):
    of_head = OfHead("kind", metric)
    assert build_metric(describe_metric(of_head)) == of_head
    assert OfHead.from_dict(of_head.to_dict()) == of_head


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: OfHead("kind", "acuracy"), ValueError, "expected metric: unknown name 'acuracy'"),
        (lambda: OfHead("kind", F1), TypeError, "OfHead: expected metric as a function of"),
        (lambda: OfHead("kind", 3), TypeError, "OfHead: expected metric as a function of"),
        (lambda: OfHead(1.5, accuracy), TypeError, "OfHead: expected entry: a string or an integer"),
        (lambda: call("size"), ValueError, r"outputs with the entry 'size', got .*\['kind', 'price'\]"),
        (lambda: call(0), ValueError, "OfHead: expected outputs with the entry 0, got the entries"),
        (lambda: OfHead("kind", accuracy)(None, LOGITS, LABELS), ValueError, "'kind', got one array"),
    ],
)  # fmt: skip
def test_a_head_that_does_not_exist_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def call(entry):
    return OfHead(entry, accuracy)(get_backend("numpy"), OUTPUTS, TARGETS)
