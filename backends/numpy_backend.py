"""NumPy on the CPU, which is always installed: compiled by recording, or eager."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from backends import numpy_jit
from backends import tree as trees
from backends.base import Array, Function, scan_length
from backends.blas_threads import describe_blas, limit_blas_threads
from backends.eager import EagerBackend
from backends.tree import Tree


class NumpyBackend(EagerBackend):
    """NumPy on the CPU, compiled by recording; the reference for the other backends.

    ``numpy:eager`` runs functions as they are written, for a debugger; results are equal to the bit.
    """

    name: ClassVar[str] = "numpy"
    devices: tuple[str, ...] = ("cpu", "eager")
    xp: Any = np

    def __init__(self, device: str | None = None) -> None:
        super().__init__(device)
        limit_blas_threads()

    @property
    def blas(self) -> str:
        """The library that computes matrix products, and its number of threads."""
        return describe_blas()

    def from_numpy(self, tree: Tree) -> Tree:
        return trees.map(np.asarray, tree)

    def to_numpy(self, tree: Tree) -> Tree:
        return trees.map(np.asarray, tree)

    def scatter_add(self, table: Array, ids: Array, rows: Array) -> Array:
        if numpy_jit.is_recorded(table, ids, rows):
            return numpy_jit.record(_scatter_add, table, ids, rows)
        return _scatter_add(table, ids, rows)

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


def _scatter_add(table: Array, ids: Array, rows: Array) -> Array:
    result = table.copy()
    np.add.at(result, ids, rows)
    return result
