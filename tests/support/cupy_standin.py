"""A stand-in for CuPy that computes with NumPy, because the tests run without a GPU."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

MODULES = ("cupy", "cupyx", "array_api_compat.cupy", "backends.cupy_backend")


def make_modules(has_gpu: bool) -> dict[str, ModuleType]:
    """Return the parts of ``cupy`` and ``cupyx`` that are used, by the name of the module."""
    cupy, cupyx = ModuleType("cupy"), ModuleType("cupyx")
    vars(cupy).update({name: value for name, value in vars(np).items() if name[:2] != "__"})
    cupy.__path__ = []
    cupy.__version__ = "13.6.0"
    synchronized: list[str] = []
    stream = SimpleNamespace(synchronize=lambda: synchronized.append("stream"))
    cupy.cuda = ModuleType("cupy.cuda")
    cupy.cuda.is_available = lambda: has_gpu
    cupy.cuda.get_current_stream = lambda: stream
    device = ModuleType("cupy.cuda.device")
    device.Device = type("Device", (), {})
    cupy.asnumpy = np.array
    cupy.synchronized = synchronized
    cupyx.scatter_add = np.add.at
    return {
        "cupy": cupy,
        "cupyx": cupyx,
        "cupy.cuda": cupy.cuda,
        "cupy.cuda.device": device,
        "cupy.linalg": np.linalg,
        "cupy.fft": np.fft,
    }


@contextmanager
def cupy_in_place(patch: pytest.MonkeyPatch, has_gpu: bool = True) -> Iterator[Any]:
    """Yield the backend's class, newly imported with the stand-in."""

    def loaded() -> list[str]:
        return [name for name in sys.modules if name.startswith(MODULES)]

    for name in loaded():
        patch.delitem(sys.modules, name)
    for name, module in make_modules(has_gpu).items():
        patch.setitem(sys.modules, name, module)
    from backends.cupy_backend import CupyBackend

    try:
        yield CupyBackend
    finally:
        for name in loaded():
            del sys.modules[name]
