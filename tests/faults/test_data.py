"""The error table, of the data that are handed over."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from backends import Backend, PrecisionError, tree
from multinn import BinaryCrossEntropy, Dense
from tests.faults.rows import Fault, Says, Success, check
from tests.faults.scene import CLASSES, LINEAR, Scene
from tests.small_runs import X, Y, fit, host, make_trainer
from tests.strict_backend import StrictBackend

NAN, INF = math.nan, math.inf
NAN_X = Says("x:", "finite numbers", "nan at row 3, column 1", "drop or impute")


def with_value(array: Any, place: tuple[int, ...], value: float) -> np.ndarray:
    changed = np.array(array, np.float64)
    changed[place] = value
    return changed


def of_another_library(backend: Backend, tree_of_arrays: Any) -> Any:
    """The arrays as those of a library that is not the backend's."""
    other = StrictBackend()
    if backend.name == other.name:
        jax = pytest.importorskip("jax")
        return tree.map(jax.numpy.asarray, tree_of_arrays)
    return other.from_numpy(tree_of_arrays)


class Locked:
    """An array that cannot be read on the host, as one of PyTorch that needs a gradient."""

    shape = X.shape

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise RuntimeError("use .detach()")

    def __len__(self) -> int:
        return len(X)


LOCKED = Says(
    "x:", "an array that NumPy can read", "test_data.Locked", "convert it first: use .detach()"
)
LOCKED_X = LOCKED._replace(thing="X:")

ARRAYS = [
    Success(
        "an array of another library, Trainer.predict",
        lambda s: s.trainer.predict(of_another_library(s.backend, X)),
        lambda s: s.trainer.predict(X),
        tolerance=0.0,
    ),
    Success(
        "an array of another library, Trainer.fit",
        lambda s: host(fit(s.new_trainer(), 1, **of_another_library(s.backend, {"x": X, "y": Y}))),
        lambda s: host(s.trainer),
        tolerance=0.0,
    ),
    Success(
        "an array of another library, MLPClassifier.predict_proba",
        lambda s: s.classifier.predict_proba(of_another_library(s.backend, X)),
        lambda s: s.classifier.predict_proba(X),
        tolerance=0.0,
    ),
    Success(
        "parameters of another library",
        lambda s: initialized(s, of_another_library(s.backend, host(s.trainer)[0])),
        lambda s: host(s.trainer)[0],
        tolerance=0.0,
    ),
    Fault("a locked array, Trainer.fit", lambda s: fit(s.trainer, 1, x=Locked()), TypeError, LOCKED),
    Fault(
        "a locked array, MLPClassifier.fit",
        lambda s: s.classifier.fit(Locked(), CLASSES),
        TypeError,
        LOCKED_X,
    ),
    Fault(
        "a locked array, MLPClassifier.predict",
        lambda s: s.classifier.predict(Locked()),
        TypeError,
        LOCKED_X,
    ),
    Fault(
        "locked parameters",
        lambda s: s.trainer.initialize((3,), ({"W": Locked(), "b": np.zeros(2)},), seed=9),
        TypeError,
        LOCKED._replace(thing="parameter 0.W:"),
    ),
    Fault(
        "parameters of another shape",
        lambda s: s.trainer.initialize((3,), ({"W": np.zeros((2, 2)), "b": np.zeros(2)},), seed=9),
        ValueError,
        Says("parameter 0.W:", "shape (3, 2)", "got (2, 2)", "as the model draws it"),
    ),
    Fault(
        "NaN in parameters",
        lambda s: s.trainer.initialize(
            (3,), ({"W": np.ones((3, 2)), "b": np.array([0.0, NAN])},), seed=9
        ),
        ValueError,
        Says("parameter 0.b:", "finite numbers", "nan at row 1", "of a run that diverged"),
    ),
    Fault(
        "a sparse matrix, Trainer.fit",
        lambda s: fit(s.trainer, 1, x=scipy.sparse.csr_array(X)),
        TypeError,
        Says("x:", "a dense array", "a sparse csr_array", "x.toarray()"),
    ),
    Fault(
        "text, Trainer.fit",
        lambda s: fit(s.trainer, 1, y=["cat"] * 10),
        TypeError,
        Says("y:", "numbers", "dtype <U3", "encode text"),
    ),
    Fault(
        "float16",
        lambda s: s.new_trainer(dtype="float16"),
        PrecisionError,
        Says("backend", "'float32' or 'float64'", "'float16'", "computes in"),
    ),
]

