"""Examples, and the plan of which of them each step sees."""

from typing import NamedTuple

import numpy as np

from backends import Array, Backend, HostArray, tree
from multinn import random


class Examples(NamedTuple):
    """Some examples: inputs (n, ...), targets (n, ...), and weights (n,) or None."""

    x: Array
    targets: Array
    weights: Array | None = None


class Plan(NamedTuple):
    """Which examples each step of some epochs sees, and its random words.

    Attributes:
        rows: (epochs, steps, batch) int32, or None where every step sees all examples in their order.
        words: (epochs, steps, 2) int32, the words of the steps' keys.
        tail_rows: (epochs, rest) int32, the last, smaller batch; None where the batches come out even.
        tail_words: (epochs, 2) int32, or None.
    """

    rows: Array | None
    words: Array
    tail_rows: Array | None
    tail_words: Array | None

    def part(self, start: int, stop: int) -> "Plan":
        """Return steps ``start`` to ``stop`` of each epoch, where the tail counts as the last step."""
        full = self.words.shape[1]
        if self.tail_rows is None or self.tail_words is None:
            tail_rows, tail_words = None, None
        elif start >= full:
            return Plan(self.tail_rows[:, None], self.tail_words[:, None], None, None)
        else:
            tail_rows, tail_words = (self.tail_rows, self.tail_words) if stop > full else (None, None)
        rows = None if self.rows is None else self.rows[:, start:stop]
        return Plan(rows, self.words[:, start:stop], tail_rows, tail_words)


def make_plan(
    examples: int,
    batch_size: int,
    *,
    first_epoch: int,
    epochs: int,
    first_step: int,
    seed: int,
    shuffle: bool,
) -> Plan:
    """Plan some epochs on the host, in each of which every example is seen once.

    The order in an epoch depends on the seed and on the number of the epoch alone; where one batch is
    all examples, it is that of the data.
    """
    batch_size = min(batch_size, examples)
    steps, rest = divmod(examples, batch_size)
    steps_per_epoch = steps + bool(rest)
    words = random.step_words(seed, first_step, epochs * steps_per_epoch)
    words = words.reshape(epochs, steps_per_epoch, 2)
    if batch_size == examples:
        return Plan(None, words, None, None)
    order = np.empty((epochs, examples), np.int32)
    for index in range(epochs):
        order[index] = epoch_order(examples, seed, first_epoch + index, shuffle)
    rows = order[:, : steps * batch_size].reshape(epochs, steps, batch_size)
    if not rest:
        return Plan(rows, words, None, None)
    return Plan(rows, words[:, :-1], order[:, steps * batch_size :], words[:, -1])


def epoch_order(examples: int, seed: int, epoch: int, shuffle: bool) -> HostArray:
    """Return the order of the examples in an epoch, from 0."""
    if not shuffle:
        return np.arange(examples)
    sequence = np.random.SeedSequence(seed, spawn_key=(1, epoch))
    return np.random.default_rng(sequence).permutation(examples)


def take_rows(backend: Backend, examples: Examples, rows: Array) -> Examples:
    """Return the examples at those rows, (n,) integers."""
    taken: Examples = tree.map(lambda leaf: backend.xp.take(leaf, rows, axis=0), examples)
    return taken
