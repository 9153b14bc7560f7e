"""CuPy's backend, tested with a stand-in for CuPy and without CuPy."""

import sys

import numpy as np
import pytest

from backends import BackendNotInstalledError, DeviceNotFoundError, get_backend, installed_backends
from backends.conformance import checks
from tests.support.cupy_standin import cupy_in_place

pytest.importorskip("array_api_compat")


@pytest.fixture
def cupy(monkeypatch):
    with cupy_in_place(monkeypatch) as backend_class:
        yield backend_class


@pytest.mark.parametrize("check", checks(gradients=False), ids=str)
def test_it_keeps_the_contract(cupy, check):
    check(cupy())


def test_its_namespace_is_array_api_compat(cupy):
    backend = cupy()
    assert backend.xp.__name__ == "array_api_compat.cupy"
    assert (backend.name, backend.device, backend.version) == ("cupy", "cuda", "13.6.0")


def test_scatter_add_accumulates_duplicates_in_a_new_array(cupy):
    backend = cupy("cuda")
    table, ids, rows = backend.from_numpy(
        (np.zeros((2, 1)), np.array([1, 1], np.int32), np.ones((2, 1)))
    )
    assert backend.to_numpy(backend.scatter_add(table, ids, rows)).tolist() == [[0.0], [2.0]]
    assert not table.any()


def test_sync_waits_for_the_stream(cupy):
    tree = {"x": cupy().from_numpy(np.ones(2))}
    assert cupy().sync(tree) is tree
    assert sys.modules["cupy"].synchronized == ["stream"]


def test_another_device_raises(cupy):
    with pytest.raises(DeviceNotFoundError, match="no device 'cuda:1': expected 'cupy', 'cupy:cuda'"):
        cupy("cuda:1")


def test_without_a_gpu_the_error_says_so(monkeypatch):
    with (
        cupy_in_place(monkeypatch, has_gpu=False) as backend_class,
        pytest.raises(DeviceNotFoundError, match="CuPy finds no GPU"),
    ):
        backend_class()


def test_without_cupy_the_error_names_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delitem(sys.modules, "backends.cupy_backend", raising=False)
    with pytest.raises(BackendNotInstalledError, match=r'pip install "multinn\[cupy\]"'):
        get_backend("cupy")
    assert "cupy" not in installed_backends()
