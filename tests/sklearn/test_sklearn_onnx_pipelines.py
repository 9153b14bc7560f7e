"""Pipelines that skl2onnx converts: ONNX Runtime computes what the pipeline predicts."""

import sys
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from skl2onnx import convert_sklearn, to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from multinn import BinaryCrossEntropy, Focal, LayerNorm, RMSNorm
from multinn.sklearn import MLPClassifier, MLPRegressor, register_skl2onnx
from multinn.sklearn.network import ACTIVATIONS
from tests.support.estimator_runs import BINARY, NUMBERS, TARGETS, X, Y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

INPUTS = X.astype(np.float32)
ARRAYS = {"zipmap": False}  # probabilities as an array, not as a list of dicts
LABELS = TARGETS | {"strings": BINARY, "objects": BINARY.astype(object), "bytes": Y.astype(np.uint8)}


@pytest.fixture(autouse=True)
def registered():
    register_skl2onnx()


def fitted(kind: Any, y: Any, x: Any = INPUTS, **parameters: Any) -> Any:
    network = kind(hidden_layer_sizes=(5,), random_state=0, max_iter=5, **parameters)
    return make_pipeline(StandardScaler(), network).fit(x, y)


def run(model: Any, x: Any, options: Any = None, opset: int | None = None) -> list[Any]:
    """Return the outputs of the converted model."""
    classes = None if options is None else {MLPClassifier: options}
    proto = to_onnx(model, x[:1], options=classes, target_opset=opset)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    outputs: list[Any] = session.run(None, {session.get_inputs()[0].name: x})
    for output, declared in zip(outputs, session.get_outputs(), strict=True):
        if isinstance(output, np.ndarray):
            shape = zip(output.shape, declared.shape, strict=True)
            assert all(length == known for length, known in shape if isinstance(known, int))
    return outputs


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", LABELS)
def test_a_classifier(target, dtype):
    x = X.astype(dtype)
    model = fitted(MLPClassifier, LABELS[target], x)
    labels, probabilities = run(model, x, ARRAYS)
    np.testing.assert_array_equal(labels, model.predict(x))
    np.testing.assert_allclose(probabilities, model.predict_proba(x), atol=1e-5)
    assert probabilities.dtype == dtype


@pytest.mark.parametrize("loss", [Focal(), BinaryCrossEntropy()])
def test_a_classifier_with_one_or_two_outputs_for_two_classes(loss):
    model = fitted(MLPClassifier, BINARY, loss=loss)
    labels, probabilities = run(model, INPUTS, ARRAYS)
    np.testing.assert_array_equal(labels, model.predict(INPUTS))
    np.testing.assert_allclose(probabilities, model.predict_proba(INPUTS), atol=1e-5)


def test_labels_come_from_logits():
    """Rounded probabilities of 1/2 would choose the first class."""
    model = MLPClassifier((5,), max_iter=1).fit(INPUTS, BINARY)
    model.coefs_ = [np.zeros_like(W) for W in model.coefs_]
    model.intercepts_ = [np.zeros(5), np.full(1, 1e-9)]
    labels, probabilities = run(model, INPUTS, ARRAYS)
    np.testing.assert_array_equal(labels, model.predict(INPUTS))
    assert set(labels) == {"yes"}
    assert (probabilities == 0.5).all()


def test_probabilities_of_labels_that_are_almost_impossible():
    """The operator Sigmoid would give 0."""
    model = MLPClassifier((5,), max_iter=1).fit(INPUTS, NUMBERS > 0)
    model.coefs_ = [np.zeros_like(W) for W in model.coefs_]
    model.intercepts_ = [np.zeros(5), np.full(NUMBERS.shape[1], -40.0)]
    probabilities = run(model, INPUTS, ARRAYS)[1]
    np.testing.assert_allclose(probabilities, np.full(NUMBERS.shape, np.exp(-40.0)), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("squared_error", NUMBERS),
        ("squared_error", NUMBERS[:, 0]),
        ("poisson", np.abs(NUMBERS[:, 0])),
        (BinaryCrossEntropy(), (NUMBERS > 0).astype(float)),
    ],
)
def test_a_regressor(loss, y, dtype):
    x = X.astype(dtype)
    model = fitted(MLPRegressor, y, x, loss=loss)
    (predictions,) = run(model, x)
    np.testing.assert_allclose(predictions, model.predict(x).reshape(60, -1), atol=1e-5)
    assert predictions.dtype == dtype


