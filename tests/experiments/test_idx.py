"""Reading IDX files; tests/faults/test_idx_files.py has the errors that a user sees."""

import gzip
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.datasets.idx import IdxError, idx_header, read_idx
from tests.support.memory import peak_memory

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
VALID = idx_header(IMAGES.shape) + IMAGES.tobytes()


def write(folder: Path, content: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_the_header_is_the_published_one():
    assert idx_header((60000, 28, 28)) == struct.pack(">IIII", 0x00000803, 60000, 28, 28)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_values_and_shape_are_read(tmp_path, shape, compress):
    expected = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    path = write(tmp_path, compress(idx_header(shape) + expected.tobytes()))
    np.testing.assert_array_equal(read_idx(path, shape), expected, strict=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [("plain.gz", VALID), ("compressed", gzip.compress(VALID))],
    ids=["plain", "gzip"],
)
def test_gzip_is_recognized_by_content_not_by_name(tmp_path, name, content):
    np.testing.assert_array_equal(read_idx(write(tmp_path, content, name), IMAGES.shape), IMAGES)


@pytest.mark.parametrize("path", [Path("absent"), Path()], ids=["no file", "a folder"])
def test_a_path_that_is_no_file_is_an_error(tmp_path, path):
    with pytest.raises(IdxError, match="could not be read"):
        read_idx(tmp_path / path, (1,))


@pytest.mark.parametrize(
    ("header", "error"),
    [((32 << 20,), "of shape \\(33554432,\\)"), ((60000,), "expected 60,000 bytes .*got more")],
    ids=["other dimensions", "more than the header says"],
)
def test_a_compressed_file_is_not_expanded_past_what_is_expected(tmp_path, header, error):
    path = write(tmp_path, gzip.compress(idx_header(header) + bytes(32 << 20), compresslevel=1))

    def read() -> None:
        with pytest.raises(IdxError, match=error):
            read_idx(path, (60000,))

    assert peak_memory(read) < 1 << 20


@settings(max_examples=200, deadline=None, database=None)
@given(
    valid=st.sampled_from([VALID, gzip.compress(VALID, mtime=0)]),
    start=st.integers(0, len(VALID)),
    removed=st.integers(0, 8),
    inserted=st.binary(max_size=8),
)
def test_a_changed_file_is_read_or_is_an_idx_error(tmp_path_factory, valid, start, removed, inserted):
    path = write(tmp_path_factory.getbasetemp(), valid[:start] + inserted + valid[start + removed :])
    with suppress(IdxError):
        assert read_idx(path, IMAGES.shape).shape == IMAGES.shape
