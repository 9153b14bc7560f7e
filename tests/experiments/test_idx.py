"""Reading IDX files: what is read, and that all else is an IdxError."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.datasets.idx import IdxError, idx_header, read_idx
from tests.support.memory import peak_memory

SHAPES = [(5,), (3, 4), (2, 3, 4)]
IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
VALID = idx_header(IMAGES.shape) + IMAGES.tobytes()
VALID_GZIP = gzip.compress(VALID, mtime=0)

fuzzed = settings(max_examples=200, deadline=None, database=None)


def write(folder: Path, content: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that many examples of one test may share."""
    return tmp_path_factory.mktemp("idx")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_values_and_shape_are_read(tmp_path, shape, compress):
    expected = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    array = read_idx(write(tmp_path, compress(idx_header(shape) + expected.tobytes())))
    np.testing.assert_array_equal(array, expected, strict=True)


def test_the_header_is_the_published_one():
    assert idx_header((60000, 28, 28)) == struct.pack(">IIII", 0x00000803, 60000, 28, 28)


@pytest.mark.parametrize("content", [VALID, VALID_GZIP], ids=["plain", "gzip"])
def test_the_array_can_be_written_to(tmp_path, content):
    array = read_idx(write(tmp_path, content))
    array[0, 0, 0] = 7
    assert array[0, 0, 0] == 7


@pytest.mark.parametrize(
    ("name", "content"), [("plain.gz", VALID), ("compressed", VALID_GZIP)], ids=["plain", "gzip"]
)
def test_gzip_is_recognised_by_content_not_by_name(tmp_path, name, content):
    np.testing.assert_array_equal(read_idx(write(tmp_path, content, name)), IMAGES)


def test_a_path_may_be_a_string(tmp_path):
    np.testing.assert_array_equal(read_idx(str(write(tmp_path, VALID))), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(gzip.compress(b""), "empty", id="empty-gzip"),
        pytest.param(b"\0\0\x08", "header is cut short", id="magic-cut"),
        pytest.param(b"\0\0\x77\x01" + bytes(8), r"0x77 \(an unknown type\)", id="type-code"),
        pytest.param(b"\0\0\x08\0", "0 dimensions", id="no-dimensions"),
        pytest.param(b"\0\0\x08\x04" + bytes(16), "4 dimensions", id="four-dimensions"),
        pytest.param(idx_header((0, 4)), "implausible", id="zero-dimension"),
        pytest.param(gzip.compress(VALID[:-1]), "too short", id="one-byte-short-gzip"),
        pytest.param(VALID_GZIP[:5], "corrupt or cut short", id="gzip-header-cut"),
        pytest.param(VALID_GZIP + b"junk", "corrupt or cut short", id="gzip-then-junk"),
    ],
)
def test_a_bad_file_is_an_error_that_names_it_and_what_is_wrong(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(IdxError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(IdxError, match="no such file"):
        read_idx(tmp_path / "absent")


def test_a_folder_is_an_error(tmp_path):
    with pytest.raises(IdxError, match="not a regular file"):
        read_idx(tmp_path)


def peak_bytes(path: Path, error: str | None) -> int:
    """Return the most memory that reading a file takes, expecting the given error, if any."""

    def refused() -> None:
        with pytest.raises(IdxError, match=error):
            read_idx(path)

    return peak_memory(refused if error else lambda: read_idx(path))


HUGE = idx_header((2**32 - 1,) * 3)


@pytest.mark.parametrize(
    ("content", "error"),
    [(HUGE + bytes(8), "too short"), (gzip.compress(HUGE + bytes(8)), "implausible")],
    ids=["plain", "gzip"],
)
def test_a_header_that_promises_too_much_takes_no_memory(tmp_path, content, error):
    assert peak_bytes(write(tmp_path, content), error) < 1 << 20


def test_a_compressed_file_of_other_dimensions_than_known_is_not_expanded(tmp_path):
    size = 32 << 20
    path = write(tmp_path, gzip.compress(idx_header((size,)) + bytes(size), compresslevel=1))

    def refused() -> None:
        with pytest.raises(IdxError, match=r"dimensions are \(33554432,\), expected \(60000,\)"):
            read_idx(path, (60000,))

    assert peak_memory(refused) < 1 << 20


def test_a_compressed_file_is_not_expanded_past_what_its_header_promises(tmp_path):
    path = write(tmp_path, gzip.compress(VALID + bytes(32 << 20), compresslevel=1))
    assert peak_bytes(path, "trailing") < 1 << 20


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_reading_takes_at_most_twice_the_memory_of_the_data(tmp_path, compress):
    size = 8 << 20
    path = write(tmp_path, compress(idx_header((size,)) + bytes(size)))
    assert peak_bytes(path, None) < 2 * size + (1 << 20)


def read_or_idx_error(content: bytes, path: Path) -> None:
    """Read a file: a whole array or an IdxError, in twice the memory of the file and 1 MiB."""
    path.write_bytes(content)

    def read() -> None:
        try:
            array = read_idx(path)
        except IdxError:
            return
        assert array.dtype == np.uint8
        assert 1 <= array.ndim <= 3
        assert array.size > 0

    assert peak_memory(read) < 2 * len(content) + (1 << 20)


@fuzzed
@given(content=st.binary(max_size=64))
def test_arbitrary_bytes_are_read_or_are_an_idx_error(scratch, content):
    read_or_idx_error(content, scratch / "file")


@fuzzed
@given(
    sizes=st.lists(
        st.just(2**20) | st.integers(0, 2**32 - 1) | st.integers(0, 5), min_size=1, max_size=3
    ),
    data=st.binary(max_size=32),
    compressed=st.booleans(),
)
def test_arbitrary_dimensions_are_read_or_are_an_idx_error(scratch, sizes, data, compressed):
    content = idx_header(sizes) + data
    read_or_idx_error(gzip.compress(content) if compressed else content, scratch / "file")


@fuzzed
@given(
    valid=st.sampled_from([VALID, VALID_GZIP]),
    start=st.integers(0, len(VALID)),
    removed=st.integers(0, 8),
    inserted=st.binary(max_size=8),
)
def test_mutated_files_are_read_or_are_an_idx_error(scratch, valid, start, removed, inserted):
    content = valid[:start] + inserted + valid[start + removed :]
    read_or_idx_error(content, scratch / "file")
