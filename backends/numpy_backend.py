"""NumPy on the CPU, which is always installed: compiled by recording, or eager."""

import math
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, ClassVar, Self

import numpy as np

from backends import numpy_convolution, numpy_jit
from backends.base import Array, Function, scan_length
from backends.blas_threads import blas_thread_count, describe_blas, limit_blas_threads, one_blas_thread
from backends.denormals import denormals_as_zeros
from backends.eager import EagerBackend
from backends.tree import Tree
from backends.windows import Pair

_may_begin_again: ContextVar[bool] = ContextVar("may_begin_again", default=False)


class NumpyBackend(EagerBackend):
    """NumPy on the CPU, compiled by recording; the reference for the other backends.

    ``numpy:eager`` runs functions as they are written, for a debugger; results are equal to the bit. The
    first call of a function that convolves begins again at the first convolution, as its products must
    have one thread of BLAS from its beginning on.
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

    def _convolve(self, x: Array, weights: Array, *options: Any) -> Array:
        _require_one_thread()
        return numpy_jit.call(numpy_convolution.convolve, x, weights, *options)

    def _convolve_weights(self, x: Array, dy: Array, size: Pair, *options: Any) -> Array:
        _require_one_thread()
        return numpy_jit.call(numpy_convolution.convolve_weights, x, dy, size, *options)

    def sum_of_columns(self, x: Array) -> Array:
        # As one product with ones, since NumPy adds short rows slowly.
        *rows, length = x.shape
        matrix = np.reshape(x, (math.prod(rows), length))
        return np.reshape(matrix @ np.ones((length, 1), x.dtype), (*rows, 1))

    def jit(self, function: Function, *example: Tree) -> Function:
        limit_blas_threads()  # again: the process may have been moved to fewer cores
        return numpy_jit.compile_function(function, example) if example else _quiet(function)

    def scan(
        self, step: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree
    ) -> tuple[Tree, Tree]:
        if numpy_jit.is_recorded(carry, xs):
            return numpy_jit.record_scan(step, carry, xs, scan_length(xs))
        return super().scan(step, carry, xs)

    def scan_first(
        self, step: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree, count: Array
    ) -> tuple[Tree, Tree]:
        if numpy_jit.is_recorded(carry, xs, count):
            return numpy_jit.record_scan(step, carry, xs, scan_length(xs), count)
        return super().scan_first(step, carry, xs, count)


class _EagerNumpyBackend(NumpyBackend):
    scan = EagerBackend.scan

    def jit(self, function: Function, *example: Tree) -> Function:
        return _quiet(function)

    def __repr__(self) -> str:
        return f"NumpyBackend(device={self.device!r})"


def _scatter_add(table: Array, ids: Array, rows: Array) -> Array:
    result = table.copy()
    np.add.at(result, ids, rows)
    return result


class _BeginAgain(BaseException):
    """A function convolves, but its products so far had more threads than those of the compiled one."""


def _require_one_thread() -> None:
    if _may_begin_again.get() and blas_thread_count() > 1:
        raise _BeginAgain


def _quiet(function: Function) -> Function:
    """Return a function without warnings that has the bits of the compiled function."""
    convolves = False

    @wraps(function)
    def quiet(*arguments: Tree) -> Tree:
        nonlocal convolves
        with np.errstate(all="ignore"), denormals_as_zeros():
            if not convolves:
                token = _may_begin_again.set(True)
                try:
                    return function(*arguments)
                except _BeginAgain:
                    convolves = True
                finally:
                    _may_begin_again.reset(token)
            with one_blas_thread():
                return function(*arguments)

    return quiet
