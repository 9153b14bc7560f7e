"""Examples, and the plan of the examples in each step."""

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
    """The rows of the examples that each step of some epochs sees, and the seeds of the steps' keys.

    Attributes:
        rows: (epochs, steps, batch) int32, or None where every step sees all examples in their order.
        keys: (epochs, steps, 2) int32, the seeds of `multinn.random.Key`.
        tail_rows: (epochs, rest) int32, the last, smaller batch; None where all batches are full.
        tail_keys: (epochs, 2) int32, or None.
    """

    rows: Array | None
    keys: Array
    tail_rows: Array | None = None
    tail_keys: Array | None = None

    def part(self, start: int, stop: int) -> "Plan":
        """Return steps ``start`` to ``stop`` of each epoch, where the tail counts as the last step."""
        full = self.keys.shape[1]
        if self.tail_rows is None or self.tail_keys is None:
            tail_rows, tail_keys = None, None
        elif start >= full:
            return Plan(self.tail_rows[:, None], self.tail_keys[:, None])
        else:
            tail_rows, tail_keys = (self.tail_rows, self.tail_keys) if stop > full else (None, None)
        rows = None if self.rows is None else self.rows[:, start:stop]
        return Plan(rows, self.keys[:, start:stop], tail_rows, tail_keys)


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
    """Plan some epochs on the host. Each epoch sees every example once.

    The order in an epoch depends only on the seed and the number of the epoch. Where one batch holds
    all examples, they keep their order.
    """
    batch_size = min(batch_size, examples)
    steps, rest = divmod(examples, batch_size)
    steps_per_epoch = steps + bool(rest)
    keys = random.step_words(seed, first_step, epochs * steps_per_epoch)
    keys = keys.reshape(epochs, steps_per_epoch, 2)
    if batch_size == examples:
        return Plan(None, keys)
    order = np.empty((epochs, examples), np.int32)
    for index in range(epochs):
        order[index] = epoch_order(examples, seed, first_epoch + index, shuffle)
    rows = order[:, : steps * batch_size].reshape(epochs, steps, batch_size)
    if not rest:
        return Plan(rows, keys)
    return Plan(rows, keys[:, :-1], order[:, steps * batch_size :], keys[:, -1])


def epoch_order(examples: int, seed: int, epoch: int, shuffle: bool) -> HostArray:
    """Return the order of the examples in an epoch, counted from 0."""
    if not shuffle:
        return np.arange(examples)
    sequence = np.random.SeedSequence(seed, spawn_key=(1, epoch))
    return np.random.default_rng(sequence).permutation(examples)


def take_rows(backend: Backend, examples: Examples, rows: Array) -> Examples:
    """Return the examples at those rows, (n,) integers."""
    taken: Examples = tree.map(lambda leaf: backend.xp.take(leaf, rows, axis=0), examples)
    return taken
