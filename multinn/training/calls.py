"""How the epochs of a fit are cut into calls of compiled functions.

A call that takes long cannot be interrupted, and nothing is shown before it returns; many short calls
cost more than the steps in them; and each new length of a call is one more program to compile.
"""

import math
from typing import NamedTuple

MOST_ENTRIES = 2**22  # numbers in the plan of one call: 16 MiB, whatever the number of epochs


class Calls(NamedTuple):
    """The calls of a fit.

    Attributes:
        epochs: how many epochs each call trains for, in order.
        parts: how many steps each part of an epoch has, where one epoch is too long for one call; then
            ``epochs`` holds ones. Empty otherwise.
    """

    epochs: list[int]
    parts: list[int]


def cut(
    epochs: int,
    full_steps: int,
    *,
    tail: bool,
    entries: int,
    stop_every: int | None = None,
    seconds: float = math.inf,
    seconds_a_step: float = 0.0,
) -> Calls:
    """Cut some epochs into calls of few different lengths.

    Args:
        epochs: how many there are.
        full_steps: the steps of an epoch with full batches.
        tail: whether there is one more step, with a smaller batch.
        entries: the numbers in the plan of an epoch.
        stop_every: epochs after which a call must end, if not only at the last.
        seconds: how long a call should take.
        seconds_a_step: how long a step takes, about.

    >>> cut(10_000, 1, tail=False, entries=2)
    Calls(epochs=[10000], parts=[])
    >>> cut(6, 100, tail=True, entries=1000, seconds=0.5, seconds_a_step=0.001)
    Calls(epochs=[3, 3], parts=[])
    >>> cut(2, 100, tail=True, entries=1000, seconds=0.5, seconds_a_step=0.02)
    Calls(epochs=[1, 1], parts=[25, 25, 25, 25, 1])
    """
    most_steps = seconds / seconds_a_step if seconds_a_step else math.inf
    steps = full_steps + tail
    # One full step and a tail stay together: XLA fuses a loop of one round otherwise, to other bits.
    if full_steps > 1 and steps > 2.0 * most_steps:
        return Calls([1] * epochs, _parts(full_steps, tail, max(int(most_steps), 1)))
    most = max(int(min(MOST_ENTRIES / entries, most_steps / steps, epochs)), 1)
    return Calls(_stretches(epochs, min(stop_every or epochs, epochs), most), [])


def _stretches(epochs: int, stop_every: int, most: int) -> list[int]:
    """Return lengths of at most ``most``, none across a stop; all equal if that does not double them."""
    longest = min(most, stop_every)
    length = _divisor(math.gcd(epochs, stop_every), longest)
    if 2 * length >= longest:
        return [length] * (epochs // length)
    starts = range(0, epochs, stop_every)
    return [length for start in starts for length in _lengths(min(stop_every, epochs - start), most)]


def _parts(full_steps: int, tail: bool, most: int) -> list[int]:
    """Return the steps of each part of an epoch; the tail goes with a last part that is shorter."""
    lengths = _lengths(full_steps, most)
    if tail and lengths[-1] < lengths[0]:
        return [*lengths[:-1], lengths[-1] + 1]
    return [*lengths, 1] if tail else lengths


def _lengths(total: int, most: int) -> list[int]:
    """Return lengths of at most ``most``: equal ones, but for the last where that takes too many."""
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
