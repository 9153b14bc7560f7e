"""Checks of paths, before anything is read, written or computed."""

import os
import stat
from pathlib import Path
from typing import Any

PathLike = str | os.PathLike[str]

_KINDS = {
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


def check_path(path: Any, name: str = "path") -> None:
    """Check that this is a path; Python would take an integer for the number of an open file.

    Raises:
        TypeError: the path is neither a string nor an object with a string, such as a `pathlib.Path`.
        ValueError: it is empty, or has a character that no path can have.
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(text, str):
        remedy = "; write os.fsdecode(...)" if isinstance(text, bytes) else ""
        raise TypeError(f"{name}: expected a string or a pathlib.Path, got {path!r}{remedy}")
    if not text or "\0" in text:
        raise ValueError(f"{name}: expected the path of a file or a folder, got {text!r}")


def check_target(path: Any, name: str = "path") -> None:
    """Check that a file can be written at this path, or replaced, as far as that is known before.

    Raises:
        OSError: its folder does not exist; or there is a folder, a device, a FIFO or a socket.
        TypeError, ValueError: as in `check_path`.
    """
    check_path(path, name)
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{name}: expected the path of a file, got the folder {path}")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"{name}: expected a folder that exists, got {path}; create {target.parent} first"
        )
    kind = _KINDS.get(stat.S_IFMT(target.stat().st_mode)) if target.exists() else None
    if kind is not None:
        raise OSError(
            f"{name}: expected a regular file or none, got {os.fspath(path)}, {kind}, which is "
            "unchanged; choose another path"
        )
