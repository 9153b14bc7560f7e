"""The error table: the shapes of data, and classes."""

from typing import Any

import numpy as np
import pytest

from multinn import (
    CTC,
    BinaryCrossEntropy,
    CosineSimilarity,
    Dense,
    Focal,
    KLDivergence,
    Loss,
    MultiClassHinge,
    SoftmaxCrossEntropy,
)
from tests.faults.rows import Fault, Says, Success, check
from tests.faults.scene import CLASSES, Scene, with_value
from tests.support.small_runs import X, Y, fit, make_trainer

TRAINED_ON_THREE = Says("x:", "shape (3,), as in training", "got (2,)", "give the same features")

ONE_OUTPUT: list[tuple[Loss, Any, str]] = [
    (SoftmaxCrossEntropy(), np.zeros(10), "BinaryCrossEntropy"),
    (SoftmaxCrossEntropy(), np.ones((10, 1)), "BinaryCrossEntropy"),
    (SoftmaxCrossEntropy(ignored_class=-1), np.zeros(10), "BinaryCrossEntropy"),
    (KLDivergence(), np.ones((10, 1)), "BinaryCrossEntropy"),
    (Focal(), np.zeros(10), "BinaryFocal"),
    (MultiClassHinge(), np.zeros(10), "Hinge"),
    (CosineSimilarity(), np.ones((10, 1)), "a loss of numbers"),
]

SHAPES = [
    *(
        Fault(
            f"one output for a loss of several, {loss} with targets {y.shape}",
            lambda s, loss=loss, y=y: fit(make_trainer(s.backend, Dense(1), loss), 1, y=y),
            ValueError,
            Says(type(loss).__name__, "at least 2 outputs", "('examples', 1)", f"use {instead}"),
        )
        for loss, y, instead in ONE_OUTPUT
    ),
    Fault(
        "one class for a loss of sequences, CTC",
        lambda s: fit(make_trainer(s.backend, Dense(1), CTC()), 1, x=X[..., None], y=np.ones((10, 1))),
        ValueError,
        Says("CTC", "at least 2 outputs", "('examples', 3, 1)", "a loss without a blank"),
    ),
    Fault(
        "an empty x, Trainer.fit",
        lambda s: fit(s.trainer, 1, x=X[:0], y=Y[:0]),
        ValueError,
        Says("x:", "at least one example and one feature", "(0, 3)"),
    ),
    Fault(
        "an empty X, MLPClassifier.fit",
        lambda s: s.classifier.fit(X[:0], CLASSES[:0]),
        ValueError,
        Says("array with 0 sample(s)", "a minimum of 1", "(0, 3)", "required by MLPClassifier"),
    ),
    Fault(
        "an x of one axis, Trainer.fit",
        lambda s: fit(s.trainer, 1, x=X[:, 0]),
        ValueError,
        Says("x:", "(examples, features, ...)", "got (10,)", "x.reshape(-1, 1)"),
    ),
    Fault(
        "an x of one axis, Trainer.predict",
        lambda s: s.trainer.predict(X[0]),
        ValueError,
        Says("x:", "(examples, features, ...)", "got (3,)", "x.reshape(1, -1)"),
    ),
    Fault(
        "an X of one axis, MLPClassifier.fit",
        lambda s: s.classifier.fit(X[:, 0], CLASSES),
        ValueError,
        Says("array", "Expected 2D array", "got 1D array", "reshape(-1, 1)"),
    ),
    Fault(
        "different lengths, Trainer.fit",
        lambda s: fit(s.trainer, 1, x=X[:9]),
        ValueError,
        Says("y:", "9 rows", "got 10", "as many as x has"),
    ),
    Fault(
        "different lengths, weights of Trainer.fit",
        lambda s: fit(s.trainer, 1, weights=np.ones(9)),
        ValueError,
        Says("weights:", "10 rows", "got 9", "as many as x has"),
    ),
    Fault(
        "different lengths, Trainer.evaluate",
        lambda s: s.trainer.evaluate(X, Y[:3]),
        ValueError,
        Says("y:", "10 rows", "got 3", "as many as x has"),
    ),
    Fault(
        "different lengths, MLPClassifier.fit",
        lambda s: s.classifier.fit(X[:9, :2], CLASSES),
        ValueError,
        Says("samples", "expected as many rows", "[9, 10]", "of y as of X"),
    ),
    Fault(
        "different lengths, sample_weight of MLPClassifier.fit",
        lambda s: s.classifier.fit(X[:, :2], CLASSES[::-1] + 1, np.ones(9)),
        ValueError,
        Says("sample_weight", "expected (10,)", "(9,)", "shape"),
    ),
    Fault(
        "other features, Trainer.predict",
        lambda s: s.trainer.predict(X[:, :2]),
        ValueError,
        TRAINED_ON_THREE,
    ),
    Fault(
        "other features, Trainer.fit",
        lambda s: fit(s.trainer, 1, x=X[:, :2]),
        ValueError,
        TRAINED_ON_THREE,
    ),
    Fault(
        "other features, MLPRegressor.predict",
        lambda s: s.regressor.predict(X[:, :2]),
        ValueError,
        Says("X has", "MLPRegressor is expecting 3 features", "2 features", "as input"),
    ),
    Fault(
        "other features, MLPRegressor.partial_fit",
        lambda s: s.regressor.partial_fit(X[:, :2], Y),
        ValueError,
        Says("X has", "MLPRegressor is expecting 3 features", "2 features", "as input"),
    ),
    Fault(
        "other outputs, MLPRegressor.partial_fit",
        lambda s: s.regressor.partial_fit(X, Y[:, 0]),
        ValueError,
        Says("y:", "2 outputs", "got 1", "as before"),
    ),
]


