"""The library that does NumPy's matrix products, and its threads."""

from importlib.util import find_spec

import numpy as np


def describe_blas() -> str | None:
    """Return the name and version of NumPy's BLAS and its threads; None where nothing tells.

    The number of threads is the library's own choice, or that of OPENBLAS_NUM_THREADS and the like. It
    is left alone: with another number the last bits of a product differ, so that a choice by time
    would make a run differ from its repetition. OpenBLAS itself does small products in one thread.
    """
    if not find_spec("threadpoolctl"):
        return None
    from threadpoolctl import threadpool_info

    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    if not libraries:
        return None
    own = min(libraries, key=lambda library: np.__name__ not in library["filepath"])  # SciPy has another
    threads = own["num_threads"]
    name = f"{own['internal_api']} {own['version'] or ''}".rstrip()
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"
