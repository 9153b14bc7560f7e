"""SciPy's BLAS in one thread, while NumPy's computes the loss."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any

import scipy.linalg  # loads SciPy's BLAS
from threadpoolctl import ThreadpoolController

_OWN = os.path.dirname(os.path.realpath(scipy.__file__))  # a wheel has its BLAS in scipy.libs beside it
_lock = Lock()
_saved: list[int] = []  # the numbers of threads outside of the contexts
_contexts = 0


@contextmanager
def scipy_in_one_thread() -> Iterator[None]:
    """Compute in one thread within SciPy's BLAS. Contexts of several Python threads may overlap.

    The wheels of NumPy and SciPy have a BLAS each, whose idle threads spin for some milliseconds. An
    optimizer of SciPy on a loss of NumPy calls both in turn, so that on few cores the threads of one
    take time from the other. Measured with OpenBLAS 0.3.31 on 2 cores: L-BFGS-B on 30-100-1 takes 8 ms
    for an iteration, and 1.5 ms with this limit. A BLAS that both share is left alone.
    """
    global _contexts
    libraries = _scipy_blas()
    with _lock:
        if not _contexts:
            _saved[:] = [library.num_threads for library in libraries]
            _set_threads(libraries, [1] * len(libraries))
        _contexts += 1
    try:
        yield
    finally:
        with _lock:
            _contexts -= 1
            if not _contexts:
                _set_threads(libraries, _saved)


@lru_cache(maxsize=1)
def _scipy_blas() -> list[Any]:
    """Return threadpoolctl's controllers of the BLAS that only SciPy uses."""
    found = ThreadpoolController().lib_controllers
    return [each for each in found if each.user_api == "blas" and each.filepath.startswith(_OWN)]


def _set_threads(libraries: list[Any], counts: list[int]) -> None:
    for library, count in zip(libraries, counts, strict=True):
        library.set_num_threads(count)
        # threadpoolctl 3.8 and later would let no other Python thread set a limit.
        getattr(library, "clear_controlling_thread", lambda: None)()
