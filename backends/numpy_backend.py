"""NumPy on the CPU, which is always installed: compiled by recording, or eager."""

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

_convolutions: ContextVar[int] = ContextVar("convolutions", default=0)  # that began


class NumpyBackend(EagerBackend):
    """NumPy on the CPU, compiled by recording; the reference for the other backends.

    ``numpy:eager`` runs functions as they are written, for a debugger. A function that convolves runs
    twice at its first call: its products must have one thread of BLAS from its beginning on. Results are
    equal to the bit.
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
        _convolutions.set(_convolutions.get() + 1)
        return numpy_jit.call(numpy_convolution.convolve, x, weights, *options)

    def _convolve_weights(self, x: Array, dy: Array, size: Pair, *options: Any) -> Array:
        _convolutions.set(_convolutions.get() + 1)
        return numpy_jit.call(numpy_convolution.convolve_weights, x, dy, size, *options)

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


def _quiet(function: Function) -> Function:
    """Return a function without warnings that has the bits of the compiled function."""
    convolves = False

    @wraps(function)
    def quiet(*arguments: Tree) -> Tree:
        nonlocal convolves
        with np.errstate(all="ignore"), denormals_as_zeros():
            if not convolves:
                before = _convolutions.get()
                results = function(*arguments)
                convolves = _convolutions.get() > before
                if not convolves or blas_thread_count() == 1:
                    return results
                del results  # its products had more threads than those of the compiled function
            with one_blas_thread():
                return function(*arguments)

    return quiet
