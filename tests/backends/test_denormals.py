import platform
import time

import numpy as np
import pytest

from backends import get_backend, threads
from backends.denormals import denormals_as_zeros

TINY = np.array([1e-20, 2e-20], np.float32)  # their products are denormal

pytestmark = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="only Linux on x86-64 takes denormal numbers as zeros",
)


@pytest.mark.parametrize("name", ["numpy", "numpy:eager"])
def test_a_compiled_function_takes_denormals_as_zeros(name):
    compiled = get_backend(name).jit(lambda x, y: (x * x, y * 1e30), TINY, TINY * TINY)
    product, multiple = compiled(TINY, TINY * TINY)
    np.testing.assert_array_equal(product, 0.0)
    np.testing.assert_array_equal(multiple, 0.0)
    assert (TINY * TINY).all()  # as they are outside


def test_denormals_return_after_an_error():
    def failing(x):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        get_backend("numpy:eager").jit(failing)(TINY)
    assert (TINY * TINY).all()


def test_threads_that_help_take_denormals_as_the_caller_does(monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 3)
    products = np.ones((30, 2), np.float32)

    def multiply(index: int) -> None:
        time.sleep(0.001)  # so that every thread takes parts
        products[index] = TINY * TINY

    with denormals_as_zeros():
        threads.run_parts(multiply, 30)
    np.testing.assert_array_equal(products, 0.0)
    threads.run_parts(multiply, 30)
    assert products.all()
