"""CuPy: NumPy's interface on an NVIDIA or AMD GPU."""

from typing import Any, ClassVar

import array_api_compat.cupy as cupy_namespace
import cupy
import cupyx
import numpy as np

from backends.base import Array
from backends.eager import EagerBackend
from backends.errors import DeviceNotFoundError
from backends.tree import Tree


class CupyBackend(EagerBackend):
    """CuPy on a GPU, eager.

    The GPU is CuPy's current device, which the environment variable CUDA_VISIBLE_DEVICES selects.
    Kernels run on the current device of the thread, which a library should not change.
    """

    name: ClassVar[str] = "cupy"
    devices: tuple[str, ...] = ("cuda",)
    xp: Any = cupy_namespace

    def __init__(self, device: str | None = None) -> None:
        super().__init__(device)
        if not cupy.cuda.is_available():
            raise DeviceNotFoundError("CuPy finds no GPU on this machine, and has no other device")

    @property
    def version(self) -> str:
        return str(cupy.__version__)

    def scatter_add(self, table: Array, ids: Array, rows: Array) -> Array:
        result = table.copy()
        cupyx.scatter_add(result, ids, rows)
        return result

    def sync(self, tree: Tree) -> Tree:
        cupy.cuda.get_current_stream().synchronize()
        return tree

    def _put(self, leaf: Any) -> Array:
        return cupy.asarray(np.asarray(leaf))

    def _get(self, leaf: Array) -> Any:
        return cupy.asnumpy(leaf)
