"""Records as curves in TensorBoard."""

import os
from importlib import import_module
from typing import Any

from multinn.training.base import BaseTrainer
from multinn.training.callback import Callback
from multinn.training.checkpoints import PathLike
from multinn.training.history import Record

_MODULES = ("tensorboardX", "torch.utils.tensorboard")


class TensorBoard(Callback):
    """Writes the figures of each record for TensorBoard, by the number of the epoch.

    Needs tensorboardX, which the extra ``tensorboard`` installs, or torch with tensorboard.

    Attributes:
        folder: for the event files, made where it is missing.
    """

    def __init__(self, folder: PathLike) -> None:
        """Prepare to write.

        Args:
            folder: for the event files; each run adds one.

        Raises:
            ImportError: nothing is installed that can write them.
        """
        self.folder = os.fspath(folder)
        self._make_writer = _summary_writer()
        self._writer: Any = None

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Open a file."""
        self.on_fit_end(trainer)  # what a run has left that could not even start
        self._writer = self._make_writer(self.folder)

    def on_report(self, trainer: BaseTrainer, record: Record) -> None:
        """Write the figures."""
        for name, value in record.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, int(record["epoch"]))
        self._writer.flush()

    def on_fit_end(self, trainer: BaseTrainer) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None  # so that the callback can be copied again

    def on_fit_error(self, trainer: BaseTrainer) -> None:
        """Close the file, too."""
        self.on_fit_end(trainer)


def _summary_writer() -> Any:
    for name in _MODULES:
        try:
            return import_module(name).SummaryWriter
        except ImportError:
            continue
    raise ImportError(
        "TensorBoard: expected tensorboardX, or torch with tensorboard, neither is installed: "
        'pip install "multinn[tensorboard]"'
    )
