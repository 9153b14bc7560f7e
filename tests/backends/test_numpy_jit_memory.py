"""Compiling for NumPy takes little memory: a recording keeps no intermediate results."""

import sys

import numpy as np
import pytest

from backends.numpy_backend import NumpyBackend
from tests.support.helpers import run_python

COMPILE_SIXTY_PRODUCTS = """
import resource
import numpy as np
from backends import get_backend

def function(x):
    for _ in range(20):
        x = np.tanh(x) * x.T @ x
    return x

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

x = np.zeros((800, 800))
function(x)
before = peak()
get_backend("numpy").jit(function, x)
print((peak() - before) * 1024 / x.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is in kilobytes on Linux only")
def test_compiling_keeps_no_intermediate_results():
    result = run_python(COMPILE_SIXTY_PRODUCTS)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) < 10.0  # arrays; 60 are computed


@pytest.mark.parametrize("size", [8, 400])
def test_matrices_of_any_size_are_inverted(size):
    matrix = np.random.default_rng(0).normal(size=(size, size))
    function = NumpyBackend().jit(lambda x: np.linalg.inv(x * 2.0), matrix)
    np.testing.assert_array_equal(function(matrix), np.linalg.inv(matrix * 2.0))
