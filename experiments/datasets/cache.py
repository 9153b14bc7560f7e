"""The user's cache folder, and files of arrays in it."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.shared.errors import DatasetError
from multinn.host.atomic import replacing

CACHE_VARIABLE: Final = "MULTINN_CACHE"

Bytes = NDArray[np.uint8]


def cache_path(name: str) -> Path:
    """Return the path of a file or folder in the user's cache folder; it need not exist.

    The cache folder is MULTINN_CACHE, else multinn in XDG_CACHE_HOME, else ~/.cache/multinn.

    Raises:
        DatasetError: the home folder is needed and unknown.
    """
    if named := os.environ.get(CACHE_VARIABLE):
        return expand_home(named) / name
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says to ignore a relative path.
    return (base if base.is_absolute() else expand_home("~/.cache")) / "multinn" / name


def expand_home(path: str | Path) -> Path:
    """Return the path with a leading ~ replaced by the home folder.

    Raises:
        DatasetError: the home folder is unknown.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DatasetError(
            f"{path}: the home folder, ~, is unknown ({error}); name a folder without ~, for the cache "
            f"in {CACHE_VARIABLE}"
        ) from error


def read_cache(path: Path, names: Collection[str]) -> dict[str, Bytes] | None:
    """Read the named arrays of an ``.npz`` file, and check its checksums.

    Returns:
        The arrays by name; None if there is no such file.

    Raises:
        DatasetError: the file is damaged or unreadable.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            # Reading an array checks its CRC-32 only if its header is right.
            if damaged := arrays.zip.testzip():
                raise ValueError(f"the checksum of {damaged} is wrong")
            return {name: arrays[name] for name in names}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # zipfile and NumPy raise many unrelated classes
        raise DatasetError(f"damaged or unreadable: {type(error).__name__}: {error}") from error


def write_cache(path: Path, arrays: Mapping[str, Bytes]) -> None:
    """Write arrays to an ``.npz`` file, whole or not at all; missing folders are created.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)
