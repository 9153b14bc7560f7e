"""The warning of an activation that a loss already includes."""

import warnings

import pytest

from multinn import (
    LSTM,
    Add,
    Bidirectional,
    BinaryCrossEntropy,
    BinaryFocal,
    Concatenate,
    Dense,
    Dropout,
    Flatten,
    Focal,
    HalfSquaredError,
    Heads,
    Hinge,
    Identity,
    KLDivergence,
    MeanSquaredError,
    MultiClassHinge,
    Parallel,
    Poisson,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Softplus,
    Tanh,
    Trainer,
)
from multinn.sklearn import MLPClassifier, MLPRegressor

LOGITS = "expects logits: remove"
OF_CLASSES = [SoftmaxCrossEntropy(), KLDivergence(), Focal(), MultiClassHinge()]
OF_LABELS = [BinaryCrossEntropy(), BinaryFocal(), Hinge()]


@pytest.mark.parametrize(
    ("last", "loss", "expected"),
    [
        *((Softmax(), loss, LOGITS) for loss in OF_CLASSES),
        *((Sigmoid(), loss, LOGITS) for loss in OF_LABELS),
        (Sigmoid(), SoftmaxCrossEntropy(), LOGITS),
        (Softplus(), Poisson(), "expects logarithms of rates: remove"),
    ],
)
@pytest.mark.parametrize(
    "model",
    [
        lambda last: last,
        lambda last: Sequential([Dense(2), last]),
        lambda last: Sequential([Sequential([Dense(2), last]), Flatten(), Sequential([Identity()])]),
        lambda last: Sequential([Dense(4), Concatenate([Sequential([Dense(1), last]), last])]),
    ],
    ids=["alone", "last", "nested", "branches"],
)
def test_an_activation_before_a_loss_that_includes_it_gives_a_warning(model, last, loss, expected):
    with pytest.warns(UserWarning, match="^Trainer: the model ends in ") as caught:
        Trainer(model(last), loss)
    (warning,) = caught
    message = str(warning.message)
    assert f"in {type(last).__name__}, but {type(loss).__name__} {expected}" in message
    assert warning.filename == __file__


@pytest.mark.parametrize(
    ("model", "loss"),
    [
        (Sequential([Dense(2), Softmax()]), MeanSquaredError()),
        (Sequential([Dense(2), Sigmoid()]), HalfSquaredError()),
        (Sequential([Dense(2), Softmax(), Dense(2)]), SoftmaxCrossEntropy()),
        (Sequential([Dense(2), Tanh()]), Hinge()),
        (Sequential([Dense(2), ReLU(), Dropout()]), BinaryCrossEntropy()),
        (Residual(Sequential([Dense(2), Sigmoid()])), BinaryCrossEntropy()),
        (Residual(Dense(2), shortcut=Sigmoid()), BinaryCrossEntropy()),
        (Add([Sigmoid(), Sigmoid()]), BinaryCrossEntropy()),
        (Bidirectional(LSTM(2)), SoftmaxCrossEntropy()),
        (Sequential([Flatten()]), SoftmaxCrossEntropy()),
    ],
)
def test_other_pairs_give_no_warning(model, loss):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Trainer(model, loss)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_estimators_give_no_warning(kind):
    """They choose the loss and the last layer themselves, also with the hidden activation sigmoid."""
    estimator = kind(hidden_layer_sizes=2, activation="logistic")
    classes = {"classes": [0, 1]} if kind is MLPClassifier else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.partial_fit([[0.0], [1.0]], [0, 1], **classes)


def test_the_head_of_a_model_is_named_by_its_own_loss():
    model = Sequential([Dense(4), Parallel({"a": Dense(1), "b": Sequential([Dense(3), Softmax()])})])
    losses = {"b": SoftmaxCrossEntropy(), "a": MeanSquaredError()}
    with pytest.warns(UserWarning, match="ends in Softmax, but SoftmaxCrossEntropy expects logits"):
        Trainer(model, Heads(losses))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Trainer(model, Heads(dict.fromkeys(losses, MeanSquaredError())))
