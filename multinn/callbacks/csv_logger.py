"""Records as rows of a CSV file."""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from multinn.training.base import BaseTrainer
from multinn.training.callback import Callback
from multinn.training.checkpoints import PathLike
from multinn.training.history import Record


class CSVLogger(Callback):
    """Appends each record to a CSV file, which is closed after each row.

    The names of the first record are the header. A resumed run appends to a file with the same header,
    after removing an incomplete last line, left by a run that was killed while writing.

    Attributes:
        path: the path of the file.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)

    def on_report(self, trainer: BaseTrainer, record: Record) -> None:
        """Append a row.

        Raises:
            ValueError: the file has other columns.
            OSError: the file cannot be read or written.
        """
        names = list(record)
        with open(self.path, "ab+") as file:  # "a": writes go to the end, wherever the file was read
            end = _end_of_rows(file)
            file.seek(0)
            if end > 0 or not _line(names).startswith(file.read()):  # not for a new or a partial header
                self._check_header(file, names)
            if file.seek(0, os.SEEK_END) > end:
                file.truncate(end)
            file.write((_line(names) if end == 0 else b"") + _line(record.values()))

    def _check_header(self, file: BinaryIO, names: list[str]) -> None:
        file.seek(0)
        header = next(csv.reader(line.decode("utf-8", "replace") for line in file))
        if header != names:
            raise ValueError(
                f"CSVLogger: {self.path} has the columns {header}, the record {names}: "
                "choose another file"
            )


def _line(values: Iterable[Any]) -> bytes:
    """Return a row as bytes."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(values)
    return text.getvalue().encode()


def _end_of_rows(file: BinaryIO) -> int:
    """Return the position after the last complete row."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read(1) in (b"", b"\n"):
        return size
    file.seek(0)
    return file.read().rfind(b"\n") + 1