NOT_FINITE = [
    Fault(
        "NaN in x, Trainer.fit",
        lambda s: fit(s.trainer, 1, x=with_value(X, (3, 1), NAN)),
        ValueError,
        NAN_X,
    ),
    Fault(
        "infinity in x, Trainer.fit",
        lambda s: fit(s.trainer, 1, x=with_value(X, (0, 2), -INF)),
        ValueError,
        NAN_X._replace(got="-inf at row 0, column 2"),
    ),
    Fault(
        "a number that float32 does not have, Trainer.fit",
        lambda s: fit(s.trainer, 1, x=with_value(X, (4, 0), 1e300)),
        ValueError,
        NAN_X._replace(got="inf at row 4, column 0"),
    ),
    Fault(
        "NaN in y, Trainer.fit",
        lambda s: fit(s.trainer, 1, y=with_value(Y, (9, 1), NAN)),
        ValueError,
        NAN_X._replace(thing="y:", got="nan at row 9, column 1"),
    ),
    Fault(
        "NaN in the weights, Trainer.fit",
        lambda s: fit(s.trainer, 1, weights=with_value(np.ones(10), (2,), NAN)),
        ValueError,
        NAN_X._replace(thing="weights:", got="nan at row 2"),
    ),
    Fault(
        "NaN in the validation data",
        lambda s: fit(s.trainer, 1, validation_data=(with_value(X, (1, 1), NAN), Y)),
        ValueError,
        NAN_X._replace(thing="validation x:", got="nan at row 1, column 1"),
    ),
    Fault(
        "NaN in a later batch, Trainer.fit_batches",
        lambda s: s.trainer.fit_batches(
            [(X[:5], Y[:5]), (with_value(X[5:], (3, 1), NAN), Y[5:])], epochs=1, progress=False
        ),
        ValueError,
        NAN_X._replace(thing="batch 2: x:"),
    ),
    Fault(
        "NaN in x, Trainer.predict",
        lambda s: s.trainer.predict(with_value(X, (3, 1), NAN)),
        ValueError,
        NAN_X,
    ),
    Fault(
        "NaN in X, MLPClassifier.fit",
        lambda s: s.classifier.fit(with_value(X, (3, 1), NAN), CLASSES),
        ValueError,
        Says("X:", "contains NaN", "nan at row 3, column 1", "drop or impute"),
    ),
    Fault(
        "infinity in X, MLPClassifier.partial_fit",
        lambda s: s.classifier.partial_fit(with_value(X, (0, 2), INF), CLASSES),
        ValueError,
        Says("X:", "contains infinity", "inf at row 0, column 2", "drop or impute"),
    ),
    Fault(
        "NaN in a sparse X, MLPClassifier.predict",
        lambda s: s.classifier.predict(scipy.sparse.csr_array(with_value(X, (3, 1), NAN))),
        ValueError,
        Says("X:", "contains NaN", "nan at row 3, column 1", "drop or impute"),
    ),
    Fault(
        "NaN in y, MLPRegressor.fit",
        lambda s: s.regressor.fit(X[:, :2], with_value(Y, (9, 1), NAN)),
        ValueError,
        Says("y:", "contains NaN", "nan at row 9, column 1", "drop or impute"),
    ),
    Fault(
        "NaN in sample_weight, MLPRegressor.fit",
        lambda s: s.regressor.fit(X[:, :2], Y, with_value(np.ones(10), (2,), NAN)),
        ValueError,
        Says("sample_weight:", "contains NaN", "nan at row 2", "drop or impute"),
    ),
]

TRAINED_ON_THREE = Says("x:", "shape (3,), as in training", "got (2,)", "give the same features")

SHAPES = [
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
        "lengths that differ, Trainer.fit",
        lambda s: fit(s.trainer, 1, x=X[:9]),
        ValueError,
        Says("y:", "9 rows", "got 10", "as many as x has"),
    ),
    Fault(
        "lengths that differ, weights of Trainer.fit",
        lambda s: fit(s.trainer, 1, weights=np.ones(9)),
        ValueError,
        Says("weights:", "10 rows", "got 9", "as many as x has"),
    ),
    Fault(
        "lengths that differ, Trainer.evaluate",
        lambda s: s.trainer.evaluate(X, Y[:3]),
        ValueError,
        Says("y:", "10 rows", "got 3", "as many as x has"),
    ),
    Fault(
        "lengths that differ, MLPClassifier.fit",
        lambda s: s.classifier.fit(X[:9, :2], CLASSES),
        ValueError,
        Says("samples", "expected as many rows", "[9, 10]", "of y as of X"),
    ),
    Fault(
        "lengths that differ, sample_weight of MLPClassifier.fit",
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
        "numbers for classes, MLPClassifier.fit",
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
        lambda s: one_class_run(s),
        lambda s: np.mean(np.logaddexp(0.0, X @ np.ones(3))),
    ),
]


def initialized(scene: Scene, params: Any) -> Any:
    trainer = make_trainer(scene.backend, LINEAR)
    trainer.initialize((3,), params)
    return host(trainer)[0]


def of_one_class(classifier: Any) -> Any:
    return classifier.predict_proba(X), (classifier.predict(X) == "a").astype(float)


def one_class_run(scene: Scene) -> float:
    """The loss before the first step, where z = x₁ + x₂ + x₃ and all targets are 0: log(1 + exp(z))."""
    trainer = make_trainer(scene.backend, Dense(1), BinaryCrossEntropy())
    trainer.initialize((3,), {"W": np.ones((3, 1)), "b": np.zeros(1)})
    return fit(trainer, 1, y=np.zeros((10, 1)), batch_size=10).history.losses[0]


@pytest.mark.parametrize("row", [*ARRAYS, *NOT_FINITE, *SHAPES, *LABELS], ids=str)
def test_data(scene: Scene, row: Fault | Success):
    check(row, scene)


def test_refused_data_of_a_first_partial_fit_leave_nothing_behind(scene: Scene):
    """The classes, too, are open again."""
    classifier = scene.new_classifier()
    with pytest.raises(ValueError, match="row 3, column 1"):
        classifier.partial_fit(with_value(X, (3, 1), NAN), CLASSES, classes=[0, 1, 2, 3])
    assert not hasattr(classifier, "classes_")
    assert classifier.partial_fit(X, CLASSES, classes=[0, 1, 2]).n_iter_ == 1
