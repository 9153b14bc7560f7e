"""Early stopping: held-out examples, and scikit-learn's count of epochs without an improvement."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backends import HostArray, get_backend
from multinn.sklearn.trainer import PenalizedTrainer
from multinn.training.examples import counting_rows, without_left_out
from multinn.training.program import Examples


@dataclass
class Improvement:
    """Counts the consecutive epochs without an improvement by at least a tolerance.

    Attributes:
        best: the largest score so far, or the negative of the smallest loss.
        count: the number of consecutive epochs without an improvement.
    """

    best: float = -math.inf
    count: int = 0

    def update(self, value: float, tol: float) -> bool:
        """Count one epoch, and return whether it is the best so far.

        Args:
            value: a score, or the negative of a loss.
            tol: the smallest improvement over the best that resets the count.
        """
        self.count = 0 if value >= self.best + tol else self.count + 1
        if value > self.best:
            self.best = value
            return True
        return False

    def epochs_to_exceed(self, patience: float) -> float:
        """Return how many more epochs without an improvement make the count exceed ``patience``."""
        return patience + 1 - self.count


Score = Callable[[HostArray, HostArray, HostArray | None], float]


class HeldOut:
    """Examples that are held out of a fit. Their inputs are put on the backend once, for all epochs."""

    def __init__(
        self, trainer: PenalizedTrainer, examples: Examples, labels: HostArray, score: Score
    ) -> None:
        """Put the inputs on the backend.

        Args:
            trainer: the trainer of the fit.
            examples: the checked examples.
            labels: the targets as ``score`` takes them.
            score: a function of labels, outputs and weights; larger is better.
        """
        if examples.weights is not None:
            rows = counting_rows(examples.weights)
            examples, labels = without_left_out(examples), labels[rows]
        self._labels = labels
        self._score = score
        self._examples = examples
        self._trainer = trainer
        self._inputs = trainer.place_inputs(examples.x)

    def outputs(self) -> HostArray:
        """Return the current outputs of the model, (examples, outputs)."""
        return self._trainer.predict_chunks(self._inputs)

    def loss(self, outputs: HostArray) -> float:
        """Return the loss of these outputs, computed on the host."""
        loss, (_, targets, weights) = self._trainer.program.loss, self._examples
        with np.errstate(over="ignore", invalid="ignore"):  # NaN or infinity is the loss then
            return float(loss.value(get_backend("numpy:eager"), outputs, targets, weights))

    def score(self, outputs: HostArray) -> float:
        """Return the score of these outputs; -inf, the worst, if one of them is not finite.

        A run that diverges then ends at its next step, with the error that tells so.
        """
        if not np.isfinite(outputs).all():
            return -math.inf
        with np.errstate(over="ignore"):  # an R² of -inf
            return self._score(self._labels, outputs, self._examples.weights)
