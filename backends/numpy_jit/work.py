"""What a recorded function spends its time on."""

import math

import numpy as np

from backends.numpy_convolution import convolve, convolve_weights
from backends.numpy_jit.recording import Call
from backends.numpy_jit.schedule import Schedule

_LARGE = 2**18  # multiplications; OpenBLAS computes a product of no more in one thread


def mainly_convolves(schedule: Schedule) -> bool:
    """Return whether convolutions take more multiplications than matrix products in several threads."""
    convolutions = products = 0
    rounds = 1
    for kind, item in schedule.events:
        if kind == "begin":
            rounds *= item.length
        elif kind == "end":
            rounds //= item.length
        elif item.function is convolve:
            convolutions += rounds * item.result.size * math.prod(item.args[1].shape[:3])
        elif item.function is convolve_weights:
            convolutions += rounds * item.args[1].size * math.prod(item.result.shape[:3])
        elif item.function is np.matmul:
            products += rounds * _multiplications_in_threads(item)
    return convolutions > products


def _multiplications_in_threads(call: Call) -> int:
    one, result = call.args[0], call.result
    number: int = math.prod(result.shape[-2:]) * (one.shape[-1] if one.ndim else 1)
    return math.prod(result.shape[:-2]) * number if number > _LARGE else 0
