"""Reading IDX files, the format in which MNIST is published.

An IDX file of unsigned bytes has a header and then the values in row-major order. The header is two
zero bytes, the type code 8, the number of dimensions, and each dimension as a big-endian unsigned 32-bit
integer.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backends import Shape

_GZIP_MAGIC = b"\x1f\x8b"
_LONGEST_HEADER = 16


class IdxError(Exception):
    """The file is not an IDX file of unsigned bytes of the expected shape."""


def idx_header(shape: Shape) -> bytes:
    """Return the header of an IDX file of unsigned bytes: 4 + 4 * len(shape) bytes."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)


def read_idx(path: Path, shape: Shape) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or compressed with gzip, whatever its name.

    No more is read or decompressed than the shape asks for, plus a few bytes.

    Args:
        path: the file.
        shape: the expected dimensions.

    Raises:
        IdxError: the file is unreadable, damaged, too short, too long, or has another header.
    """
    header, size = idx_header(shape), math.prod(shape)
    try:
        with path.open("rb") as file:
            compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            file.seek(0)
            stream = gzip.GzipFile(fileobj=file) if compressed else file
            start = stream.read(len(header))
            if start != header:
                found = _describe(start + stream.read(_LONGEST_HEADER - len(start)))
                raise IdxError(f"{path}: expected an IDX file of {_describe(header)}, got {found}")
            # One byte more shows whether the file is too long, and lets gzip verify its checksum.
            values = stream.read(size + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise IdxError(f"{path}: the gzip data is damaged or cut short: {error}") from error
    except OSError as error:
        raise IdxError(f"{path}: could not be read: {error.strerror or error}") from error
    if len(values) != size:
        found = "more" if len(values) > size else f"{len(values):,}"
        raise IdxError(f"{path}: expected {size:,} bytes after the header, got {found}")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _describe(header: bytes) -> str:
    """Describe the first bytes of a file: the shape if they are a header, else the bytes."""
    if header[:3] == b"\0\0\x08" and len(header) > 3 and len(header) >= 4 + 4 * header[3]:
        return f"unsigned bytes of shape {struct.unpack_from(f'>{header[3]}I', header, 4)}"
    return f"a file that begins with the bytes {header.hex(' ')}" if header else "an empty file"
