"""Labels of every type: what fit accepts, predict, files and ONNX keep exactly, or refuse."""

import decimal
import enum
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnxruntime import InferenceSession

from multinn import DescriptionError, InvalidCheckpointError, onnx
from multinn.descriptions.labels import build_labels, describe_labels
from multinn.sklearn import MLPClassifier
from tests.support.estimator_runs import X
from tests.support.forgeries import resealed

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

INDICES = np.arange(60) % 3


class Text(str, enum.Enum):  # noqa: UP042  # an older enumeration, whose members are not kept as text
    A, B, C = "abc"


class Plain(enum.Enum):
    A, B, C = range(3)


def of(*labels: Any, dtype: Any = None) -> Any:
    """Return 60 labels in a NumPy array."""
    return np.array(labels, dtype)[INDICES]


def series(*labels: Any, dtype: Any = None) -> Any:
    """Return 60 labels of these in pandas."""
    return pd.Series([labels[index] for index in INDICES], dtype=dtype)


DATES = ("2020-02-29", "1969-12-31T23:59:59", "2262-04-11")
KEPT = {
    "booleans": of(True, False, True),
    "int8": of(-128, 0, 127, dtype=np.int8),
    "big-endian": of(1, 2, 3, dtype=">i4"),
    "beyond 2^53": of(2**53 + 1, -(2**63), 2**63 - 1),
    "uint64": of(2**63 + 1, 0, 2**64 - 1, dtype=np.uint64),
    "float16": of(0, 1, 2048, dtype=np.float16),
    "float32": of(0, 1, 2**24, dtype=np.float32),
    "text": of("", "two words", "😀"),
    "half of a surrogate pair": of("a", "b", "\ud800"),
    "text as objects": of("a", "b", "longer", dtype=object),
    "text of pandas": series("a", "b", "longer"),
    "strings of pandas": series("a", "b", "c", dtype="string"),
    "categories": series("a", "b", "c", dtype="category"),
    "categories of dates": pd.Series(pd.Categorical(pd.to_datetime(list(DATES[::2])))[INDICES % 2]),
    "nullable integers": series(1, 2, 3, dtype="Int64"),
    "nullable booleans": series(True, False, True, dtype="boolean"),
    "dates": of(*DATES, dtype="M8[ns]"),
    "years": of("2020", "-5000", "12345", dtype="M8[Y]"),
    "dates of pandas": pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01"])[INDICES % 2]),
    "durations": of(-1, 0, 86400, dtype="m8[s]"),
    "members of IntEnum": [enum.IntEnum("Number", ["A", "B"])(1 + index % 2) for index in INDICES],
    "a matrix of labels": np.eye(3, dtype=np.float32)[INDICES],
}
REFUSED = {
    "float128": (of(0, 1, 2, dtype=np.longdouble), r"classes_: .*dtype (float128|longdouble).*astype")
}
UNFIT = {
    "bytes": (of(b"a", b"b", b"c"), TypeError, "Convert the labels to a string"),
    "objects of integers": (of(1, 2, 3, dtype=object), ValueError, "y: expected only text, "),
    "objects of booleans": (of(True, False, True, dtype=object), ValueError, "y: expected .*booleans"),
    "mixed objects": (of(1, "b", 2.5, dtype=object), TypeError, "y: expected only text, .*convert it"),
    "fractions": (of(0.5, 1.0, 2.0), ValueError, "Unknown label type: .*only whole numbers"),
    "decimals": (series(*map(decimal.Decimal, range(3))), ValueError, "y: expected only text"),
    "members of Enum": (series(*Plain), TypeError, "y: expected only text, .*convert it first"),
    "members of a text Enum": (series(*Text, dtype=object), ValueError, "y: expected labels that NumPy"),
    "text that ends with NUL": (of("a\0", "b", "c", dtype=object), ValueError, "row 0.* convert y"),
    "dates with a time zone": (
        pd.Series(pd.to_datetime(["2020", "2021"], utc=True)[INDICES % 2]),
        ValueError,
        "y: expected only text",
    ),
    "a missing date": (of("2020", "NaT", "2021", dtype="M8[D]"), ValueError, "y: NaT at row 1; drop"),
    "None": (of("a", None, "b", dtype=object), TypeError, "y: None at row 1; drop or impute"),
    "a missing category": (series("a", None, "b", dtype="category"), ValueError, "y: nan at row 1"),
}


