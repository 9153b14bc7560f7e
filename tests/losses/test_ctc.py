"""CTC against the sum over all paths, with long sequences, and with large logits."""

import itertools
import math

import numpy as np
import pytest

from backends import get_backend
from multinn import CTC, Dense, Heads, Masked, Masking, OfHead, Sequential, SoftmaxCrossEntropy, Trainer
from tests.support.loss_calls import per_example, per_example_eagerly

TARGETS = np.array([[1, 1, -1], [2, 1, -1], [2, 2, 1], [-1, -1, -1]])
Z = np.random.default_rng(0).normal(0.0, 2.0, (4, 5, 3))


def log_softmax(z: np.ndarray) -> np.ndarray:
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def labels_of(path: tuple[int, ...], blank: int) -> list[int]:
    """The classes of a path, without repetitions and then without blanks."""
    return [k for k, _ in itertools.groupby(path) if k != blank]


def by_all_paths(z: np.ndarray, labels: list[int], blank: int) -> float:
    """-log P(labels), summed over every path."""
    p = np.exp(log_softmax(z))
    time, classes = z.shape
    paths = itertools.product(range(classes), repeat=time)
    return -math.log(
        sum(
            math.prod(p[t, k] for t, k in enumerate(path))
            for path in paths
            if labels_of(path, blank) == labels
        )
    )


def test_the_loss_is_that_of_all_paths(backend):
    values, _ = per_example(backend, CTC(), Z, TARGETS)
    expected = [by_all_paths(z, [k for k in t if k >= 0], 0) for z, t in zip(Z, TARGETS, strict=True)]
    np.testing.assert_allclose(values, expected, rtol=1e-13)


def test_any_class_may_be_the_blank(backend):
    """Here the last class; the others move down by one."""
    targets = np.where(TARGETS > 0, TARGETS - 1, TARGETS)
    values, gradient = per_example(backend, CTC(blank=2), np.roll(Z, -1, axis=2), targets)
    expected = per_example(backend, CTC(), Z, TARGETS)
    np.testing.assert_allclose(values, expected[0], rtol=1e-13)
    np.testing.assert_allclose(np.roll(gradient, 1, axis=2), expected[1], atol=1e-14)


def test_more_padding_changes_nothing(backend):
    wide = np.concatenate([TARGETS, np.full((4, 2), -1)], axis=1)
    for one, other in zip(
        per_example(backend, CTC(), Z, wide), per_example(backend, CTC(), Z, TARGETS), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-14)


def test_labels_that_just_fit_have_one_path(backend):
    outputs = Z[:1, :4]
    values, gradient = per_example(backend, CTC(), outputs, np.array([[1, 1, 2]]))
    path = [1, 0, 1, 2]
    log_p = log_softmax(outputs[0])
    np.testing.assert_allclose(values, [-log_p[range(4), path].sum()], rtol=1e-14)
    np.testing.assert_allclose(gradient[0], np.exp(log_p) - np.eye(3)[path], atol=1e-14)


def test_one_time_step_is_the_softmax_cross_entropy(backend):
    z = Z[:2, :1]
    values, gradient = per_example(backend, CTC(), z, np.array([[1], [-1]]))
    log_p = log_softmax(z[:, 0])
    np.testing.assert_allclose(values, [-log_p[0, 1], -log_p[1, 0]], rtol=1e-13)
    np.testing.assert_allclose(gradient[:, 0], np.exp(log_p) - np.eye(3)[[1, 0]], atol=1e-13)


def test_float32_keeps_its_digits_in_a_long_sequence():
    """The probabilities at the end of the sequence are about exp(-5000)."""
    rng = np.random.default_rng(0)
    outputs = rng.normal(0.0, 3.0, (1, 1000, 30)).astype(np.float32)
    targets = rng.integers(1, 30, (1, 60))
    numpy = get_backend("numpy")
    values, gradient = per_example(numpy, CTC(), outputs, targets)
    expected, exact = per_example(numpy, CTC(), outputs.astype(np.float64), targets)
    assert expected > 5000.0
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient, exact, atol=2e-4)


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"], indirect=True)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e4, 1e6])
def test_large_logits_stay_finite(backend, size, dtype):
    """The labels are 1, 1; the logits prefer the path 1, 1, 1, 1, 1, which has no blank between."""
    z = np.zeros((1, 5, 3), dtype)
    z[..., 1], z[..., 2] = size, -size
    values, gradient = per_example_eagerly(backend, CTC(), z, np.array([[1, 1]]))
    np.testing.assert_allclose(values, [size - math.log(3.0)], rtol=1e-6)
    precision = size * np.finfo(dtype).eps  # that of the logarithms of the paths' probabilities
    # One blank, at one of the three times in the middle: as likely at each.
    expected = np.array([0.0, 1.0, 1.0, 1.0, 0.0]) / 3.0
    np.testing.assert_allclose(gradient[0, :, 1], expected, atol=precision)
    np.testing.assert_allclose(gradient[0, :, 0], -expected, atol=precision)


