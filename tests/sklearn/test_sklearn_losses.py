"""The losses of the estimators, and the weights of examples, classes and validation data."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from multinn import (
    BinaryCrossEntropy,
    BinaryFocal,
    Focal,
    Huber,
    KLDivergence,
    Loss,
    MeanSquaredError,
    MultiClassHinge,
    Poisson,
    SoftmaxCrossEntropy,
)
from multinn.sklearn import MLPClassifier, MLPRegressor
from multinn.sklearn.losses import HalfPoissonDeviance
from tests.support.estimator_runs import BINARY, LABELS, NUMBERS, X, Y, assert_same_parameters
from tests.support.loss_calls import per_example

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL: Any = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}


@pytest.mark.parametrize(
    ("loss", "y", "activation"),
    [(Focal(), Y, "softmax"), (Focal(), BINARY, "softmax"), (BinaryFocal(), BINARY, "logistic")],
)
def test_losses_of_classification(loss, y, activation):
    model = MLPClassifier((8,), loss=loss, learning_rate_init=0.05, max_iter=40, random_state=0).fit(
        X, y
    )
    assert model.out_activation_ == activation
    assert model.score(X, y) > 0.9
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(model.predict_proba(X)), rtol=1e-9)


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), Focal(), MultiClassHinge()])
def test_a_single_class_needs_no_loss_of_classes(loss):
    model = MLPClassifier((8,), loss=loss, max_iter=2).fit(X, np.full(len(X), "one"))
    assert (model.predict(X) == "one").all()
    assert (model.predict_proba(X) == 1.0).all()


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), KLDivergence()])
def test_a_regressor_of_one_output_refuses_a_loss_of_classes(loss):
    with pytest.raises(ValueError, match=r"at least 2 outputs .* use BinaryCrossEntropy"):
        MLPRegressor(loss).fit(X, PROPORTIONS)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", Huber(0.5)])
def test_losses_of_regression(loss):
    model = MLPRegressor(loss, (16,), learning_rate_init=0.02, max_iter=150, random_state=0)
    assert model.fit(X, NUMBERS).score(X, NUMBERS) > 0.8


@pytest.mark.parametrize("y", [BINARY, LABELS])
@pytest.mark.parametrize("loss", [MeanSquaredError(), Poisson(), KLDivergence()])
def test_losses_of_regression_raise_in_a_classifier(loss, y):
    """Their outputs are not logits: 0 does not separate the classes."""
    with pytest.raises(
        ValueError, match=r"loss: expected a loss on logits .* such as BinaryCrossEntropy"
    ):
        MLPClassifier(loss=loss).fit(X, y)


PROPORTIONS = 1.0 / (1.0 + np.exp(-X[:, 0]))
SHARES = np.exp(X) / np.exp(X).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("loss", "y", "last"),
    [
        (BinaryCrossEntropy(), PROPORTIONS, "Sigmoid"),
        (SoftmaxCrossEntropy(), SHARES, "Softmax"),
        (KLDivergence(), SHARES, "Softmax"),
        (Poisson(), PROPORTIONS, "Exponential"),
    ],
)
def test_a_regressor_predicts_what_the_targets_are(tmp_path, loss, y, last):
    model = MLPRegressor(loss, (16,), max_iter=300, learning_rate_init=0.02, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.9
    assert type(model.network_[0].layers[-1]).__name__ == last
    model.save(tmp_path / "model.safetensors")
    loaded = MLPRegressor.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@dataclass
class Changeable(Loss):
    scale: float = 1.0

    def per_example(self, backend, outputs, targets):
        return MeanSquaredError().per_example(backend, outputs, targets)


@dataclass(frozen=True)
class Hyperbolic(Loss):
    output_activation = "tanh"

    def per_example(self, backend, outputs, targets):
        return MeanSquaredError().per_example(backend, outputs, targets)


def test_the_deviance_of_large_counts_keeps_its_digits(backend):
    """In float32, exp(z) and t z have an error of about 1 here."""
    t = np.array([[1e6], [1e7], [3.0], [0.0]], np.float32)
    z = np.log(np.maximum(t, 1.0)) + np.float32([[0.01], [-0.02], [0.5], [0.25]])
    d = z.astype(float) - np.log(np.maximum(t, 1.0).astype(float))
    expected = np.where(t > 0.0, t * (np.expm1(d) - d), np.exp(d))[:, 0]
    values, _ = per_example(backend, HalfPoissonDeviance(), z, t)
    np.testing.assert_allclose(values, expected, rtol=1e-3)


def test_an_unknown_output_activation_raises():
    with pytest.raises(ValueError, match=r"output_activation is one of identity, exp, .* with 'tanh'"):
        MLPRegressor(Hyperbolic()).fit(X, NUMBERS)


def test_a_mutable_loss_raises():
    with pytest.raises(TypeError, match=r"expected frozen dataclasses.*'Changeable'.*frozen=True"):
        MLPRegressor(Changeable()).fit(X, NUMBERS)


def test_class_weight_is_a_sample_weight():
    weighted = MLPClassifier((5,), max_iter=3, random_state=0).fit(X, Y, np.array([1.0, 2.0, 4.0])[Y])
    model = MLPClassifier((5,), max_iter=3, random_state=0, class_weight={0: 1, 1: 2, 2: 4}).fit(X, Y)
    assert_same_parameters(model, weighted, rtol=0)
    balanced = MLPClassifier((5,), class_weight="balanced", max_iter=2)
    balanced.fit(X, Y)
    with pytest.raises(ValueError, match="balanced"):
        balanced.partial_fit(X, Y)


@pytest.mark.parametrize("dtype", ["U1", "M8[D]", "m8[s]", float])
def test_class_weight_takes_labels_of_any_type(dtype):
    y = Y.astype(dtype)
    weighted = MLPClassifier(**SMALL).fit(X, y, np.array([1.0, 2.0, 1.0])[Y])
    model = MLPClassifier(**SMALL, class_weight={np.unique(y)[1]: 2.0}).fit(X, y)
    assert_same_parameters(model, weighted, rtol=0)


def test_class_weight_can_name_a_class_without_examples():
    model = MLPClassifier((5,), max_iter=3, random_state=0, class_weight={0: 3.0, 1: 2.0})
    model.partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X[Y != 1], Y[Y != 1])
    weighted = MLPClassifier((5,), max_iter=3, random_state=0)
    weighted.partial_fit(X, Y, np.array([3.0, 2.0, 1.0])[Y], classes=[0, 1, 2])
    weighted.partial_fit(X[Y != 1], Y[Y != 1], np.array([3.0, 2.0, 1.0])[Y[Y != 1]])
    assert_same_parameters(model, weighted, rtol=0)


def test_class_weights_of_labels_are_multiplied():
    weights = [{0: 1.0, 1: 2.0}, {0: 1.0, 1: 3.0}, {0: 5.0, 1: 1.0}]
    expected = np.prod([[w[label] for label in LABELS[:, i]] for i, w in enumerate(weights)], axis=0)
    weighted = MLPClassifier(**SMALL).fit(X, LABELS, expected)
    for given in (weights, tuple(weights)):
        model = MLPClassifier(**SMALL, class_weight=given).fit(X, LABELS)
        assert_same_parameters(model, weighted, rtol=0)


@pytest.mark.parametrize(
    ("class_weight", "y", "message"),
    [
        ({0: 1, 1: 2}, LABELS, "for several labels, expected 'balanced' or a list of dicts"),
        (["balanced"] * 3, LABELS, "for several labels, expected 'balanced' or a list of dicts"),
        ([1, 2, 3], LABELS, "for several labels, expected 'balanced' or a list of dicts"),
        ([{0: 1, 1: 2}], Y, "for classes, expected 'balanced' or a dict"),
        ({0: 1, 7: 2}, Y, r"expected weights of the classes \[0 1 2\], got {0: 1, 7: 2}"),
        ({0: "a"}, Y, "expected the weight of class 0: a number, got 'a'"),
    ],
)
def test_class_weights_of_another_kind_raise(class_weight, y, message):
    with pytest.raises((TypeError, ValueError), match=f"class_weight: {message}"):
        MLPClassifier(class_weight=class_weight).fit(X, y)


def test_validation_data_can_have_weights():
    weights = np.linspace(0.0, 3.0, 60)
    model = MLPClassifier(**SMALL, early_stopping=True)
    model.fit(X, BINARY, validation_data=(X, BINARY, weights))
    model.set_params(max_iter=1, warm_start=True, learning_rate_init=1e-12)
    model.fit(X, BINARY, validation_data=(X, BINARY, weights))
    expected = (
        accuracy_score(BINARY, model.predict(X), sample_weight=weights),
        log_loss(BINARY, model.predict_proba(X), sample_weight=weights),
    )
    now = model.validation_scores_[-1], model.validation_loss_curve_[-1]
    np.testing.assert_allclose(now, expected)


def test_one_example_is_not_enough_to_stop_early():
    model = MLPRegressor(early_stopping=True)
    with pytest.raises(ValueError, match=r"validation_data: early_stopping needs at least 2 .* got 1"):
        model.fit(X, NUMBERS, validation_data=(X[:1], NUMBERS[:1]))
