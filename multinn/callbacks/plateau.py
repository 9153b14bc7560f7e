"""A learning rate that falls on plateaus."""

from multinn.callbacks.monitor import Monitor
from multinn.descriptions.types import checks_arguments
from multinn.host.checks import check_integers
from multinn.optimizers.scaled import learning_rate_scale, with_learning_rate_scale
from multinn.training.base import BaseTrainer
from multinn.training.callback import Callback
from multinn.training.history import Record


class ReduceLearningRateOnPlateau(Callback):
    """Multiplies the learning rate by a factor when a loss or a metric has stopped improving.

    The optimizer must be or contain a `ScaledLearningRate`, whose state holds the scale; optimizers of
    estimators have a scale already. So nothing is compiled again, checkpoints include the scale, and a
    new run continues with the last scale. Counts start again with each run.
    """

    # Instances that earlier versions pickled lack these.
    _cooldown = 0
    _ignored = 0

    @checks_arguments
    def __init__(
        self,
        monitor: str = "validation_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 0.0,
        mode: str | None = None,
        min_scale: float = 0.0,
        cooldown: int = 0,
    ) -> None:
        """Check the options.

        Args:
            monitor: the name of a loss or a metric in the records.
            factor: the factor, in [0, 1).
            patience: the number of consecutive reports without improvement after which the learning
                rate falls; the count then starts again.
            min_delta: an improvement must be larger than this.
            mode: "min" if smaller is better, "max" if larger is; None means "min", for a loss only.
            min_scale: the lower bound of the scale, in [0, 1).
            cooldown: the number of reports after a fall that do not count for patience, as in PyTorch;
                in Keras, there is one less.

        Raises:
            TypeError, ValueError: an option has an impossible value.
        """
        check_integers(patience=patience)
        check_integers(minimum=0, cooldown=cooldown)
        for name, value in (("factor", factor), ("min_scale", min_scale)):
            if not 0.0 <= value < 1.0:
                raise ValueError(
                    f"ReduceLearningRateOnPlateau: expected {name} in [0, 1), got {value!r}"
                )
        self._monitor = Monitor("ReduceLearningRateOnPlateau", monitor, mode, min_delta)
        self.needs = (monitor,)
        self._factor = factor
        self._patience = patience
        self._min_scale = min_scale
        self._cooldown = cooldown
        self._worse = 0

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Forget the last run.

        Raises:
            ValueError: the optimizer has no scale.
        """
        learning_rate_scale(trainer.backend, trainer.optimizer_state)
        self._monitor.reset()
        self._worse = self._ignored = 0

    def on_report(self, trainer: BaseTrainer, record: Record) -> None:
        """Reduce the learning rate if patience has run out."""
        self._worse = 0 if self._monitor.improves(record) else self._worse + 1
        if self._ignored > 0:
            self._ignored -= 1
            self._worse = 0
        if self._worse >= self._patience:
            self._worse, self._ignored = 0, self._cooldown
            state = trainer.optimizer_state
            scale = learning_rate_scale(trainer.backend, state)
            reduced = min(max(scale * self._factor, self._min_scale), scale)
            state = with_learning_rate_scale(trainer.backend, state, reduced)
            trainer.state = trainer.state._replace(optimizer_state=state)
