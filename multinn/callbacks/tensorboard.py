"""Records as curves in TensorBoard."""

import os
from collections.abc import Collection
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from multinn.host.extras import extra
from multinn.host.paths import PathLike, check_path
from multinn.training.base import BaseTrainer
from multinn.training.callback import Callback
from multinn.training.history import Record

_MODULES = ("tensorboardX", "torch.utils.tensorboard")


class TensorBoard(Callback):
    """Writes each record for TensorBoard, as curves over the epochs.

    Needs tensorboardX, which the extra ``tensorboard`` installs, or torch with tensorboard.

    Attributes:
        folder: the folder of the event files, which is created if it is missing.
    """

    def __init__(self, folder: PathLike) -> None:
        """Find a library that writes event files.

        Args:
            folder: the folder of the event files; each run adds a file.

        Raises:
            ImportError: no such library is installed.
            TypeError, ValueError: folder is not a path.
        """
        check_path(folder, "TensorBoard: folder")
        self.folder = os.fspath(folder)
        self._make_writer = _summary_writer()
        self._writer: Any = None

    def on_check(self, names: Collection[str]) -> None:
        """Check that the folder exists or can be created.

        Raises:
            NotADirectoryError: the path is that of a file, or goes through one.
        """
        folder = Path(self.folder)
        existing = next((path for path in (folder, *folder.parents) if path.exists()), None)
        if existing is not None and not existing.is_dir():
            raise NotADirectoryError(
                f"TensorBoard: folder: expected the path of a folder, got {self.folder}, but {existing} "
                "is a file"
            )

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Open a file."""
        self.on_fit_end(trainer)  # closes the file of a run that failed to start
        self._writer = self._make_writer(self.folder)

    def on_report(self, trainer: BaseTrainer, record: Record) -> None:
        """Write the values of the record."""
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
        """Close the file after an error."""
        self.on_fit_end(trainer)


def _summary_writer() -> Any:
    first, second = _MODULES
    with suppress(ImportError):
        return import_module(first).SummaryWriter
    with extra("tensorboard", "TensorBoard needs tensorboardX, or torch with tensorboard"):
        return import_module(second).SummaryWriter
