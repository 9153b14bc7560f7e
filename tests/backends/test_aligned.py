"""Large copies in aligned memory, which is used again."""

import mmap

import jax
import numpy as np
import pytest

from backends import aligned, get_backend
from backends.aligned import CACHE_LINE, LARGE, aligned_copy

ROWS = np.arange(LARGE, dtype=np.float32).reshape(-1, 1024)[:-1]  # 16 MB
reuses_memory = pytest.mark.skipif(
    not hasattr(mmap, "MADV_FREE"), reason="without MADV_FREE, memory is not reused"
)


@pytest.fixture(autouse=True)
def no_spare_memory(monkeypatch):
    monkeypatch.setattr(aligned, "_spare", [])


@pytest.mark.parametrize("x", [ROWS, ROWS.T, ROWS[::-2, 1:], ROWS[:3], np.arange(LARGE)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_copy_is_aligned(x, dtype):
    copy = aligned_copy(x, dtype)
    assert copy.ctypes.data % CACHE_LINE == 0
    assert copy.flags.c_contiguous
    np.testing.assert_array_equal(copy, x.astype(dtype), strict=True)


@reuses_memory
def test_memory_is_used_again_once_nothing_refers_to_it():
    first = aligned_copy(ROWS)
    address, part = first.ctypes.data, first[:2].T
    del first
    other = aligned_copy(ROWS + 1)
    assert other.ctypes.data != address
    np.testing.assert_array_equal(part, ROWS[:2].T)
    del part
    again = aligned_copy(ROWS)
    assert again.ctypes.data == address
    np.testing.assert_array_equal(other, ROWS + 1)


@reuses_memory
def test_memory_of_another_size_is_not_used():
    first = aligned_copy(ROWS)
    del first
    other = aligned_copy(ROWS[: len(ROWS) // 3])
    assert len(aligned._spare) == 1
    assert not np.shares_memory(other, np.frombuffer(aligned._spare[0], np.uint8))


@reuses_memory
def test_jax_keeps_memory_while_an_array_needs_it():
    backend = get_backend("jax")
    x = np.zeros(LARGE + 4, np.float32)
    x = x[1 if x.ctypes.data % CACHE_LINE == 0 else 0 :][:LARGE]
    total = backend.jit(lambda x: backend.xp.sum(x))
    placed = [backend.from_numpy(x + number) for number in range(3)]
    placed += [backend.from_numpy(np.copyto(x, number) or x) for number in range(3)]
    assert [float(total(array)) / LARGE for array in placed] == [0, 1, 2, 0, 1, 2]
    del placed
    jax.numpy.asarray(0.0)
    assert 1 <= len(aligned._spare) <= 4


@reuses_memory
def test_spare_memory_is_given_back_if_there_is_no_new_memory(monkeypatch):
    def no_memory(*arguments: object, **keywords: object) -> None:
        raise OSError("Cannot allocate memory")

    aligned_copy(ROWS)
    assert len(aligned._spare) == 1
    monkeypatch.setattr(mmap, "mmap", no_memory)
    longer = aligned_copy(np.concatenate([ROWS, ROWS, ROWS]))
    np.testing.assert_array_equal(longer[-len(ROWS) :], ROWS)
    assert not aligned._spare


def test_a_system_without_reuse_makes_new_memory(monkeypatch):
    monkeypatch.delattr(mmap, "MADV_FREE", raising=False)
    np.testing.assert_array_equal(aligned_copy(ROWS), ROWS)
    assert not aligned._spare