def fitted(y: Any) -> MLPClassifier:
    return MLPClassifier((3,), max_iter=1, random_state=0).fit(X, y)


def metadata(path: Path) -> dict[str, str]:
    return dict(InferenceSession(path).get_modelmeta().custom_metadata_map)


@pytest.mark.parametrize("name", KEPT)
def test_labels_are_kept_exactly(tmp_path, name):
    model, path = fitted(KEPT[name]), tmp_path / "model"
    model.save(path)
    loaded = MLPClassifier.load(path)
    np.testing.assert_array_equal(loaded.classes_, model.classes_, strict=True)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X), strict=True)
    onnx.export(model, path)
    found = metadata(path)
    classes = np.array(json.loads(found["classes"]), found["classes_dtype"])
    np.testing.assert_array_equal(classes, model.classes_, strict=True)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is float64 here")
@pytest.mark.parametrize("name", REFUSED)
def test_labels_that_a_file_cannot_hold_are_refused_before_it_is_written(tmp_path, name):
    y, message = REFUSED[name]
    model, path = fitted(y), tmp_path / "model"
    path.write_bytes(b"before")
    for write in (model.save, lambda path: onnx.export(model, path)):
        with pytest.raises(DescriptionError, match=message):
            write(path)
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize("name", UNFIT)
def test_labels_that_are_no_classes_are_refused_with_advice(name):
    y, error, message = UNFIT[name]
    with pytest.raises(error, match=message):
        fitted(y)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([0, 1, None], "classes: None at row 2; drop"),
        (np.array(["2020", "NaT"], "M8[D]"), "classes: NaT at row 1; drop"),
        ([0, "a"], "classes: expected only text"),
    ],
)
def test_classes_of_partial_fit_are_checked(classes, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier((3,)).partial_fit(X, INDICES, classes=classes)


@pytest.mark.parametrize("unit", ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "as", "25s"])
@pytest.mark.parametrize("kind", ["M8", "m8"])
def test_dates_and_durations_of_any_unit_are_described_exactly(kind, unit):
    labels = np.array([-3, 0, 1, 50, 1234], np.int64).astype(f"{kind}[{unit}]")
    built = build_labels(json.loads(json.dumps(describe_labels(labels, "classes_"))))
    np.testing.assert_array_equal(built, labels, strict=True)


@pytest.mark.parametrize(
    "change", [{"dtype": "O"}, {"dtype": "<M8[s]"}, {"classes": ["NaT", "2020"], "dtype": "<M8[D]"}]
)
def test_forged_labels_are_refused(tmp_path, change):
    path = tmp_path / "model"
    fitted(of("a", "b", "c")).save(path)
    data = resealed(path.read_bytes(), lambda content, _: content["owner"]["targets"].update(change))
    path.write_bytes(data)
    with pytest.raises(InvalidCheckpointError):
        MLPClassifier.load(path)


@pytest.mark.parametrize(
    "value", [np.datetime64("2020", "ns"), np.timedelta64(3, "ns"), np.longdouble(1), np.bytes_(b"a")]
)
def test_values_that_a_file_would_change_are_refused(tmp_path, value):
    model = fitted(INDICES).set_params(class_weight={0: 1.0, value: 2.0})
    with pytest.raises(DescriptionError, match=r"class_weight\[0\]: a checkpoint holds numbers"):
        model.save(tmp_path / "model")
