"""Checkpoints while training."""

from multinn.callbacks.monitor import Monitor
from multinn.training.base import BaseTrainer
from multinn.training.callback import Callback
from multinn.training.checkpoints import PathLike
from multinn.training.history import Record
from multinn.training.program import TrainingState


class SaveCheckpoint(Callback):
    """Saves the trainer at each report, as `Trainer.save` does.

    The file is replaced as a whole: at any time it holds one valid checkpoint. When the run ends, by
    Ctrl-C too but not by an error, it is the trainer as it is then, unless only the best are saved: with
    the best state, if an `EarlyStopping` before this callback, or an estimator's own early stopping, has
    restored it.

    Attributes:
        path: of the file.
    """

    def __init__(
        self,
        path: PathLike,
        *,
        save_best_only: bool = False,
        monitor: str = "validation_loss",
        mode: str | None = None,
    ) -> None:
        """Prepare to save.

        Args:
            path: replaced at each report; its folder has to exist.
            save_best_only: whether to save only when the monitored figure is the best of the run.
            monitor: the name of a figure of the records.
            mode: "min" where smaller is better, "max" where larger is; None is "min", for a loss alone.

        Raises:
            ValueError: the mode is another, or None where nothing tells it.
        """
        self.path = path
        self._monitor = Monitor("SaveCheckpoint", monitor, mode)
        self.needs = (monitor,) if save_best_only else ()
        self._save_best_only = save_best_only
        self._saved: TrainingState | None = None

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Forget the last run."""
        self._monitor.reset()
        self._saved = trainer.state

    def on_report(self, trainer: BaseTrainer, record: Record) -> None:
        """Save."""
        if not self._save_best_only or self._monitor.improves(record):
            self._save(trainer)

    def on_fit_end(self, trainer: BaseTrainer) -> None:
        """Save what came after the last report: more epochs, or a state that was restored."""
        if not self._save_best_only and trainer.state is not self._saved:
            self._save(trainer)
        self._saved = None

    def _save(self, trainer: BaseTrainer) -> None:
        trainer.save(self.path)
        self._saved = trainer.state
