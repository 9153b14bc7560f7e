"""The error table: kinds of data, and NaN and infinity in them."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from backends import Backend, PrecisionError, tree
from tests.faults.rows import Fault, Says, Success, check
from tests.faults.scene import CLASSES, LINEAR, Scene, with_value
from tests.support.small_runs import X, Y, fit, host, make_trainer
from tests.support.strict_backend import StrictBackend

NAN, INF = math.nan, math.inf
NAN_X = Says("x:", "finite numbers", "nan at row 3, column 1", "drop or impute")


def of_another_library(backend: Backend, tree_of_arrays: Any) -> Any:
    """Return the arrays converted to another library than that of the backend."""
    other = StrictBackend()
    if backend.name == other.name:
        jax = pytest.importorskip("jax")
        return tree.map(jax.numpy.asarray, tree_of_arrays)
    return other.from_numpy(tree_of_arrays)


class Locked:
    """An array that NumPy cannot read, such as an array of PyTorch with a gradient."""

    shape = X.shape

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise RuntimeError("use .detach()")

    def __len__(self) -> int:
        return len(X)


LOCKED = Says(
    "x:", "an array that NumPy can read", "test_data.Locked", "convert it first: use .detach()"
)
LOCKED_X = LOCKED._replace(thing="X:")
MASKED = np.ma.masked_less(X, -1.0)
MASKED_X = Says("x:", "numbers everywhere", "entries masked", "drop or impute")

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
        Says("parameter 0.W:", "shape (3, 2)", "got (2, 2)", "as drawn by the model"),
    ),
    Fault(
        "NaN in parameters",
        lambda s: s.trainer.initialize(
            (3,), ({"W": np.ones((3, 2)), "b": np.array([0.0, NAN])},), seed=9
        ),
        ValueError,
        Says("parameter 0.b:", "finite numbers", "nan at row 1", "of a run that diverged"),
    ),
    Fault("a masked array, Trainer.fit", lambda s: fit(s.trainer, 1, x=MASKED), ValueError, MASKED_X),
    Fault("a masked array, Trainer.predict", lambda s: s.trainer.predict(MASKED), ValueError, MASKED_X),
    Fault(
        "a masked array, MLPClassifier.fit",
        lambda s: s.classifier.fit(MASKED, CLASSES),
        ValueError,
        MASKED_X._replace(thing="X:"),
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
        "a tuple of arrays, Trainer.fit",
        lambda s: fit(s.trainer, 1, x=(X, X[:, :2])),
        ValueError,
        Says("x:", "one array, as in training", "a tuple of 2"),
    ),
    Fault(
        "a tuple of arrays, MLPClassifier.fit",
        lambda s: s.classifier.fit((X, X[:, :2]), CLASSES),
        ValueError,
        Says("X:", "one array", "a tuple of 2: ndarray of shape (10, 3), ndarray of shape (10, 2)"),
    ),
    Fault(
        "a number as weights, Trainer.fit",
        lambda s: fit(s.trainer, 1, weights=3),
        ValueError,
        Says("weights:", "10 rows", "got a single number", "as many as x"),
    ),
    Fault(
        "four arrays as validation data, Trainer.fit",
        lambda s: fit(s.trainer, 1, validation_data=(X, Y, Y, Y)),
        ValueError,
        Says(
            "validation_data:", "(x, y) or (x, y, weights)", "got a tuple of 4: ndarray of shape (10, 3)"
        ),
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
        "a number too large for float32, Trainer.fit",
        lambda s: fit(s.trainer, 1, x=with_value(X, (4, 0), 1e300)),
        ValueError,
        NAN_X._replace(got="inf at row 4, column 0", remedy="scale such values"),
    ),
    Fault(
        "NaN in y, Trainer.fit",
        lambda s: fit(s.trainer, 1, y=with_value(Y, (9, 1), NAN)),
        ValueError,
        NAN_X._replace(thing="y:", got="nan at row 9, column 1", remedy="any number of weight 0"),
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


def table(column: Any) -> pd.DataFrame:
    """Return the inputs of the scene as a table, with another column "age"."""
    return pd.DataFrame({"a": X[:, 0], "age": column, "c": X[:, 2]})


def ages(third: Any, dtype: Any) -> pd.Series:
    """Return a column of 10 whole numbers, but for the third."""
    return pd.Series([0, 1, third, *range(3, 10)], dtype=dtype)


COLUMNS = {
    "Float64 with NA": (ages(None, "Float64"), "<NA> at row 2, column 1 ('age')", "drop or impute"),
    "Int64 with NA": (ages(None, "Int64"), "<NA> at row 2, column 1 ('age')", "drop or impute"),
    "boolean with NA": (
        pd.Series([True, False, None] + [True] * 7, dtype="boolean"),
        "<NA> at row 2, column 1 ('age')",
        "drop or impute",
    ),
    "floats with NaN": (ages(NAN, float), "nan at row 2, column 1 ('age')", "drop or impute"),
    "floats with infinity": (ages(INF, float), "inf at row 2, column 1 ('age')", "drop or impute"),
    "objects with None": (ages(None, object), "None at row 2, column 1 ('age')", "drop or impute"),
    "objects with NaN": (ages(NAN, object), "nan at row 2, column 1 ('age')", "drop or impute"),
    "objects with NA": (ages(pd.NA, object), "<NA> at row 2, column 1 ('age')", "drop or impute"),
    "objects with text": (ages("old", object), "'old' at row 2, column 1 ('age')", "encode text"),
    "text": (pd.Series(["one", *"bcdefghij"]), "'one' at row 0, column 1 ('age')", "encode text"),
    "categories": (pd.Series(pd.Categorical([*"abababab", "a", None])), "'a' at row 0", "encode text"),
    "dates": (pd.Series(pd.date_range("2020", periods=10)), "2020-01-01 00:00:00 at row 0", "encode"),
    "durations": (pd.Series(pd.to_timedelta(range(10), "s")), "0 days 00:00:00 at row 0", "and dates"),
}


def table_faults(name: str, got: str, remedy: str, x: pd.DataFrame) -> tuple[Fault, Fault]:
    """Return a fault of the trainer and one of an estimator."""
    of_sklearn = TypeError if name in ("objects with NA", "dates", "durations") else ValueError
    return (
        Fault(
            f"a column of {name}, Trainer.fit",
            lambda s: fit(s.trainer, 1, x=x),
            ValueError if "floats" in name else TypeError,
            Says("x:", "numbers", got, remedy),
        ),
        Fault(
            f"a column of {name}, MLPClassifier.fit",
            lambda s: s.classifier.fit(x, CLASSES),
            of_sklearn,
            Says("X:", "", got, remedy),
        ),
    )


TABLES = [
    fault
    for name, (column, got, remedy) in COLUMNS.items()
    for fault in table_faults(name, got, remedy, table(column))
]
NOT_NUMBERS = [
    Fault(
        "only dates, MLPClassifier.fit",
        lambda s: s.classifier.fit(np.zeros((10, 3), "M8[D]"), CLASSES),
        TypeError,
        Says("X:", "numbers", "1970-01-01 at row 0, column 0", "encode text, categories and dates"),
    ),
    Fault(
        "dates as sample_weight, MLPClassifier.fit",
        lambda s: s.classifier.fit(X, CLASSES, np.zeros(10, "M8[D]")),
        TypeError,
        Says("sample_weight:", "numbers", "1970-01-01 at row 0", "encode text, categories and dates"),
    ),
    Fault(
        "a table of booleans and numbers, Trainer.fit",
        lambda s: fit(s.trainer, 1, x=table([True, False] * 5)),
        TypeError,
        Says("x:", "numbers", "dtype object", "convert it"),
    ),
    Fault(
        "NA in y, MLPRegressor.fit",
        lambda s: s.regressor.fit(X[:, :2], table(ages(None, "Int64"))[["a", "age"]]),
        ValueError,
        Says("y:", "contains NaN", "<NA> at row 2, column 1 ('age')", "drop or impute"),
    ),
    Fault(
        "None in y, MLPRegressor.fit",
        lambda s: s.regressor.fit(X[:, :2], ages(None, object)),
        ValueError,
        Says("y:", "finite numbers", "nan at row 2", "drop or impute"),
    ),
    Fault(
        "NA in sample_weight, MLPRegressor.fit",
        lambda s: s.regressor.fit(X[:, :2], Y, ages(None, "Float64")),
        ValueError,
        Says("sample_weight:", "contains NaN", "nan at row 2", "drop or impute"),
    ),
    Fault(
        "None in y, MLPClassifier.score",
        lambda s: s.classifier.score(X, ages(None, object)),
        ValueError,
        Says("y:", "", "None at row 2", "drop or impute"),
    ),
    Fault(
        "infinity in y, MLPRegressor.score",
        lambda s: s.regressor.score(X, with_value(Y, (4, 1), INF)),
        ValueError,
        Says("y:", "contains infinity", "inf at row 4, column 1", "drop or impute"),
    ),
    Fault(
        "an integer beyond all floats in X, MLPClassifier.predict",
        lambda s: s.classifier.predict([[1, 2, 10**400]]),
        ValueError,
        Says("X:", "to float", "0… at row 0, column 2", "drop or impute"),
    ),
    Fault(
        "dates as y for a classifier of numbers, MLPClassifier.score",
        lambda s: s.classifier.score(X, CLASSES.astype("M8[D]")),
        TypeError,
        Says("y:", "only whole numbers", "only dates", "convert it"),
    ),
    Fault(
        "too few weights, MLPRegressor.score",
        lambda s: s.regressor.score(X, Y, [0.0, 1.0]),
        ValueError,
        Says("sample_weight", "as many rows of y and sample_weight as of X", "[10, 10, 2]"),
    ),
    Fault(
        "NaN in X after an example of weight 0, MLPClassifier.score",
        lambda s: s.classifier.score(with_value(X, (3, 1), NAN), CLASSES, [0.0, *[1.0] * 9]),
        ValueError,
        Says("X:", "contains NaN", "nan at row 3, column 1", "drop or impute"),
    ),
    Fault(
        "NaN in a column-wise sparse X, MLPClassifier.fit",
        lambda s: s.classifier.fit(scipy.sparse.csc_array(with_value(X, (3, 1), NAN)), CLASSES),
        ValueError,
        Says("X:", "contains NaN", "nan at row 3, column 1", "drop or impute"),
    ),
    Fault(
        "NaN in X_val, MLPClassifier.fit",
        lambda s: s.classifier.fit(X, CLASSES, X_val=with_value(X, (3, 1), NAN), y_val=CLASSES),
        ValueError,
        Says("X_val, y_val:", "contains NaN", "nan at row 3, column 1", "drop or impute"),
    ),
]


def initialized(scene: Scene, params: Any) -> Any:
    trainer = make_trainer(scene.backend, LINEAR)
    trainer.initialize((3,), params)
    return host(trainer)[0]


@pytest.mark.parametrize("row", [*ARRAYS, *NOT_FINITE, *TABLES, *NOT_NUMBERS], ids=str)
def test_data(scene: Scene, row: Fault | Success):
    check(row, scene)


def test_invalid_data_in_a_first_partial_fit_leave_the_classes_open(scene: Scene):
    classifier = scene.new_classifier()
    with pytest.raises(ValueError, match="row 3, column 1"):
        classifier.partial_fit(with_value(X, (3, 1), NAN), CLASSES, classes=[0, 1, 2, 3])
    assert not hasattr(classifier, "classes_")
    assert classifier.partial_fit(X, CLASSES, classes=[0, 1, 2]).n_iter_ == 1
