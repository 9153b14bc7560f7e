"""SciPy's BLAS in one thread, while NumPy's computes the loss."""

import os
from functools import lru_cache
from typing import Any

import scipy.linalg  # loads SciPy's BLAS
from threadpoolctl import ThreadpoolController

from backends.threads import OneThread

_FOLDER = os.path.dirname(os.path.realpath(scipy.__file__))
_OWN = (f"{_FOLDER}{os.sep}", f"{_FOLDER}.libs{os.sep}")  # a wheel has its BLAS in one of these


@lru_cache(maxsize=1)
def _scipy_blas() -> list[Any]:
    """Return threadpoolctl's controllers of the BLAS that only SciPy uses."""
    found = ThreadpoolController().lib_controllers
    return [each for each in found if each.user_api == "blas" and each.filepath.startswith(_OWN)]


scipy_in_one_thread = OneThread(_scipy_blas)
"""Contexts in which SciPy's BLAS has one thread.

The wheels of NumPy and SciPy have a BLAS each, whose idle threads spin. An optimizer of SciPy on a loss
of NumPy calls both in turn, so that on few cores the threads of one take time from the other. Measured
with OpenBLAS 0.3.31 on 2 cores: L-BFGS-B on 30-100-1 takes 8 ms for an iteration, and 1.5 ms with this
limit. A BLAS that both share is left alone.
"""