def of_one_class(classifier: Any) -> Any:
    return classifier.predict_proba(X), (classifier.predict(X) == "a").astype(float)


def one_class_run(scene: Scene) -> float:
    """Return the loss before the first step: log(1 + exp(z)) for z = x₁ + x₂ + x₃ and targets of 0."""
    trainer = make_trainer(scene.backend, Dense(1), BinaryCrossEntropy())
    trainer.initialize((3,), {"W": np.ones((3, 1)), "b": np.zeros(1)})
    return fit(trainer, 1, y=np.zeros((10, 1)), batch_size=10).history.losses[0]


LABELS = [
    *(
        Fault(
            f"the class {wrong} of three, Trainer.fit",
            lambda s, wrong=wrong: fit(s.class_trainer, 1, y=with_value(CLASSES, (7,), wrong)),
            ValueError,
            Says("y:", "integer classes in 0..2", f"got {wrong} at row 7", "number the classes from 0"),
        )
        for wrong in (3, -1, 1.5)
    ),
    Fault(
        "a new class, MLPClassifier.partial_fit",
        lambda s: s.classifier.partial_fit(X, CLASSES + 1),
        ValueError,
        Says("`y`", "`self.classes_` has [0 1 2]", "[1 2 3]", "in the first call of partial_fit"),
    ),
    Fault(
        "other classes than at first, MLPClassifier.partial_fit",
        lambda s: s.classifier.partial_fit(X, CLASSES, classes=[0, 1]),
        ValueError,
        Says("classes", "array([0, 1, 2])", "[0, 1]", "the same as on last call"),
    ),
    Fault(
        "no classes in the first call, MLPClassifier.partial_fit",
        lambda s: s.new_classifier().partial_fit(X, CLASSES),
        ValueError,
        Says("classes", "must be passed", "partial_fit", "on the first call"),
    ),
    Fault(
        "continuous numbers as classes, MLPClassifier.fit",
        lambda s: s.classifier.fit(X, Y[:, 0]),
        ValueError,
        Says("label type", "Unknown", "-1.00", "label"),
    ),
    Success(
        "one class only, MLPClassifier.fit",
        lambda s: of_one_class(s.new_classifier(solver="lbfgs", max_iter=50).fit(X, ["a"] * 10)),
        lambda s: (np.ones((10, 1)), np.ones(10)),
        tolerance=0.0,
    ),
    Success(
        "one class only, Trainer.fit",
        one_class_run,
        lambda s: np.mean(np.logaddexp(0.0, X @ np.ones(3))),
    ),
]


@pytest.mark.parametrize("row", SHAPES, ids=str)
def test_shapes(scene: Scene, row: Fault):
    check(row, scene)


@pytest.mark.parametrize("row", LABELS, ids=str)
def test_labels(scene: Scene, row: Fault | Success):
    check(row, scene)
