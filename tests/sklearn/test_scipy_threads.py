from contextlib import ExitStack
from pathlib import Path

import pytest
import scipy
from threadpoolctl import threadpool_info, threadpool_limits

from multinn.sklearn.scipy_threads import scipy_in_one_thread

OWN = str(Path(scipy.__file__).resolve().parent)


def threads() -> set[int]:
    """Return the numbers of threads of each BLAS that is part of SciPy."""
    found = [each for each in threadpool_info() if each["user_api"] == "blas"]
    return {each["num_threads"] for each in found if each["filepath"].startswith(OWN)}


@pytest.mark.skipif(not threads(), reason="SciPy has no BLAS of its own")
def test_the_threads_return_with_the_last_of_overlapping_contexts():
    first, second = ExitStack(), ExitStack()
    with threadpool_limits(2, "blas"):
        first.enter_context(scipy_in_one_thread())
        second.enter_context(scipy_in_one_thread())
        first.close()
        assert threads() == {1}
        second.close()
        assert threads() == {2}
