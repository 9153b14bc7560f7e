"""Tables with categories in ONNX: each column is an input, and text is text."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from skl2onnx import to_onnx
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from multinn.onnx import export
from multinn.sklearn import MLPClassifier, MLPRegressor, register_skl2onnx

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

GENERATOR = np.random.default_rng(0)
COUNT = 40
TABLE = pd.DataFrame(
    {
        "size": GENERATOR.normal(size=COUNT),
        "age": GENERATOR.normal(size=COUNT),
        "city": np.array([*"abc", None], object)[np.arange(COUNT) % 4],
        "rooms": GENERATOR.integers(1, 4, COUNT),
        "grade": np.array([0.5, 1.0, np.nan])[np.arange(COUNT) % 3],
        "old": np.arange(COUNT) % 2 == 0,
    }
)
Y = (TABLE["size"] + (TABLE["city"] == "a") > 0.3).to_numpy().astype(int)
CATEGORICAL = ["city", "rooms", "grade", "old"]
SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0}
# Unknown and missing categories.
EXAMPLES = TABLE.assign(
    city=["d", None, *TABLE["city"][2:]],
    rooms=[9, -1, *TABLE["rooms"][2:]],
    grade=[7.25, np.nan, *TABLE["grade"][2:]],
)
NUMPY = {"tensor(int64)": np.int64, "tensor(float)": np.float32, "tensor(double)": np.float64}


def run(session: Any, table: pd.DataFrame) -> Any:
    """Return the outputs for a table, whose columns are the inputs in order."""
    fed = {}
    for given, name in zip(session.get_inputs(), table, strict=True):
        assert given.shape[1:] == [1]
        column = table[name]
        if given.type == "tensor(string)":
            fed[given.name] = column.fillna("").to_numpy(object)[:, None]
        else:
            fed[given.name] = column.to_numpy(NUMPY[given.type])[:, None]
    return session.run(None, fed)


def types(session: Any) -> dict[str, str]:
    return {given.name: given.type for given in session.get_inputs()}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "model.onnx")


def test_each_column_of_a_table_is_an_input(path):
    model = MLPClassifier(**SETTINGS, categorical_features=CATEGORICAL).fit(TABLE, Y)
    export(model, path)
    session = onnxruntime.InferenceSession(path)
    assert types(session) == {
        "size": "tensor(double)",
        "age": "tensor(double)",
        "city": "tensor(string)",
        "rooms": "tensor(int64)",
        "grade": "tensor(double)",
        "old": "tensor(int64)",
    }
    (p,) = run(session, EXAMPLES)
    np.testing.assert_allclose(p, model.predict_proba(EXAMPLES), rtol=1e-9)
    assert len(np.unique(p[:2], axis=0)) == 2
    export(model, path, dtype="float32")
    session = onnxruntime.InferenceSession(path)
    assert types(session)["size"] == "tensor(float)"
    np.testing.assert_allclose(run(session, EXAMPLES)[0], p, rtol=1e-4)


def test_the_columns_of_an_array_have_numbers_as_names(path):
    columns = ["size", "rooms", "old", "age"]
    table, examples = (each[columns].astype(np.float32) for each in (TABLE, EXAMPLES))
    model = MLPRegressor(**SETTINGS, categorical_features=[1, 2]).fit(table.to_numpy(), Y)
    export(model, path)
    session = onnxruntime.InferenceSession(path)
    assert list(types(session)) == ["x0", "x1", "x2", "x3"]
    (predictions,) = run(session, examples)
    assert predictions.dtype == np.float32
    np.testing.assert_allclose(predictions[:, 0], model.predict(examples.to_numpy()), rtol=1e-5)


def test_the_trainer_of_an_estimator_takes_ids(path):
    model = MLPRegressor(**SETTINGS, categorical_features=["city"]).fit(TABLE[["size", "city"]], Y)
    export(model.trainer_, path)
    ids = model._categories.encode(EXAMPLES[["size", "city"]])
    (outputs,) = onnxruntime.InferenceSession(path).run(None, {"input": ids})
    np.testing.assert_allclose(outputs[:, 0], model.predict(EXAMPLES[["size", "city"]]), rtol=1e-9)


def test_an_empty_text_that_is_a_category_is_not_missing(path):
    table = TABLE[["city"]].fillna("")
    model = MLPRegressor(**SETTINGS, categorical_features=["city"]).fit(table, Y)
    export(model, path)
    (predictions,) = run(onnxruntime.InferenceSession(path), table)
    np.testing.assert_allclose(predictions[:, 0], model.predict(table), rtol=1e-9)


def test_columns_and_categories_that_onnx_cannot_take_raise(path):
    model = MLPRegressor(**SETTINGS, categorical_features=[0])
    with pytest.raises(ValueError, match="columns with other names than 'output'"):
        export(model.fit(TABLE[["city"]].set_axis(["output"], axis=1), Y), path)
    with pytest.raises(ValueError, match="input_dtype: expected None, float32 or float64"):
        export(model.fit(TABLE[["city"]], Y), path, input_dtype="int64")
    close = TABLE[["grade"]].fillna(0.5 + 1e-12)
    with pytest.raises(ValueError, match="expected categories that differ in float32"):
        export(model.fit(close, Y), path)


def converted(model: Any, table: Any, **settings: Any) -> Any:
    register_skl2onnx()
    proto = to_onnx(model, table[:1], options={MLPClassifier: {"zipmap": False}}, **settings)
    onnx.checker.check_model(proto, full_check=True)
    return onnxruntime.InferenceSession(proto.SerializeToString())


def assert_same_outputs(session: Any, model: Any, table: Any, **tolerance: float) -> None:
    labels, probabilities = run(session, table)
    np.testing.assert_array_equal(labels, model.predict(table))
    np.testing.assert_allclose(probabilities, model.predict_proba(table), **tolerance)


@pytest.mark.parametrize("opset", [None, 17, 11])
def test_skl2onnx_converts_an_estimator_of_a_table(opset):
    columns = ["size", "city", "rooms"]
    model = MLPClassifier(**SETTINGS, categorical_features=["city", "rooms"]).fit(TABLE[columns], Y)
    session = converted(model, EXAMPLES[columns], target_opset=opset)
    assert list(types(session)) == columns
    assert_same_outputs(session, model, EXAMPLES[columns], rtol=1e-9)


def test_skl2onnx_converts_a_pipeline_that_scales_the_numbers():
    """skl2onnx joins the scaled numbers and the text that passes through to one array of text."""
    columns = ["size", "age", "city", "rooms"]
    transformer = make_column_transformer(
        (StandardScaler(), ["size", "age"]), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    network = MLPClassifier(**SETTINGS, categorical_features=["city", "rooms"])
    model = make_pipeline(transformer, network).fit(TABLE[columns], Y)
    examples = EXAMPLES[columns].dropna()
    assert_same_outputs(converted(model, examples), model, examples, atol=1e-6)


def test_skl2onnx_converts_a_pipeline_that_encodes_the_text():
    columns = ["size", "city", "rooms"]
    table = TABLE[columns].fillna("none")
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    transformer = make_column_transformer((StandardScaler(), ["size"]), (encoder, ["city", "rooms"]))
    model = make_pipeline(transformer, MLPClassifier(**SETTINGS, categorical_features=[1, 2]))
    model.fit(table, Y)
    examples = EXAMPLES[columns].fillna("none")
    assert_same_outputs(converted(model, examples), model, examples, rtol=1e-6)


def test_other_columns_than_in_the_fit_raise():
    model = MLPClassifier(**SETTINGS, categorical_features=["city"]).fit(TABLE[["size", "city"]], Y)
    for columns in (["size"], ["city", "size"]):
        with pytest.raises(ValueError, match=r"2 columns as in the fit, and text in the columns \[1\]"):
            converted(model, TABLE[columns].dropna())


def test_infinity_is_missing_as_in_predict(tmp_path):
    regressor = MLPRegressor(categorical_features=["grade"], **SETTINGS)
    table = TABLE[["size", "grade"]]
    regressor.fit(table, TABLE["size"])
    strange = table.assign(grade=np.resize([np.inf, -np.inf, np.nan, 9.5, 0.5], COUNT))
    export(regressor, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    np.testing.assert_allclose(run(session, strange)[0].ravel(), regressor.predict(strange), atol=1e-5)


def test_a_column_with_the_name_of_a_weight_is_an_error(tmp_path):
    table = TABLE[["size", "city"]].rename(columns={"size": "3.W"})
    regressor = MLPRegressor(categorical_features=["city"], **SETTINGS).fit(table, TABLE["size"])
    with pytest.raises(ValueError, match=r"expected columns with other names than '3\.W'"):
        export(regressor, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