def test_logits_of_minus_infinity_leave_the_paths_without_these_classes(backend):
    z = Z.copy()
    z[:, 1, 1] = z[:, 3, 0] = -math.inf
    values, gradient = per_example(backend, CTC(), z, TARGETS)
    labels = [[k for k in row if k >= 0] for row in TARGETS]
    expected = [by_all_paths(*each, 0) for each in zip(z[:3], labels[:3], strict=True)]
    np.testing.assert_allclose(values[:3], expected, rtol=1e-12)
    assert np.isposinf(values[3])  # it has only blanks
    assert np.isfinite(gradient).all()
    assert not gradient[:, 1, 1].any()


# The steps that count, also at the start and in the middle; the labels of the second just fit.
MASK = np.array([[1, 1, 1, 1, 0], [0, 1, 0, 1, 0], [0, 1, 1, 1, 1], [1, 0, 0, 0, 1]], bool)


def test_steps_that_do_not_count_are_as_if_they_were_not_there(backend):
    outputs = Masked(np.where(MASK[..., None], Z, 1e3), MASK)
    values, gradient = per_example(backend, CTC(), outputs, TARGETS)
    labels = [[k for k in row if k >= 0] for row in TARGETS]
    shorter = [z[mask] for z, mask in zip(Z, MASK, strict=True)]
    expected = [by_all_paths(z, row, 0) for z, row in zip(shorter, labels, strict=True)]
    np.testing.assert_allclose(values, expected, rtol=1e-13)
    for z, row, counts, found in zip(shorter, TARGETS, MASK, gradient, strict=True):
        alone = per_example(get_backend("numpy"), CTC(), z[None], row[None])[1][0]
        np.testing.assert_allclose(found[counts], alone, atol=1e-14)
        assert not found[~counts].any()


def test_labels_without_enough_steps_that_count_have_no_path(backend):
    """Two equal labels need three steps; without any step, only no label is possible."""
    mask = np.array([[1, 1, 0, 0, 0], [0] * 5, [0] * 5], bool)
    targets = np.array([[1, 1], [1, -1], [-1, -1]])
    values, gradient = per_example(backend, CTC(), Masked(Z[:3], mask), targets)
    np.testing.assert_array_equal(values, [math.inf, math.inf, 0.0])
    assert np.isfinite(gradient).all()


def test_a_trainer_gives_ctc_the_mask_of_the_model():
    x = np.where(MASK[..., None], Z, 0.0)
    trainer = Trainer(
        Sequential([Masking(), Dense(3)]),
        CTC(),
        metrics={"same": CTC().value, "largest": lambda backend, y, *_: backend.xp.max(y)},
        backend="numpy",
        dtype="float64",
    )
    trainer.initialize((5, 3))
    outputs = trainer.predict(x)
    values, _ = per_example(trainer.backend, CTC(), Masked(outputs, MASK), TARGETS)
    found = trainer.evaluate(x, TARGETS)
    np.testing.assert_allclose(found["loss"], values.mean(), rtol=1e-12)
    assert found["same"] == found["loss"]
    assert found["largest"] == outputs.max()
    trained = trainer.fit(x, TARGETS, epochs=1, progress=False)
    np.testing.assert_allclose(trained["loss"], values.mean(), rtol=1e-12)


def test_only_the_head_of_ctc_gets_its_mask():
    numpy = get_backend("numpy:eager")
    words = TARGETS[:, :1] * np.ones(5, int) % 3
    outputs = {"labels": Masked(Z, MASK), "words": Masked(Z, MASK)}
    targets = {"labels": TARGETS, "words": words}
    losses = {"labels": CTC(), "words": SoftmaxCrossEntropy()}
    values, gradient = Heads(losses).report(numpy, outputs, targets)
    expected, dy = CTC()(numpy, Masked(Z, MASK), TARGETS)
    assert values["loss_labels"] == OfHead("labels", CTC())(numpy, outputs, targets)[0] == expected
    assert values["loss_words"] == SoftmaxCrossEntropy().value(numpy, Z, words)
    np.testing.assert_array_equal(gradient["labels"], dy)
