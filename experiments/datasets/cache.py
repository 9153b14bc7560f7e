"""A folder of arrays that were fetched once, and the checksums that show them undamaged."""

import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from experiments.shared.errors import DatasetError

CACHE_VARIABLE: Final = "MULTINN_CACHE"

_CHECKSUMS_FILE: Final = "checksums.json"

Bytes = NDArray[np.uint8]


def cache_folder(name: str) -> Path:
    """Return the folder of that name in the user's cache, such as that of a data set; it need not exist.

    It is in MULTINN_CACHE, or else in multinn in XDG_CACHE_HOME, or else in ~/.cache/multinn.

    Raises:
        DatasetError: there is no home folder, and one is needed.
    """
    if named := os.environ.get(CACHE_VARIABLE):
        return expand_home(named) / name
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says to ignore a relative path.
    return (base if base.is_absolute() else expand_home("~/.cache")) / "multinn" / name


def expand_home(path: str | Path) -> Path:
    """Return the path with a leading ~ replaced.

    Raises:
        DatasetError: there is no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DatasetError(
            f"{path}: there is no home folder to put for ~ ({error}); name a folder without it, "
            f"in {CACHE_VARIABLE} for the cache"
        ) from error


def read_cache(folder: Path, names: Collection[str]) -> dict[str, Bytes] | None:
    """Read the arrays of those names as they were written.

    Returns:
        The arrays by name; or None where there is no cache.

    Raises:
        DatasetError: there is a cache, and it is damaged or unreadable.
    """
    try:
        files = (_CHECKSUMS_FILE, *(f"{name}.npy" for name in names))
        if not any((folder / file).exists() for file in files):
            return None
        checksums = _read_checksums(folder / _CHECKSUMS_FILE, names)
        return {name: _read_npy(folder / f"{name}.npy", checksums[name]) for name in names}
    except (OSError, ValueError) as error:
        raise DatasetError(f"it is damaged or unreadable: {error}") from error


def write_cache(folder: Path, arrays: Mapping[str, Bytes], source: str) -> None:
    """Write the cache whole or not at all.

    Args:
        folder: is made where it is missing.
        arrays: by name.
        source: where they came from, for who looks into the folder.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="incomplete-") as temporary:
        staging = Path(temporary)
        checksums = {name: _write_npy(staging / f"{name}.npy", array) for name, array in arrays.items()}
        with (staging / _CHECKSUMS_FILE).open("w", encoding="utf-8") as file:
            json.dump({"source": source, "sha256": checksums}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        # The checksums come last: without them, the arrays are not a cache.
        for file_name in (*(f"{name}.npy" for name in arrays), _CHECKSUMS_FILE):
            os.replace(staging / file_name, folder / file_name)


def _read_checksums(path: Path, names: Collection[str]) -> dict[str, str]:
    """Read the SHA-256 of each cached file; ValueError where the JSON is not that."""
    content = json.loads(path.read_text(encoding="utf-8"))
    checksums = content.get("sha256") if isinstance(content, dict) else None
    if not isinstance(checksums, dict) or checksums.keys() != set(names):
        raise ValueError(f"{path.name} does not give the SHA-256 of each of the {len(names)} arrays")
    return checksums


def _read_npy(path: Path, checksum: str) -> Bytes:
    """Read an array whose file has the given SHA-256; ValueError where it has another."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
            raise ValueError(f"the SHA-256 of {path.name} is not the one in {_CHECKSUMS_FILE}")
        file.seek(0)
        return cast(Bytes, np.load(file, allow_pickle=False))


def _write_npy(path: Path, array: Bytes) -> str:
    """Write an array to disk and return the SHA-256 of its file."""
    with path.open("xb+") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()
