"""Examples that are held out of a fit, to see how it gets on."""

from backends import HostArray, get_backend
from multinn.sklearn.trainer import PenalizedTrainer
from multinn.training.plan import Examples


class HeldOut:
    """Checked examples, whose inputs are put on the backend once for all epochs of a fit.

    Attributes:
        labels: the targets in the form in which they are scored.
        weights: (examples,) or None.
    """

    def __init__(self, trainer: PenalizedTrainer, examples: Examples, labels: HostArray) -> None:
        self.labels = labels
        self.weights: HostArray | None = examples.weights
        self._examples = examples
        self._trainer = trainer
        self._inputs = trainer.place_inputs(examples.x)

    def outputs(self) -> HostArray:
        """Return what the model puts out now, (examples, outputs)."""
        return self._trainer.predict_placed(self._inputs)

    def loss(self, outputs: HostArray) -> float:
        """Return the loss of these outputs, which are few numbers: on the host."""
        loss = self._trainer.program.loss
        return float(
            loss.value(get_backend("numpy:eager"), outputs, self._examples.targets, self.weights)
        )
