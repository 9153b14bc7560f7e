"""The format of a checkpoint: one safetensors file with a checksum.

The metadata of the file have one entry, ``multinn``: a JSON object that describes the content. It also
holds the version of the format and the checksum, the SHA-256 of the whole file with 64 zeros in place of
the checksum. Later formats keep this entry, the version and the checksum, so that every version of the
library can distinguish a newer file from a damaged one.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from backends import HostArray
from multinn.errors import (
    DamagedCheckpointError,
    ForeignFileError,
    InvalidCheckpointError,
    NewerCheckpointError,
)
from multinn.host.atomic import replacing
from multinn.host.extras import extra
from multinn.host.paths import PathLike, check_target

FORMAT = 1

Content = dict[str, Any]

_NO_CHECKSUM = "0" * 64
_LENGTH = 8  # the bytes that hold the length of the header
_REMEDY = "take another copy, or an earlier checkpoint"
_START = b'{"__metadata__":{"multinn":'


def write(path: PathLike, content: Content, tensors: Mapping[str, HostArray]) -> None:
    """Write a checkpoint completely or not at all.

    Args:
        path: the path of the file, which is replaced if it exists.
        content: a dict for JSON.
        tensors: arrays by name.

    Raises:
        ImportError: safetensors is not installed.
        OSError: the file cannot be written; an existing file is unchanged.
    """
    numpy_format = _safetensors()
    text = json.dumps({"sha256": _NO_CHECKSUM, "format": FORMAT, **content}, allow_nan=False)
    # safetensors copies the memory of an array, whatever the order of its axes.
    in_order = {name: np.asarray(leaf, order="C") for name, leaf in tensors.items()}
    data = numpy_format.save(in_order, {"multinn": text})
    length = int.from_bytes(data[:_LENGTH], "little")
    start = _find_checksum(data[: _LENGTH + length], _NO_CHECKSUM)
    if start < 0 or not data.startswith(_START, _LENGTH):
        raise RuntimeError("this version of safetensors writes a header that cannot be read back")
    with replacing(path) as file:
        file.write(data)
        file.seek(start)
        file.write(hashlib.sha256(data).hexdigest().encode())


def check_writable(path: PathLike, name: str) -> None:
    """Check that a checkpoint can be written at this path, as far as that is known before.

    Args:
        path: the path of the file.
        name: the name of the path in messages.

    Raises:
        ImportError: safetensors is not installed.
        OSError: the folder does not exist, or the path is not that of a file.
    """
    check_target(path, name)
    _safetensors()


class Reader:
    """Reads a checkpoint after verifying its checksum.

    Attributes:
        content: the dict that was passed to `write`.
        size: the size of the file in bytes.
    """

    content: Content
    size: int

    def __init__(self, file: BinaryIO, path: PathLike) -> None:
        """Read the content.

        Args:
            file: open for reading, at its start.
            path: the name of the file in messages.

        Raises:
            ImportError: safetensors is not installed.
            OSError: the file cannot be read.
            CheckpointError: ForeignFileError, the file is not a checkpoint; DamagedCheckpointError, it
                has changed; NewerCheckpointError, its format is newer; InvalidCheckpointError, its
                format is missing or invalid.
        """
        self._numpy_format = _safetensors()
        self._file = file
        self._path = Path(path)
        self.size = os.fstat(file.fileno()).st_size
        header = self._read_header()
        self.content = self._parse(header)
        self._verify_checksum(header)
        version = self.content.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise NewerCheckpointError(
                f"{self._path}: a checkpoint of format {version}; this version of the library reads "
                f"formats up to {FORMAT}: load it with a later version"
            )
        if version != FORMAT or isinstance(version, bool):
            raise InvalidCheckpointError(f"{self._path}: expected format {FORMAT}, got {version!r}")

    def tensors(self) -> dict[str, HostArray]:
        """Return all arrays, by name.

        Raises:
            InvalidCheckpointError: safetensors cannot read the file, or NumPy lacks a dtype.
        """
        from safetensors import SafetensorError

        self._file.seek(0)
        data = self._file.read()
        try:
            tensors: dict[str, HostArray] = self._numpy_format.load(data)
        except (SafetensorError, KeyError, ValueError) as error:
            raise InvalidCheckpointError(
                f"{self._path}: not a valid safetensors file: {error}"
            ) from error
        return tensors

    def _read_header(self) -> bytes:
        """Return the first bytes of the file: the length of the header, and the header."""
        start = self._file.read(_LENGTH + len(_START))
        length, text = start[:_LENGTH], start[_LENGTH:]
        if not start:
            raise DamagedCheckpointError(
                f"{self._path}: expected the file as it was saved, but it is empty: {_REMEDY}"
            )
        if any(length[4:]) or not _START.startswith(text):
            raise ForeignFileError(
                f"{self._path}: not a checkpoint of this library, or its first bytes are damaged: "
                f"{start[:12].hex(' ')}; choose a file that Trainer.save wrote"
            )
        end = min(_LENGTH + int.from_bytes(length, "little"), self.size)
        return start + self._file.read(max(0, end - len(start)))

    def _parse(self, header: bytes) -> Content:
        try:
            text = json.loads(header[_LENGTH:])["__metadata__"]["multinn"]
            content = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, KeyError, TypeError, RecursionError):
            self._report_damage()
        if not isinstance(content, dict):
            self._report_damage()
        return content

    def _verify_checksum(self, header: bytes) -> None:
        expected = str(self.content.get("sha256"))
        start = _find_checksum(header, expected) if len(expected) == 64 else -1
        if start < 0:
            self._report_damage()
        checksum = hashlib.sha256(header[:start] + _NO_CHECKSUM.encode() + header[start + 64 :])
        while chunk := self._file.read(2**16):
            checksum.update(chunk)
        if checksum.hexdigest() != expected:
            self._report_damage()

    def _report_damage(self) -> NoReturn:
        raise DamagedCheckpointError(
            f"{self._path}: expected the file as it was saved, but it is truncated, or some of its bits "
            f"have changed: its SHA-256 differs from the stored one; {_REMEDY}"
        )


def _find_checksum(header: bytes, checksum: str) -> int:
    """Return the position of the checksum, or -1."""
    # The quotes are escaped: the JSON object of the content is a string in the JSON of the header.
    key = b'\\"sha256\\": \\"'
    position = header.find(key + checksum.encode())
    return position if position < 0 else position + len(key)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _safetensors() -> Any:
    with extra("checkpoint", "checkpoints need safetensors"):
        from safetensors import numpy as numpy_format
    return numpy_format
