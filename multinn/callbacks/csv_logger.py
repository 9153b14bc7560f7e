"""Records as rows of a CSV file."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from multinn.callbacks.base import Callback
from multinn.checkpoints import PathLike
from multinn.history import Record

if TYPE_CHECKING:
    from multinn.trainer import Trainer


class CSVLogger(Callback):
    """Appends each record to a CSV file, which is closed again, so that the file is whole at any time.

    The first record gives the header; a file with the same header is gone on with, as of a run that was
    resumed.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)

    def on_report(self, trainer: "Trainer", record: Record) -> None:
        """Append a row.

        Raises:
            ValueError: the file has other columns.
            OSError: it cannot be read or written.
        """
        names = list(record)
        with open(self.path, "a+", newline="", encoding="utf-8") as file:
            file.seek(0)
            header = next(csv.reader(file), None)
            if header is not None and header != names:
                raise ValueError(
                    f"CSVLogger: {self.path} has the columns {header}, the record {names}: "
                    "choose another file"
                )
            writer = csv.writer(file)  # what is written is always appended
            if header is None:
                writer.writerow(names)
            writer.writerow(record.values())
