"""Files that are written whole or not at all."""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PathLike = str | os.PathLike[str]

_KINDS = {
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def replacing(path: PathLike) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of ``path`` when the context ends well.

    Whatever fails before, ``path`` stays as it was, and the new file is removed. Who reads ``path``
    meanwhile sees the old file or the new one, whole; of several writers, the last one's stays. When
    the context has ended, the new file is on the disk, also after a loss of power. A process that is
    killed within leaves the new file behind, beside ``path``, as ``.unfinished-`` and random digits.

    Args:
        path: whose folder exists. Where it is a symbolic link, the file that it leads to is replaced.

    Raises:
        OSError: the file cannot be written, or ``path`` is a device, a FIFO or a socket.
    """
    target = Path(os.path.realpath(path))
    with _naming(path):
        _check_kind(path)
        yield from _replacing(target)
    _sync_folder(target.parent)


def _check_kind(path: PathLike) -> None:
    """Raise OSError for a device and the like, which a file would replace for all who use it."""
    with suppress(FileNotFoundError):
        kind = _KINDS.get(stat.S_IFMT(os.stat(path).st_mode))
        if kind is not None:
            raise OSError(
                f"{os.fspath(path)}: expected a regular file, or none, got {kind}, which stays as it "
                "is; choose another path"
            )


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
def _naming(path: PathLike) -> Iterator[None]:
    """Let an error of the system name the file that was asked for, and not the unfinished one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        message = f"{error.strerror}: this could not be written, what was there before stays"
        raise OSError(error.errno, message, os.fspath(path)) from error


def _discard(file: BinaryIO, path: Path) -> None:
    """Close and remove the file, whatever else goes wrong."""
    with suppress(OSError):  # what is still buffered may not fit on the disk either
        file.close()
    path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
