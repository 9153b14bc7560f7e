"""The memory of a call."""

import tracemalloc
from collections.abc import Callable
from unittest.mock import patch

from backends import aligned


def peak_memory(call: Callable[[], object]) -> int:
    """Return the peak of the memory, in bytes, that NumPy and Python allocate in a call.

    No memory is reused meanwhile: `tracemalloc` does not see memory that is mapped.
    """
    with patch.object(aligned, "_reused_bytes", aligned.aligned_bytes):
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
