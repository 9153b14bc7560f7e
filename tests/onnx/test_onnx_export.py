"""Export of trained models to files of ONNX."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from multinn import (
    Adam,
    BatchNorm,
    Dense,
    Dropout,
    ExponentialMovingAverage,
    HalfSquaredError,
    NotInitializedError,
    ReLU,
    Rescale,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
    Trainer,
    onnx,
)
from tests.support.onnx_runs import drawn, outputs_of, run_onnx

MODEL = Sequential([Dense(3), Tanh()])
X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def test_a_trained_classifier_of_digits_predicts_the_same(tmp_path):
    images, labels = load_digits(return_X_y=True)
    images = images.astype(np.uint8)
    model = Sequential([Rescale(1 / 16), Dense(32), BatchNorm(), ReLU(), Dropout(0.2), Dense(10)])
    trainer = Trainer(model, SoftmaxCrossEntropy(), Adam(0.01), backend="numpy")
    trainer.fit(images, labels, epochs=3, batch_size=100, progress=False)
    path = str(tmp_path / "digits.onnx")
    onnx.export(trainer, path, input_dtype="uint8")
    (got,) = run_onnx(path, images)
    expected = trainer.predict(images)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-5)
    predicted = np.argmax(got, axis=1)
    np.testing.assert_array_equal(predicted, np.argmax(expected, axis=1))
    assert np.mean(predicted == labels) > 0.9


def test_a_trainer_of_any_backend(tmp_path, backend):
    trainer = Trainer(MODEL, SoftmaxCrossEntropy(), backend=backend)
    trainer.initialize((4,))
    onnx.export(trainer, tmp_path / "model.onnx")
    (got,) = run_onnx(str(tmp_path / "model.onnx"), X)
    np.testing.assert_allclose(got, trainer.predict(X), rtol=1e-5, atol=1e-6)


def test_the_parameters_of_inference_are_exported(tmp_path):
    optimizer = ExponentialMovingAverage(Adam(0.1), 0.9)
    trainer = Trainer(MODEL, HalfSquaredError(), optimizer, backend="numpy")
    trainer.fit(X, X[:, :3], epochs=3, progress=False)
    onnx.export(trainer, tmp_path / "model.onnx")
    (got,) = run_onnx(str(tmp_path / "model.onnx"), X)
    np.testing.assert_allclose(got, trainer.predict(X), rtol=1e-5, atol=1e-6)


def test_a_model_with_its_parameters(tmp_path):
    params, _ = drawn(MODEL, (4,))
    onnx.export((MODEL, params), tmp_path / "model.onnx", input_shape=(4,), dtype="float64")
    (got,) = run_onnx(str(tmp_path / "model.onnx"), X.astype(np.float64))
    np.testing.assert_allclose(got, outputs_of(MODEL, params, None, X, "float64")[0], rtol=1e-12)


def test_a_trainer_that_is_not_initialized(tmp_path):
    with pytest.raises(NotInitializedError):
        onnx.export(Trainer(MODEL, SoftmaxCrossEntropy()), tmp_path / "model.onnx")


def test_a_model_needs_its_input_shape(tmp_path):
    with pytest.raises(ValueError, match="onnx: expected an input_shape"):
        onnx.export((MODEL, drawn(MODEL, (4,))[0]), tmp_path / "model.onnx")


@pytest.mark.parametrize("trained", [MODEL, (MODEL,), ({}, MODEL)], ids=["model", "alone", "reversed"])
def test_other_arguments_are_refused(tmp_path, trained):
    with pytest.raises(TypeError, match="onnx: expected trained: a trainer"):
        onnx.export(trained, tmp_path / "model.onnx", input_shape=(4,))


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"before")

    def fail(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        onnx.export((MODEL, drawn(MODEL, (4,))[0]), path, input_shape=(4,))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
