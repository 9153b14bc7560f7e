"""Records as rows of a CSV file."""

import csv
import io
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from multinn.host.paths import PathLike, check_path, check_target
from multinn.training.base import BaseTrainer
from multinn.training.callback import Callback
from multinn.training.history import Record


class CSVLogger(Callback):
    """Appends each record to a CSV file, which is closed after each row.

    The names of the first record are the header. A resumed run appends to a file with the same header,
    after removing an incomplete last line, left by a run that was killed while writing.

    Attributes:
        path: the path of the file.
    """

    def __init__(self, path: PathLike) -> None:
        """Check the path.

        Raises:
            TypeError, ValueError: path is not a path.
        """
        check_path(path, "CSVLogger: path")
        self.path = Path(path)

    def on_check(self, names: Collection[str]) -> None:
        """Check that rows with these names can be appended.

        Raises:
            ValueError: the file has other columns.
            OSError: the folder does not exist, or the path is not that of a file that can be read.
        """
        check_target(self.path, "CSVLogger: path")
        with suppress(FileNotFoundError), open(self.path, "rb") as file:
            if file.readline().endswith(b"\n"):
                header = _header(file)
                # Callbacks may add others without announcing them.
                if [name for name in header if name in names] != list(names):
                    self._refuse(header, names)

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
                header = _header(file)
                if header != names:
                    self._refuse(header, names)
            if file.seek(0, os.SEEK_END) > end:
                file.truncate(end)
            file.write((_line(names) if end == 0 else b"") + _line(record.values()))

    def _refuse(self, header: list[str], names: Collection[str]) -> NoReturn:
        raise ValueError(
            f"CSVLogger: {self.path} has the columns {header}, the record {list(names)}: "
            "choose another file"
        )


def _header(file: BinaryIO) -> list[str]:
    """Return the names of the columns."""
    file.seek(0)
    return next(csv.reader(line.decode("utf-8", "replace") for line in file))


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
