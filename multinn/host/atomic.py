"""Files that are written completely or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from multinn.host.paths import PathLike, check_target


@contextmanager
def replacing(path: PathLike) -> Iterator[BinaryIO]:
    """Yield a new file that replaces ``path`` when the context ends without an error.

    After an error, ``path`` is unchanged and the new file is removed. A reader always sees a complete
    file, the old or the new one; of several writers, the last wins. After the context, the new file
    survives a loss of power. A process that is killed in the context leaves a file ``.unfinished-...``.

    Args:
        path: the file, in a folder that exists. The target of a symbolic link is replaced.

    Raises:
        OSError, TypeError, ValueError: as in `check_target`, or the file cannot be written.
    """
    check_target(path)
    target = Path(os.path.realpath(path))
    with _errors_naming(path):
        yield from _replacing(target)
    _sync_folder(target.parent)


def _replacing(target: Path) -> Iterator[BinaryIO]:
    unfinished = target.with_name(f".unfinished-{secrets.token_hex(8)}")
    with unfinished.open("xb+") as file:
        try:
            with suppress(FileNotFoundError):
                shutil.copymode(target, unfinished)
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            _discard(file, unfinished)
            raise
    try:
        os.replace(unfinished, target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


@contextmanager
def _errors_naming(path: PathLike) -> Iterator[None]:
    """Make errors of the system name ``path`` instead of the unfinished file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        message = f"{error.strerror}: the file could not be written, an existing file is unchanged"
        raise OSError(error.errno, message, os.fspath(path)) from error


def _discard(file: BinaryIO, path: Path) -> None:
    with suppress(OSError):  # closing writes the buffer, which may not fit on the disk either
        file.close()
    path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk."""
    if not hasattr(os, "O_DIRECTORY"):  # as on Windows
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
