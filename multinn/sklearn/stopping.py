"""When a fit stops: examples that are held out, and scikit-learn's rule of no improvement."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from backends import HostArray, get_backend
from multinn.sklearn.trainer import PenalizedTrainer
from multinn.training.plan import Examples

# Epochs in one call of a compiled program, if none of them can be the last.
EPOCHS_A_CALL = 8


@dataclass
class Improvement:
    """Counts the epochs in a row without an improvement by at least a tolerance.

    Attributes:
        best: the best value so far: the largest score, or the smallest loss with its sign changed.
        count: the number of epochs in a row without an improvement.
    """

    best: float = -math.inf
    count: int = 0

    def see(self, value: float, tol: float) -> bool:
        """Count one epoch, and return whether it is the best so far.

        Args:
            value: a score, or a loss with its sign changed.
            tol: the smallest improvement over the best that counts.
        """
        self.count = 0 if value >= self.best + tol else self.count + 1
        if value > self.best:
            self.best = value
            return True
        return False

    def quiet_epochs(self, patience: float) -> float:
        """Return the least number of epochs before the count can exceed ``patience``."""
        return patience + 1 - self.count


Score = Callable[[HostArray, HostArray, HostArray | None], float]


class HeldOut:
    """Examples that are held out of a fit. Their inputs are put on the backend once for all epochs."""

    def __init__(
        self, trainer: PenalizedTrainer, examples: Examples, labels: HostArray, score: Score
    ) -> None:
        """Put the inputs on the backend.

        Args:
            trainer: the trainer of the fit.
            examples: checked examples.
            labels: the targets in the form in which they are scored.
            score: a function of labels, outputs and weights; larger is better.
        """
        self._labels = labels
        self._score = score
        self._examples = examples
        self._trainer = trainer
        self._inputs = trainer.place_inputs(examples.x)

    def outputs(self) -> HostArray:
        """Return the model's present outputs, (examples, outputs)."""
        return self._trainer.predict_placed(self._inputs)

    def loss(self, outputs: HostArray) -> float:
        """Return the loss of these outputs, computed on the host."""
        loss, targets = self._trainer.program.loss, self._examples.targets
        backend = get_backend("numpy:eager")
        return float(loss.value(backend, outputs, targets, self._examples.weights))

    def score(self, outputs: HostArray) -> float:
        """Return the score of these outputs."""
        return self._score(self._labels, outputs, self._examples.weights)
