"""The scene of a fault: a trainer, two estimators and a checkpoint in use, on one backend."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend, tree
from multinn import SGD, Dense, MeanSquaredError, Sequential, SoftmaxCrossEntropy, Trainer
from multinn.sklearn import MLPClassifier, MLPRegressor
from multinn.training.compiled import RecentPrograms
from tests.support.small_runs import X, Y, fit, host, make_trainer

LINEAR = Sequential([Dense(2)])
CLASSES = np.arange(10) % 3
SETTINGS: dict[str, Any] = {
    "hidden_layer_sizes": (3,),
    "max_iter": 1,
    "batch_size": 4,
    "random_state": 0,
    "solver": "sgd",
    "learning_rate_init": 0.1,
}


class Scene:
    """Trainers and estimators whose state no fault may change.

    Attributes:
        backend: the backend of all of them.
        folder: a folder that holds only the checkpoint.
        scratch: a folder for other files.
        checkpoint: the path of the trainer's checkpoint.
        trainer: a trained linear model with two outputs.
        class_trainer: a model of three classes, which is not trained yet.
        classifier: a fitted classifier of three classes.
        regressor: a fitted regressor with two outputs.
        other: an object that the last row made.
    """

    other: Any = None

    def __init__(self, backend: Backend, folder: Path) -> None:
        self.backend = backend
        self.folder, self.scratch = folder / "kept", folder / "scratch"
        for each in (self.folder, self.scratch):
            each.mkdir()
        self.checkpoint = self.folder / "run.safetensors"
        self._programs = RecentPrograms()
        self.trainer = fit(self.new_trainer(), 1)
        self.trainer.save(self.checkpoint)
        self.class_trainer = make_trainer(backend, Dense(3), SoftmaxCrossEntropy())
        self.class_trainer.initialize((3,))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one epoch is too few
            self.classifier = self.new_classifier().fit(X, CLASSES)
            self.regressor = self.new_regressor().fit(X, Y)

    def new_trainer(self, **keywords: Any) -> Trainer:
        """Return a new trainer like that of the scene, with the same compiled functions."""
        arguments: dict[str, Any] = {"optimizer": SGD(0.1), "loss": MeanSquaredError()} | keywords
        trainer = make_trainer(self.backend, LINEAR, **arguments)
        if not keywords:
            trainer.programs.share(self._programs, LINEAR)
        return trainer

    def new_classifier(self, **keywords: Any) -> MLPClassifier:
        """Return a classifier with the settings of the scene, updated by these."""
        return MLPClassifier(**{"backend": self.backend} | SETTINGS | keywords)

    def new_regressor(self, **keywords: Any) -> MLPRegressor:
        """Return a regressor with the settings of the scene, updated by these."""
        return MLPRegressor(**{"backend": self.backend} | SETTINGS | keywords)

    def content(self) -> dict[str, Any]:
        """Return everything that a fault could change, to the bit, for comparisons."""
        return {
            "trainer": _trainer_content(self.trainer),
            "class_trainer": _trainer_content(self.class_trainer),
            "classifier": _estimator_content(self.classifier),
            "regressor": _estimator_content(self.regressor),
            "files": {path.name: path.read_bytes() for path in self.folder.iterdir()},
        }


def with_value(array: Any, place: tuple[int, ...], value: float) -> np.ndarray:
    """Return a copy with another value at one index."""
    changed = np.array(array, np.float64)
    changed[place] = value
    return changed


def _trainer_content(trainer: Trainer) -> Any:
    arrays = [(str(leaf.dtype), leaf.shape, leaf.tobytes()) for leaf in tree.leaves(host(trainer))]
    history = list(trainer.history), trainer.history.losses[:]
    return arrays, history, trainer.epoch, trainer.step, trainer.seed, trainer.input_shape


def _estimator_content(estimator: Any) -> Any:
    others = {name: repr(value) for name, value in vars(estimator).items() if name != "trainer_"}
    return _trainer_content(estimator.trainer_), others
