"""A learning rate that falls when nothing gets better."""

from numbers import Real

from multinn.callbacks.monitor import Monitor
from multinn.host.checks import check_at_least_one
from multinn.optimizers.scaled import learning_rate_scale, with_learning_rate_scale
from multinn.training.base import BaseTrainer
from multinn.training.callback import Callback
from multinn.training.history import Record


class ReduceLearningRateOnPlateau(Callback):
    """Multiplies the learning rate by a factor when a figure has not become better for some reports.

    The optimizer has to be, or to hold, a `ScaledLearningRate`, whose state has the scale: nothing is
    compiled anew, and a checkpoint keeps it. A new run goes on from the scale of the last.
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 0.0,
        mode: str | None = None,
        min_scale: float = 0.0,
    ) -> None:
        """Prepare to watch.

        Args:
            monitor: the name of a figure of the records.
            factor: what the learning rate is multiplied by.
            patience: how many reports in a row may bring nothing better before that; then anew.
            min_delta: how much better a value has to be to count.
            mode: "min" where smaller is better, "max" where larger is; None is "min", for a loss alone.
            min_scale: the scale does not fall below that.

        Raises:
            TypeError, ValueError: one of them is impossible.
        """
        check_at_least_one(patience=patience)
        for name, value in (("factor", factor), ("min_scale", min_scale)):
            if not isinstance(value, Real) or not 0.0 <= value < 1.0:
                raise ValueError(
                    f"ReduceLearningRateOnPlateau: expected {name} of 0 or more, below 1, got {value!r}"
                )
        self._monitor = Monitor("ReduceLearningRateOnPlateau", monitor, mode, min_delta)
        self.needs = (monitor,)
        self._factor = factor
        self._patience = patience
        self._min_scale = min_scale
        self._worse = 0

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Forget the last run.

        Raises:
            ValueError: the optimizer has no scale.
        """
        learning_rate_scale(trainer.backend, trainer.optimizer_state)
        self._monitor.reset()
        self._worse = 0

    def on_report(self, trainer: BaseTrainer, record: Record) -> None:
        """Reduce the learning rate if patience has run out."""
        self._worse = 0 if self._monitor.improves(record) else self._worse + 1
        if self._worse >= self._patience:
            self._worse = 0
            state = trainer.optimizer_state
            scale = learning_rate_scale(trainer.backend, state)
            reduced = min(max(scale * self._factor, self._min_scale), scale)
            state = with_learning_rate_scale(trainer.backend, state, reduced)
            trainer.state = trainer.state._replace(optimizer_state=state)
