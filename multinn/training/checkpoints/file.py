"""The format of a checkpoint: one safetensors file, sealed by a checksum.

The metadata of the file have one entry, ``multinn``: a JSON object that describes the content, with the
version of the format and the seal, the SHA-256 of the whole file in which the seal itself is 64 zeros.
Later versions of the format keep the entry, the version and the seal, so that a file can be told to be
newer, or damaged, by whoever reads it.
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
from multinn.host.atomic import PathLike, replacing

FORMAT = 1

Content = dict[str, Any]

_NO_SEAL = "0" * 64
_LENGTH = 8  # bytes, which say how long the header is
_REMEDY = "take another copy, or an earlier checkpoint"
_START = b'{"__metadata__":{"multinn":'


def write(path: PathLike, content: Content, tensors: Mapping[str, HostArray]) -> None:
    """Write a checkpoint whole or not at all.

    Args:
        path: replaced where it exists.
        content: what JSON can hold.
        tensors: by name.

    Raises:
        ImportError: safetensors is not installed.
        OSError: the file cannot be written; what was there stays.
    """
    numpy_format = _safetensors()
    text = json.dumps({"sha256": _NO_SEAL, "format": FORMAT, **content}, allow_nan=False)
    # safetensors copies the memory of an array as it lies.
    in_order = {name: np.asarray(leaf, order="C") for name, leaf in tensors.items()}
    data = numpy_format.save(in_order, {"multinn": text})
    length = int.from_bytes(data[:_LENGTH], "little")
    start = _place_of_seal(data[: _LENGTH + length], _NO_SEAL)
    if start < 0 or not data.startswith(_START, _LENGTH):
        raise RuntimeError("this version of safetensors writes a header that could not be read back")
    with replacing(path) as file:
        file.write(data)
        file.seek(start)
        file.write(hashlib.sha256(data).hexdigest().encode())


class Reader:
    """A checkpoint whose seal has been checked.

    Attributes:
        content: what `write` was given.
        size: of the file, in bytes.
    """

    content: Content
    size: int

    def __init__(self, file: BinaryIO, path: PathLike) -> None:
        """Read the content.

        Args:
            file: open for reading, at its start.
            path: its name, for messages.

        Raises:
            ImportError: safetensors is not installed.
            OSError: the file cannot be read.
            ForeignFileError, DamagedCheckpointError, NewerCheckpointError: it is no checkpoint, it is
                not what was written, or in a later format.
        """
        self._numpy_format = _safetensors()
        self._file = file
        self._path = Path(path)
        self.size = os.fstat(file.fileno()).st_size
        header = self._read_header()
        self.content = self._parse(header)
        self._check_seal(header)
        version = self.content.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise NewerCheckpointError(
                f"{self._path}: a checkpoint of format {version}, this version of the library reads "
                f"formats up to {FORMAT}: load it with a later one"
            )
        if version != FORMAT or isinstance(version, bool):
            raise InvalidCheckpointError(
                f"{self._path}: expected a format, 1 to {FORMAT}, got {version!r}"
            )

    def tensors(self) -> dict[str, HostArray]:
        """Return all arrays, by name.

        Raises:
            InvalidCheckpointError: they are not what safetensors allows, or NumPy has.
        """
        from safetensors import SafetensorError

        self._file.seek(0)
        data = self._file.read()
        try:
            tensors: dict[str, HostArray] = self._numpy_format.load(data)
        except (SafetensorError, KeyError, ValueError) as error:
            raise InvalidCheckpointError(f"{self._path}: no safetensors file: {error}") from error
        return tensors

    def _read_header(self) -> bytes:
        """Return the length of the header, and the header, if it looks like one of ours."""
        start = self._file.read(_LENGTH + len(_START))
        length, text = start[:_LENGTH], start[_LENGTH:]
        if not start:
            raise DamagedCheckpointError(
                f"{self._path}: the file is empty, and not what was written: {_REMEDY}"
            )
        if any(length[4:]) or not _START.startswith(text):
            raise ForeignFileError(
                f"{self._path}: not a checkpoint of this library, or damaged at its very beginning, "
                f"which is {start[:12].hex(' ')}: name a file that Trainer.save wrote"
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

    def _check_seal(self, header: bytes) -> None:
        seal = self.content.get("sha256")
        start = _place_of_seal(header, seal) if isinstance(seal, str) and len(seal) == 64 else -1
        if start < 0:
            self._report_damage()
        checksum = hashlib.sha256(header[:start] + _NO_SEAL.encode() + header[start + 64 :])
        while piece := self._file.read(2**16):
            checksum.update(piece)
        if checksum.hexdigest() != seal:
            self._report_damage()

    def _report_damage(self) -> NoReturn:
        raise DamagedCheckpointError(
            f"{self._path}: the file is not what was written: it is cut off, or some of its bits have "
            f"changed; its SHA-256 is not the one that it holds: {_REMEDY}"
        )


def _place_of_seal(header: bytes, seal: str) -> int:
    """Return where the seal begins: in a JSON object that is a string of another one."""
    key = b'\\"sha256\\": \\"'
    place = header.find(key + seal.encode())
    return place if place < 0 else place + len(key)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _safetensors() -> Any:
    try:
        from safetensors import numpy as numpy_format
    except ModuleNotFoundError as error:
        raise ImportError(
            'checkpoints need safetensors, which is not installed: pip install "multinn[checkpoint]"'
        ) from error
    return numpy_format
