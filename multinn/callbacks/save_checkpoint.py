"""Checkpoints during training."""

from collections.abc import Collection

from multinn.callbacks.monitor import Monitor
from multinn.descriptions.types import checks_arguments
from multinn.host.paths import PathLike, check_path
from multinn.training import checkpoints
from multinn.training.base import BaseTrainer
from multinn.training.callback import Callback
from multinn.training.history import Record
from multinn.training.program import TrainingState


class SaveCheckpoint(Callback):
    """Saves the trainer at each report, as `Trainer.save` does.

    The file is replaced as a whole, so that it is a valid checkpoint at any time. Without
    ``save_best_only``, the trainer is also saved at the end of the run, even an interrupted run, but not
    after an error. Its state is then the best one if an `EarlyStopping` before this callback, or an
    estimator's own early stopping, has restored it.

    Attributes:
        path: the path of the file.
    """

    @checks_arguments
    def __init__(
        self,
        path: PathLike,
        *,
        save_best_only: bool = False,
        monitor: str = "validation_loss",
        mode: str | None = None,
    ) -> None:
        """Check the options.

        Args:
            path: the path of the file, which is replaced at each report; its folder must exist.
            save_best_only: whether to save only when the monitored value is the best of the run.
            monitor: the name of a loss or a metric in the records.
            mode: "min" if smaller is better, "max" if larger is; None means "min", for a loss only.

        Raises:
            TypeError: path is not a path.
            ValueError: the mode is invalid, or None for a metric; or the path is empty.
        """
        check_path(path, "SaveCheckpoint: path")
        self.path = path
        self._monitor = Monitor("SaveCheckpoint", monitor, mode)
        self.needs = (monitor,) if save_best_only else ()
        self._save_best_only = save_best_only
        self._saved: TrainingState | None = None

    def on_check(self, names: Collection[str]) -> None:
        """Check that a checkpoint can be written.

        Raises:
            ImportError: safetensors is not installed.
            OSError: the folder does not exist, or the path is not that of a file.
        """
        checkpoints.check_writable(self.path, "SaveCheckpoint: path")

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Forget the last run.

        Raises:
            DescriptionError: a class or a metric, such as a lambda, is not registered.
        """
        checkpoints.describe(trainer.program)
        self._monitor.reset()
        self._saved = trainer.state

    def on_report(self, trainer: BaseTrainer, record: Record) -> None:
        """Save the trainer; with ``save_best_only``, only if the monitored value has improved."""
        if not self._save_best_only or self._monitor.improves(record):
            self._save(trainer)

    def on_fit_end(self, trainer: BaseTrainer) -> None:
        """Save the trainer if it has changed since the last report: epochs, or a restored state."""
        if not self._save_best_only and trainer.state is not self._saved:
            self._save(trainer)
        self._saved = None

    def _save(self, trainer: BaseTrainer) -> None:
        trainer.save(self.path)
        self._saved = trainer.state
