"""NumPy on the CPU, which is always installed: compiled by recording, or eager."""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from backends import numpy_convolution, numpy_jit
from backends.base import Array, Function, scan_length
from backends.blas_threads import describe_blas, limit_blas_threads
from backends.eager import EagerBackend
from backends.tree import Tree
from backends.windows import Pair


class NumpyBackend(EagerBackend):
    """NumPy on the CPU, compiled by recording; the reference for the other backends.

    ``numpy:eager`` runs functions as they are written, for a debugger; results are equal to the bit.
    """

    name: ClassVar[str] = "numpy"
    devices: tuple[str, ...] = ("cpu", "eager")
    xp: Any = np

    _put: Any = staticmethod(np.asarray)
    _get: Any = staticmethod(np.asarray)

    def __new__(cls, device: str | None = None) -> Self:
        """Return an instance of the eager class for the device ``eager``."""
        kind: Any = _EagerNumpyBackend if (cls, device) == (NumpyBackend, "eager") else cls
        instance: Self = super().__new__(kind)
        return instance

    def __init__(self, device: str | None = None) -> None:
        super().__init__(device)
        limit_blas_threads()

    @property
    def blas(self) -> str:
        """The library that computes matrix products, and its number of threads."""
        return describe_blas()

    def scatter_add(self, table: Array, ids: Array, rows: Array) -> Array:
        return numpy_jit.call(_scatter_add, table, ids, rows)

    def convolve(self, x: Array, weights: Array, **options: Any) -> Array:
        return numpy_jit.call(numpy_convolution.convolve, x, weights, **options)

    def convolve_weights(self, x: Array, dy: Array, size: Pair, **options: Any) -> Array:
        return numpy_jit.call(numpy_convolution.convolve_weights, x, dy, size, **options)

    def jit(self, function: Function, *example: Tree) -> Function:
        limit_blas_threads()  # again: the process may have been moved to fewer cores
        if example and self.device != "eager":
            return numpy_jit.compile_function(function, example)
        return super().jit(function, *example)

    def scan(
        self, step: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree
    ) -> tuple[Tree, Tree]:
        if numpy_jit.is_recorded(carry, xs):
            return numpy_jit.record_scan(step, carry, xs, scan_length(xs))
        return super().scan(step, carry, xs)


class _EagerNumpyBackend(NumpyBackend):
    jit = EagerBackend.jit
    scan = EagerBackend.scan

    def __repr__(self) -> str:
        return f"NumpyBackend(device={self.device!r})"


def _scatter_add(table: Array, ids: Array, rows: Array) -> Array:
    result = table.copy()
    np.add.at(result, ids, rows)
    return result
