"""How long a training step takes, to within a factor of some units, before anything is compiled."""

import time
from dataclasses import replace

import numpy as np

from backends import get_backend, tree
from multinn import random
from multinn.training.plan import Examples
from multinn.training.program import TrainingProgram, TrainingState

_SHARE = 16  # the first, careful try is on this part of the batch
_LONG = 1.0
_TRIES, _TRYING = 5, 0.05
_FACTOR = 8.0
_GUESS = _FACTOR**-2


def seconds_a_step(program: TrainingProgram, state: TrainingState, batch: Examples) -> float:
    """Estimate how long a step takes by taking one, or a few if they are short, in plain NumPy.

    Compiled, a step takes from a thirtieth of that, where it is small, to about the same.

    Args:
        program: what a step is.
        state: as NumPy arrays.
        batch: as NumPy arrays.

    Returns:
        Seconds, rounded to a power of 8: a run that is repeated is then, most often, cut in the same
        way, and finds its programs among those that were kept. A guess if NumPy cannot take the step.
    """
    backend = get_backend("numpy:eager")
    step = backend.jit(replace(program, backend=backend).step)
    words = random.step_words(0, 0, 1)[0]

    def timed(examples: Examples) -> float:
        start = time.perf_counter()
        step(state, examples, words)
        return time.perf_counter() - start

    few = tree.map(lambda leaf: leaf[: max(1, leaf.shape[0] // _SHARE)], batch)
    try:
        seconds = timed(few) * _SHARE
        if seconds < _LONG:
            tries = [timed(batch)]
            while len(tries) < _TRIES and sum(tries) < _TRYING:
                tries.append(timed(batch))
            seconds = min(tries)
    except Exception:  # such as of a layer that only another library can run: training can do without
        return _GUESS
    return float(_FACTOR ** np.round(np.log(max(seconds, 1e-9)) / np.log(_FACTOR)))
