"""Examples that are held out of a fit, to see how it gets on."""

from functools import cached_property
from typing import Any

import numpy as np

from backends import get_backend
from multinn.inference import InputPieces
from multinn.sklearn.trainer import PenalizedTrainer
from multinn.training import Examples

HostArray = np.ndarray[Any, np.dtype[Any]]


class HeldOut:
    """Checked examples, whose inputs are put on the backend when they are first used, for a whole fit.

    Attributes:
        labels: the targets in the form in which they are scored.
        weights: (examples,) or None.
    """

    def __init__(self, trainer: PenalizedTrainer, examples: Examples, labels: HostArray) -> None:
        self.labels = labels
        self.weights: HostArray | None = examples.weights
        self._examples = examples
        self._trainer = trainer

    @cached_property
    def _inputs(self) -> InputPieces:
        return self._trainer.place_inputs(self._examples.x)

    def outputs(self) -> HostArray:
        """Return what the model puts out now, (examples, outputs)."""
        return self._trainer.predict_placed(self._inputs)

    def loss(self, outputs: HostArray) -> float:
        """Return the loss of these outputs, which are few numbers: on the host."""
        loss = self._trainer.program.loss
        return float(
            loss.value(get_backend("numpy:eager"), outputs, self._examples.targets, self.weights)
        )
