"""The error table: invalid hyperparameters and settings."""

import math

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from multinn import (
    SGD,
    Accuracy,
    Adam,
    Dense,
    Dropout,
    EarlyStopping,
    NotInitializedError,
    Trainer,
    schedules,
)
from tests.faults.rows import Fault, Says, check
from tests.faults.scene import CLASSES, Scene
from tests.support.small_runs import X, Y, fit


def refit(scene: Scene, **settings: object) -> None:
    """Fit the classifier again with other settings, and restore its settings."""
    before = scene.classifier.get_params()
    try:
        scene.classifier.set_params(**settings).fit(X, CLASSES)
    finally:
        scene.classifier.set_params(**before)


RATE = Says("SGD:", "a finite learning_rate of 0 or more", "got -0.1")
CLASSIFIER = Says("'learning_rate_init'", "a float in the range (0.0, inf)", "-0.1", "must be")

ROWS = [
    Fault("a negative learning rate, SGD", lambda s: SGD(-0.1), ValueError, RATE),
    Fault(
        "a learning rate of NaN, Adam",
        lambda s: Adam(math.nan),
        ValueError,
        RATE._replace(thing="Adam:", got="got nan"),
    ),
    Fault(
        "a negative learning rate in a schedule",
        lambda s: schedules.StepDecay(-0.1, 0.5, 3),
        ValueError,
        Says("StepDecay:", "a finite initial of 0 or more", "got -0.1"),
    ),
    Fault(
        "a negative learning rate, MLPClassifier",
        lambda s: refit(s, learning_rate_init=-0.1),
        InvalidParameterError,
        CLASSIFIER,
    ),
    Fault(
        "text as a learning rate, SGD",
        lambda s: SGD("0.1"),  # type: ignore[arg-type]
        TypeError,
        Says("SGD:", "learning_rate: a number", "got '0.1'"),
    ),
    Fault(
        "dropout of 1, Dropout",
        lambda s: Dropout(1.0),
        ValueError,
        Says("Dropout:", "rate in [0, 1)", "got 1.0"),
    ),
    Fault(
        "dropout of 1, MLPClassifier",
        lambda s: refit(s, dropout=1.0),
        InvalidParameterError,
        Says("'dropout'", "in the range [0.0, 1.0)", "1.0", "must be"),
    ),
    Fault(
        "dropout of 1 in one layer, MLPClassifier",
        lambda s: refit(s, dropout=(1.0,)),
        ValueError,
        Says("Dropout:", "rate in [0, 1)", "got 1.0"),
    ),
    Fault(
        "zero units, Dense",
        lambda s: Dense(0),
        ValueError,
        Says("Dense:", "units of at least 1", "got 0"),
    ),
    *(
        Fault(
            f"{units} units, MLPClassifier",
            lambda s, units=units: refit(s, hidden_layer_sizes=(3, units)),
            ValueError,
            Says("hidden_layer_sizes", "must be > 0", f"got [3, {units!r}]", "an integer for each"),
        )
        for units in (0, 2.5, "two")
    ),
    Fault(
        "a batch size of 0, Trainer.fit",
        lambda s: fit(s.trainer, 1, batch_size=0),
        ValueError,
        Says("batch_size:", "at least 1", "got 0"),
    ),
    Fault(
        "a batch size of 0, MLPClassifier",
        lambda s: refit(s, batch_size=0),
        InvalidParameterError,
        Says("'batch_size'", "an int in the range [1, inf)", "Got 0", "must be"),
    ),
    Fault(
        "half an epoch, Trainer.fit",
        lambda s: fit(s.trainer, 0.5),  # type: ignore[arg-type]
        TypeError,
        Says("epochs:", "an integer", "got 0.5"),
    ),
    Fault(
        "a negative seed, Trainer.initialize",
        lambda s: s.trainer.initialize((3,), seed=-1),
        ValueError,
        Says("seed:", "at least 0", "got -1"),
    ),
    Fault(
        "a shape that has a float, Trainer.initialize",
        lambda s: s.trainer.initialize((3.0,)),  # type: ignore[arg-type]
        TypeError,
        Says("input_shape:", "expected integers", "got (3.0,)", "without the batch"),
    ),
    Fault(
        "a shape that has None, Layer.summary",
        lambda s: s.trainer.model.summary((None,)),  # type: ignore[arg-type]
        TypeError,
        Says("input_shape:", "expected integers", "got (None,)", "without the batch"),
    ),
    Fault(
        "text as the weight of a class, Trainer.fit",
        lambda s: fit(s.class_trainer, 1, y=CLASSES, class_weights={0: "a"}),
        TypeError,
        Says("class_weights:", "the weight of class 0: a number", "got 'a'"),
    ),
    Fault(
        "text as min_delta, EarlyStopping",
        lambda s: EarlyStopping("loss", min_delta="a"),  # type: ignore[arg-type]
        TypeError,
        Says("EarlyStopping:", "min_delta: a number", "got 'a'"),
    ),
    *(
        Fault(
            f"text as the flag {name}, Trainer.fit",
            lambda s, name=name: fit(s.trainer, 1, **{name: "no"}),
            TypeError,
            Says(f"{name}:", "True or False", "got 'no'"),
        )
        for name in ("shuffle", "progress")
    ),
    Fault(
        "a class as optimizer, Trainer",
        lambda s: s.new_trainer(optimizer=Adam),
        TypeError,
        Says("Trainer:", "optimizer: Optimizer or None", "got <class", "write an instance, Adam()"),
    ),
    Fault(
        "text as optimizer, Trainer",
        lambda s: s.new_trainer(optimizer="sgd"),
        TypeError,
        Says("Trainer:", "optimizer: Optimizer or None", "got 'sgd'", "such as SGD()"),
    ),
    Fault(
        "another model for a trainer",
        lambda s: setattr(s.trainer, "model", Dense(2)),
        AttributeError,
        Says("Trainer:", "only optimizer, loss", "setting 'model'", "make a new Trainer"),
    ),
    Fault(
        "the name of an optimizer for a trainer",
        lambda s: setattr(s.trainer, "optimizer", "adam"),
        TypeError,
        Says("Trainer:", "optimizer: Optimizer", "got 'adam'", "write an instance, such as Adam()"),
    ),
    Fault(
        "an integer as path, Trainer.load",
        lambda s: Trainer.load(3, s.backend),  # type: ignore[arg-type]
        TypeError,
        Says("path:", "a string or a pathlib.Path", "got 3"),
    ),
    Fault(
        "an empty path, Trainer.save",
        lambda s: s.trainer.save(""),
        ValueError,
        Says("path:", "the path of a file or a folder", "got ''"),
    ),
    Fault(
        "a list as model, Trainer",
        lambda s: Trainer([Dense(2)], s.trainer.program.loss, backend=s.backend),  # type: ignore[arg-type]
        TypeError,
        Says("Trainer:", "model: Layer", "got [Dense(", "write Sequential([...])"),
    ),
    Fault(
        "a metric with the name loss, Trainer",
        lambda s: s.new_trainer(metrics={"loss": Accuracy()}),
        ValueError,
        Says(
            "for the metric", "the name 'loss' is reserved for the history", "'loss'", "choose another"
        ),
    ),
    Fault(
        "negative weights, Trainer.fit",
        lambda s: fit(s.trainer, 1, weights=-np.ones(10)),
        ValueError,
        Says("weights:", "0 or more", "got -1.0 at row 0"),
    ),
    Fault(
        "negative weights, MLPRegressor.fit",
        lambda s: s.regressor.fit(X[:, :2], Y, -np.ones(10)),
        ValueError,
        Says("sample_weight:", "0 or more", "got -1.0 at row 0"),
    ),
    Fault(
        "a misspelt activation, MLPClassifier",
        lambda s: refit(s, activation="rellu"),
        ValueError,
        Says("activation:", "one of identity", "'rellu'", "or a layer"),
    ),
    Fault(
        "a misspelt loss, MLPRegressor",
        lambda s: s.new_regressor(loss="mse").fit(X, Y),
        ValueError,
        Says("loss:", "one of squared_error", "'mse'", "or a loss"),
    ),
    Fault(
        "dropout with lbfgs, MLPClassifier",
        lambda s: refit(s, solver="lbfgs", dropout=0.5),
        ValueError,
        Says("solver='lbfgs'", "one function of all examples", "dropout", "use solver='adam'"),
    ),
    Fault(
        "other layers in a warm start, MLPClassifier",
        lambda s: refit(s, warm_start=True, hidden_layer_sizes=(4,)),
        ValueError,
        Says("parameter 0.W", "the same layers", "hidden_layer_sizes", "has changed since the last fit"),
    ),
    Fault(
        "too few examples for validation, MLPRegressor",
        lambda s: s.new_regressor(early_stopping=True, validation_fraction=0.1).fit(X, Y),
        ValueError,
        Says("validation set", "is too small", "validation_fraction", "Increase"),
    ),
    Fault(
        "a monitor that is not reported, Trainer.fit",
        lambda s: fit(s.trainer, 1, callbacks=[EarlyStopping()]),
        ValueError,
        Says("EarlyStopping:", "only ['epoch', 'loss']", "'validation_loss'", "validation_data"),
    ),
    Fault(
        "a monitor that is not reported, MLPClassifier",
        lambda s: refit(
            s, callbacks=EarlyStopping("validation_score", mode="max"), early_stopping=False
        ),
        ValueError,
        Says("EarlyStopping:", "only ['epoch', 'loss']", "'validation_score'", "another monitor"),
    ),
    Fault(
        "predict before fit, Trainer",
        lambda s: s.new_trainer().predict(X),
        NotInitializedError,
        Says("the trainer", "parameters", "no parameters yet", "call fit or initialize first"),
    ),
    Fault(
        "save before fit, Trainer",
        lambda s: s.new_trainer().save(s.checkpoint),
        NotInitializedError,
        Says("the trainer", "parameters", "no parameters yet", "call fit or initialize first"),
    ),
    Fault(
        "predict before fit, MLPClassifier",
        lambda s: s.new_classifier().predict(X),
        NotFittedError,
        Says("MLPClassifier", "appropriate arguments", "not fitted yet", "Call 'fit'"),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_settings(scene: Scene, row: Fault):
    check(row, scene)