@pytest.mark.parametrize("opset", [None, 17, 16, 13, 11])
def test_each_target_opset(opset):
    activations = (*ACTIVATIONS.values(), RMSNorm(), LayerNorm())
    sizes = (5,) * len(activations)
    model = MLPRegressor(
        "huber", sizes, activations, batch_norm=True, dropout=0.1, max_iter=1, random_state=0
    )
    (predictions,) = run(model.fit(INPUTS, Y), INPUTS, opset=opset)
    np.testing.assert_allclose(predictions[:, 0], model.predict(INPUTS), rtol=1e-5, atol=1e-5)


def test_an_operator_that_the_target_opset_lacks_raises():
    model = fitted(MLPRegressor, Y, activation="gelu")
    np.testing.assert_allclose(run(model, INPUTS, opset=9)[0][:, 0], model.predict(INPUTS), atol=1e-5)
    with pytest.raises(RuntimeError, match="suitable version for operator 'Erf'"):
        to_onnx(model, INPUTS, target_opset=8)


def test_the_options_of_scikit_learns_perceptron():
    model = fitted(MLPClassifier, BINARY)
    p = model.predict_proba(INPUTS)
    dicts = run(model, INPUTS)[1]
    np.testing.assert_allclose([[each["no"], each["yes"]] for each in dicts], p, atol=1e-5)
    columns = run(model, INPUTS, {"zipmap": "columns"})[1:]
    np.testing.assert_allclose(np.stack(columns, axis=1).reshape(60, 2), p, atol=1e-5)
    numbers = run(model, INPUTS, ARRAYS | {"nocl": True})[0]
    np.testing.assert_array_equal(model.classes_[numbers], model.predict(INPUTS))
    assert run(model, INPUTS, ARRAYS | {"output_class_labels": True})[2].tolist() == ["no", "yes"]


def test_integers_are_computed_in_float32():
    x = np.arange(240, dtype=np.int64).reshape(60, 4) % 7
    model = MLPClassifier((5,), random_state=0, max_iter=5).fit(x, Y)
    labels, probabilities = run(model, x, ARRAYS)
    np.testing.assert_array_equal(labels, model.predict(x))
    np.testing.assert_allclose(probabilities, model.predict_proba(x), atol=1e-5)
    assert probabilities.dtype == np.float32


def test_a_search_and_convert_sklearn():
    search = GridSearchCV(fitted(MLPClassifier, Y), {"mlpclassifier__alpha": [0.1, 1.0]}, cv=2)
    search.fit(INPUTS, Y)
    proto = convert_sklearn(
        search, initial_types=[("x", FloatTensorType([None, 4]))], options={id(search): ARRAYS}
    )
    labels, probabilities = onnxruntime.InferenceSession(proto.SerializeToString()).run(
        None, {"x": INPUTS}
    )
    np.testing.assert_array_equal(labels, search.predict(INPUTS))
    np.testing.assert_allclose(probabilities, search.predict_proba(INPUTS), atol=1e-5)


@pytest.mark.parametrize(
    "classes", [np.array(["2020", "2021"], "datetime64[Y]"), np.array([1, 2**63], np.uint64)]
)
def test_classes_that_a_file_cannot_keep_raise(classes):
    model = fitted(MLPClassifier, classes[(X[:, 0] > 0).astype(int)])
    with pytest.raises(ValueError, match=r"integers or strings.*encode y before the fit"):
        to_onnx(model, INPUTS, options={MLPClassifier: ARRAYS})


def test_an_unfitted_estimator_raises():
    with pytest.raises(NotFittedError, match="MLPRegressor"):
        to_onnx(MLPRegressor(), INPUTS)


def test_without_skl2onnx_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "multinn\[skl2onnx\]"'):
        register_skl2onnx()
