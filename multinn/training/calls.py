"""How the epochs of a fit are divided into calls of compiled functions.

A long call cannot be interrupted, and shows nothing before it returns. Many short calls cost more than
the steps in them. Each new length of a call is one more program to compile; so the time of a step is
estimated before anything is compiled.
"""

import math
import time
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from backends import get_backend, tree
from multinn import random
from multinn.training.program import Examples, TrainingProgram, TrainingState

MOST_ENTRIES = 2**22  # numbers in the plan of one call: 16 MiB, whatever the number of epochs

_SHARE = 16  # the first try takes 1/16 of the batch, in case a step takes very long
_LONG_STEP = 1.0  # seconds
_MOST_TRIES, _MOST_TRYING = 5, 0.05  # tries, seconds
_FACTOR = 8.0
_GUESS = _FACTOR**-2


class Calls(NamedTuple):
    """The calls of a fit.

    Attributes:
        epochs: the number of epochs of each call, in order.
        parts: the number of steps in each part of an epoch, if an epoch is too long for one call;
            each entry of ``epochs`` is then 1. Otherwise empty.
    """

    epochs: list[int]
    parts: list[int]


def divide(
    epochs: int,
    full_steps: int,
    *,
    tail: bool,
    entries: int,
    stop_every: int | None = None,
    seconds: float = math.inf,
    seconds_a_step: float = 0.0,
) -> Calls:
    """Divide epochs into calls of few different lengths.

    Args:
        epochs: the number of epochs.
        full_steps: the number of full batches in an epoch.
        tail: whether an epoch has one more step, with a smaller batch.
        entries: how many numbers the plan of an epoch holds.
        stop_every: epochs after which a call must end; None for only after the last.
        seconds: how long a call should take.
        seconds_a_step: an estimate of the time of a step.

    >>> divide(10_000, 1, tail=False, entries=2)
    Calls(epochs=[10000], parts=[])
    >>> divide(6, 100, tail=True, entries=1000, seconds=0.5, seconds_a_step=0.001)
    Calls(epochs=[3, 3], parts=[])
    >>> divide(2, 100, tail=True, entries=1000, seconds=0.5, seconds_a_step=0.02)
    Calls(epochs=[1, 1], parts=[25, 25, 25, 25, 1])
    """
    most_steps = seconds / seconds_a_step if seconds_a_step else math.inf
    steps = full_steps + tail
    # One full step and a tail stay together: XLA fuses a loop of one round, which changes the bits.
    if full_steps > 1 and steps > 2.0 * most_steps:
        return Calls([1] * epochs, _parts(full_steps, tail, max(int(most_steps), 1)))
    most = max(int(min(MOST_ENTRIES / entries, most_steps / steps, epochs)), 1)
    return Calls(_stretches(epochs, min(stop_every or epochs, epochs), most), [])


def _stretches(epochs: int, stop_every: int, most: int) -> list[int]:
    """Return lengths of at most ``most``, with an end at each stop; equal if that adds few calls."""
    longest = min(most, stop_every)
    length = _divisor(math.gcd(epochs, stop_every), longest)
    if 2 * length >= longest:
        return [length] * (epochs // length)
    starts = range(0, epochs, stop_every)
    return [length for start in starts for length in _lengths(min(stop_every, epochs - start), most)]


def _parts(full_steps: int, tail: bool, most: int) -> list[int]:
    """Return the steps of each part of an epoch; the tail joins the last part if that is shorter."""
    lengths = _lengths(full_steps, most)
    if tail and lengths[-1] < lengths[0]:
        return [*lengths[:-1], lengths[-1] + 1]
    return [*lengths, 1] if tail else lengths


def _lengths(total: int, most: int) -> list[int]:
    """Return lengths of at most ``most``: equal ones, or a shorter last one where that saves calls."""
    length = _divisor(total, most)
    if 2 * length < min(most, total):
        length = math.ceil(total / math.ceil(total / most))
    full, rest = divmod(total, length)
    return [length] * full + [rest] * bool(rest)


def _divisor(total: int, most: int) -> int:
    """Return the largest divisor of ``total`` that is at most ``most``; 1 if it is far below that."""
    fewest = math.ceil(total / most)
    counts = range(fewest, min(2 * fewest, total) + 1)
    return total // next((count for count in counts if total % count == 0), total)


def estimate_seconds(program: TrainingProgram, state: TrainingState, batch: Examples) -> float:
    """Estimate the time of a step by taking a few in eager NumPy.

    A small compiled step takes about a thirtieth of that time, a large one about the same time.

    Args:
        program: defines the step.
        state: NumPy arrays.
        batch: NumPy arrays.

    Returns:
        Seconds, rounded to a power of 8, so that a repeated run is usually divided in the same way and
        finds its programs compiled; a guess if NumPy cannot take the step.
    """
    backend = get_backend("numpy:eager")
    step = backend.jit(replace(program, backend=backend).step)
    key = random.step_words(0, 0, 1)[0]

    def timed(examples: Examples) -> float:
        start = time.perf_counter()
        step(examples, state, (None, key))
        return time.perf_counter() - start

    few = tree.map(lambda leaf: leaf[: max(1, leaf.shape[0] // _SHARE)], batch)
    try:
        seconds = timed(few) * _SHARE
        if seconds < _LONG_STEP:
            tries = [timed(batch)]
            while len(tries) < _MOST_TRIES and sum(tries) < _MOST_TRYING:
                tries.append(timed(batch))
            seconds = min(tries)
    except Exception:  # for example, a user's layer that only another library can run
        return _GUESS
    return float(_FACTOR ** np.round(np.log(max(seconds, 1e-9)) / np.log(_FACTOR)))
