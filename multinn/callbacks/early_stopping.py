"""Early stopping."""

import math

from multinn.callbacks.monitor import Monitor
from multinn.descriptions.types import checks_arguments
from multinn.host.checks import check_integers
from multinn.training.base import BaseTrainer
from multinn.training.callback import Callback
from multinn.training.history import Record
from multinn.training.program import TrainingState


class EarlyStopping(Callback):
    """Stops training when a loss or a metric has not improved for some reports.

    Counts start again with each run, also with one that continues from a checkpoint.
    Source: L. Prechelt, Early Stopping - But When?, in Neural Networks: Tricks of the Trade, 1998.

    Attributes:
        monitor: the monitored loss or metric, with its best value.
        best_epoch: the epoch of the best value; None before the first report.
    """

    # Instances that earlier versions pickled lack these.
    _baseline: float | None = None
    _start_from_epoch = 0

    @checks_arguments
    def __init__(
        self,
        monitor: str = "validation_loss",
        *,
        patience: int = 10,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore_best: bool = True,
        baseline: float | None = None,
        start_from_epoch: int = 0,
    ) -> None:
        """Check the options.

        Args:
            monitor: the name of a loss or a metric in the records.
            patience: the number of consecutive reports without improvement after which training stops.
            min_delta: an improvement must be larger than this.
            mode: "min" if smaller is better, "max" if larger is; None means "min", for a loss only.
            restore_best: whether to restore the state of the best report, however the run ends. The
                epoch, the step and the history of the trainer do not go back.
            baseline: a value to reach. As in Keras, only an improvement that is also better than the
                baseline, by more than min_delta, starts the count of patience again; and training stops
                only at a report without improvement.
            start_from_epoch: the number of the trainer's first epochs whose reports are ignored.

        Raises:
            TypeError, ValueError: an option has an impossible value.
        """
        check_integers(patience=patience)
        check_integers(minimum=0, start_from_epoch=start_from_epoch)
        if baseline is not None and math.isnan(baseline):
            raise ValueError("EarlyStopping: expected a baseline that can be reached, got NaN")
        self.monitor = Monitor("EarlyStopping", monitor, mode, min_delta)
        self.best_epoch: int | None = None
        self.needs = (monitor,)
        self._patience = patience
        self._restore_best = restore_best
        self._baseline = baseline
        self._start_from_epoch = start_from_epoch
        self._worse = 0
        self._best: TrainingState | None = None

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Forget the last run."""
        self.monitor.reset()
        self.best_epoch, self._worse, self._best = None, 0, None

    def on_report(self, trainer: BaseTrainer, record: Record) -> bool:
        """Return whether patience has run out."""
        if trainer.epoch <= self._start_from_epoch:
            return False
        self._worse += 1
        if not self.monitor.improves(record):
            return self._worse >= self._patience
        self.best_epoch = trainer.epoch
        self._best = trainer.state if self._restore_best else None
        if self._baseline is None or self.monitor.is_better(self.monitor.best, self._baseline):
            self._worse = 0
        return False

    def on_fit_end(self, trainer: BaseTrainer) -> None:
        """Restore the best state."""
        if self._best is not None:
            trainer.state, self._best = self._best, None

    def on_fit_error(self, trainer: BaseTrainer) -> None:
        """Restore the best state, for example after a divergence."""
        self.on_fit_end(trainer)
