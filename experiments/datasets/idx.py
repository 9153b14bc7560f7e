"""Reading IDX files, the format in which MNIST is published.

An IDX file is a short header and then the values, row by row: two zero bytes, one byte for the type
of a value, one byte for the number of dimensions, and each dimension as a big-endian unsigned
32-bit integer. Only unsigned bytes are read here, in one to three dimensions: images and labels.
"""

import gzip
import math
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from backends import Shape

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
MAX_DIMENSIONS = 3

_OTHER_TYPES = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_CHUNK_BYTES = 1 << 20
# Deflate spends at least two bits on a run of at most 258 bytes.
_DEFLATE_MAX_RATIO = 1032


class IdxError(Exception):
    """A file that is not a whole, well-formed IDX file of unsigned bytes."""


def idx_header(shape: Sequence[int]) -> bytes:
    """Return the header of an IDX file of unsigned bytes.

    Args:
        shape: the one to three dimensions of the data, each below 2**32.

    Returns:
        4 + 4 * len(shape) bytes.
    """
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, UNSIGNED_BYTE, len(shape), *shape)


def read_idx(path: str | Path, shape: Shape | None = None) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or compressed with gzip.

    Whether a file is compressed is seen from its first two bytes, whatever its name. No more memory
    is taken than the file really fills: a header that promises more is an error, and a compressed
    file is not expanded past what its header promises.

    Args:
        path: the file.
        shape: the dimensions that the header has to give, if they are known; then no more is read of
            a file that has others, as large as it may be.

    Returns:
        A writable uint8 array of one to three dimensions, as the header says.

    Raises:
        IdxError: the file is missing, unreadable, empty, truncated, too long, corrupt, or holds
            another type of value or other dimensions.
    """
    path = Path(path)
    try:
        if not path.is_file():
            problem = "this is not a regular file" if path.exists() else "there is no such file"
            raise IdxError(f"{path}: {problem}; expected an IDX file")
        with path.open("rb") as file:
            compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            read = _read_gzip if compressed else _read_plain
            return read(path, file, shape)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise IdxError(f"{path}: the gzip data is corrupt or cut short: {error}") from error
    except OSError as error:
        raise IdxError(f"{path}: could not be read: {error}") from error


def _read_plain(path: Path, file: IO[bytes], known: Shape | None) -> NDArray[np.uint8]:
    """Read an uncompressed file, whose size must be what its header promises."""
    shape = _read_shape(path, file, known)
    expected = len(idx_header(shape)) + math.prod(shape)
    _check_size(path, shape, expected, os.fstat(file.fileno()).st_size)
    data = np.fromfile(file, dtype=np.uint8, count=math.prod(shape))
    _check_size(path, shape, math.prod(shape), data.size)
    return data.reshape(shape)


def _read_gzip(path: Path, file: IO[bytes], known: Shape | None) -> NDArray[np.uint8]:
    """Read a compressed file, piece by piece, to one byte past what its header promises."""
    compressed_bytes = os.fstat(file.fileno()).st_size
    with gzip.GzipFile(fileobj=file) as stream:
        shape = _read_shape(path, stream, known)
        expected = math.prod(shape)
        if expected > compressed_bytes * _DEFLATE_MAX_RATIO:
            raise IdxError(
                f"{path}: implausible dimensions {shape}: {compressed_bytes} compressed bytes "
                f"cannot hold {expected} values"
            )
        data = bytearray()
        while chunk := stream.read(min(_CHUNK_BYTES, expected - len(data))):
            data += chunk
        # Reading on also makes gzip verify its checksum.
        found = len(data) + len(stream.read(1))
    _check_size(path, shape, expected, found)
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _read_shape(path: Path, stream: IO[bytes] | gzip.GzipFile, known: Shape | None) -> Shape:
    """Read the header and return the dimensions, all of them positive, and as they are known to be."""
    magic = stream.read(4)
    if not magic:
        raise IdxError(f"{path}: the file is empty; expected an IDX file")
    if len(magic) < 4:
        raise IdxError(f"{path}: the header is cut short: {len(magic)} of its first 4 bytes")
    _check_magic(path, magic)
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise IdxError(
            f"{path}: the header is cut short: {len(sizes)} of the {4 * magic[3]} bytes that give "
            f"its {magic[3]} dimensions"
        )
    shape: Shape = struct.unpack(f">{magic[3]}I", sizes)
    if known not in (None, shape):
        raise IdxError(f"{path}: its dimensions are {shape}, expected {known}")
    if 0 in shape:
        raise IdxError(f"{path}: implausible dimensions {shape}: each must be at least 1")
    return shape


def _check_magic(path: Path, magic: bytes) -> None:
    """Raise IdxError unless the four bytes announce unsigned bytes in one to three dimensions."""
    if magic[:2] != b"\0\0":
        raise IdxError(
            f"{path}: not an IDX file: it begins with the bytes {magic.hex(' ')}, expected 00 00"
        )
    if magic[2] != UNSIGNED_BYTE:
        other = _OTHER_TYPES.get(magic[2], "an unknown type")
        raise IdxError(
            f"{path}: type code 0x{magic[2]:02x} ({other}); "
            f"only 0x{UNSIGNED_BYTE:02x} (unsigned bytes) can be read"
        )
    if not 1 <= magic[3] <= MAX_DIMENSIONS:
        raise IdxError(f"{path}: {magic[3]} dimensions; expected 1 to {MAX_DIMENSIONS}")


def _check_size(path: Path, shape: Shape, expected: int, found: int) -> None:
    """Raise IdxError unless as many bytes were found as the header promises."""
    if found < expected:
        raise IdxError(
            f"{path}: the file is too short: dimensions {shape} need {expected} bytes, it has {found}"
        )
    if found > expected:
        raise IdxError(
            f"{path}: there are trailing bytes after the {expected} that dimensions {shape} need"
        )
