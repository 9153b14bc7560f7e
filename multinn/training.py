"""Training as pure functions: one step, and a run of epochs that a backend can compile whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn import random
from multinn.layers import Layer
from multinn.losses import Loss
from multinn.metrics import Metric
from multinn.optimizers import Optimizer
from multinn.random import Key

HostArray = np.ndarray[Any, np.dtype[Any]]


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

    @property
    def batch_sizes(self) -> list[int | None]:
        """The batch size of each step of one epoch; None stands for all examples."""
        sizes = [None if self.rows is None else self.rows.shape[2]] * self.words.shape[1]
        return sizes if self.tail_rows is None else [*sizes, self.tail_rows.shape[1]]


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

    The order in an epoch depends on the seed and on the number of the epoch alone.
    """
    batch_size = min(batch_size, examples)
    steps, rest = divmod(examples, batch_size)
    steps_per_epoch = steps + bool(rest)
    words = random.step_words(seed, first_step, epochs * steps_per_epoch)
    words = words.reshape(epochs, steps_per_epoch, 2)
    if batch_size == examples and not shuffle:
        return Plan(None, words, None, None)
    order = np.empty((epochs, examples), np.int32)
    for index in range(epochs):
        order[index] = _epoch_order(examples, seed, first_epoch + index, shuffle)
    rows = order[:, : steps * batch_size].reshape(epochs, steps, batch_size)
    if not rest:
        return Plan(rows, words, None, None)
    return Plan(rows, words[:, :-1], order[:, steps * batch_size :], words[:, -1])


def _epoch_order(examples: int, seed: int, epoch: int, shuffle: bool) -> HostArray:
    if not shuffle:
        return np.arange(examples)
    sequence = np.random.SeedSequence(seed, spawn_key=(1, epoch))
    return np.random.default_rng(sequence).permutation(examples)


def take_rows(backend: Backend, examples: Examples, rows: Array) -> Examples:
    """Return the examples at those rows, (n,) integers."""
    taken: Examples = tree.map(lambda leaf: backend.xp.take(leaf, rows, axis=0), examples)
    return taken


def value_and_gradients(
    backend: Backend,
    model: Layer,
    loss: Loss,
    params: Tree,
    examples: Examples,
    key: Key | None = None,
) -> tuple[Array, Array, Tree]:
    """Return the loss, the model's outputs, and the gradients with respect to the parameters.

    Args:
        backend: whose arrays the others are.
        model: a layer, such as Sequential.
        loss: called on the model's outputs.
        params: the model's parameters.
        examples: the batch.
        key: a key to train, None to run the model as at inference.
    """
    outputs, cache = model.forward(backend, params, examples.x, key)
    value, d_outputs = loss(backend, outputs, examples.targets, examples.weights)
    return value, outputs, model.parameter_gradients(backend, params, cache, d_outputs)


@dataclass(frozen=True)
class TrainingProgram:
    """What one run computes, as pure functions of arrays.

    ``carry`` is the pair of the parameters and the optimizer's state. A record is a dict of arrays
    without axes: ``loss``, the metrics, and with weighted examples ``weight``, the sum of the weights.
    Weights of training examples have a mean of 1 over all of them.
    """

    backend: Backend
    model: Layer
    loss: Loss
    optimizer: Optimizer
    metrics: Mapping[str, Metric]

    @property
    def reductions(self) -> dict[str, str]:
        """How the figures of batches combine, "mean" or "sum", by name; of a loss, as it does."""
        owners = {name: getattr(metric, "__self__", None) for name, metric in self.metrics.items()}
        return {
            "loss": self.loss.reduction,
            **{name: getattr(owner, "reduction", "mean") for name, owner in owners.items()},
        }

    def step(self, carry: Tree, batch: Examples, words: Array) -> tuple[Tree, Tree]:
        """Take one step on a batch: the new carry, and the record of the batch before the update."""
        params, state = carry
        value, outputs, gradients = value_and_gradients(
            self.backend, self.model, self.loss, params, batch, Key(words)
        )
        if batch.weights is not None and self.loss.reduction == "mean":
            # Over an epoch, an example counts by its weight, not by its share in its batch.
            share = self.backend.xp.mean(batch.weights)
            gradients = tree.map(lambda g: g * share, gradients)
        record = {"loss": value} | self._metrics(outputs, batch)
        return self.optimizer.update(self.backend, gradients, state, params), record

    def run(self, carry: Tree, data: Examples, plan: Plan) -> tuple[Tree, Tree, Array]:
        """Train for all epochs of the plan.

        Returns:
            The last carry; a pair of records, of the full batches, each leaf (epochs, steps), and of
            the last, smaller batches, each (epochs,), or None; and whether all that is in the last
            carry is finite, a boolean without axes.
        """
        xp = self.backend.xp

        def step(carry: Tree, rows_and_words: Tree) -> tuple[Tree, Tree]:
            rows, words = rows_and_words
            if rows is None:
                return self.step(carry, data, words)
            return self.step(carry, take_rows(self.backend, data, rows), words)

        def epoch(carry: Tree, plan: Tree) -> tuple[Tree, Tree]:
            rows, words, tail_rows, tail_words = plan
            carry, records = self.backend.scan(step, carry, (rows, words))
            if tail_rows is None:
                return carry, (records, None)
            carry, tail_record = step(carry, (tail_rows, tail_words))
            return carry, (records, tail_record)

        carry, records = self.backend.scan(epoch, carry, plan)
        finite = [xp.all(xp.isfinite(leaf)) for leaf in tree.leaves(carry)]
        return carry, records, xp.all(xp.stack(finite))

    def evaluate(self, params: Tree, examples: Examples) -> Tree:
        """Return the record of some examples at inference."""
        outputs, _ = self.model.forward(self.backend, params, examples.x)
        value = self.loss.value(self.backend, outputs, examples.targets, examples.weights)
        return {"loss": value} | self._metrics(outputs, examples)

    def predict(self, params: Tree, x: Array) -> Array:
        """Return the outputs at inference."""
        return self.model.forward(self.backend, params, x)[0]

    def _metrics(self, outputs: Array, batch: Examples) -> dict[str, Array]:
        figures = {
            name: metric(self.backend, outputs, batch.targets, batch.weights)
            for name, metric in self.metrics.items()
        }
        if batch.weights is not None:
            figures["weight"] = self.backend.xp.sum(batch.weights)
        return figures


class EpochFigures(NamedTuple):
    """What some epochs in one call reported.

    Attributes:
        step_losses: (epochs, steps) the loss of each step, the smaller last batches included.
        losses: (epochs,) the loss of each epoch.
        last: the figures of the last epoch.
    """

    step_losses: HostArray
    losses: HostArray
    last: dict[str, float]


def epoch_figures(
    records: Tree, plan: Plan, examples: int, reductions: Mapping[str, str]
) -> EpochFigures:
    """Combine the records of the steps of `TrainingProgram.run`, as NumPy arrays, to those of epochs.

    Args:
        records: as `TrainingProgram.run` returns them.
        plan: what was run.
        examples: how many there are in an epoch.
        reductions: as `TrainingProgram.reductions`.
    """
    steps = _join_tail(records)
    sizes = np.array([size or examples for size in plan.batch_sizes], np.float64)
    weights = steps.pop("weight", np.broadcast_to(sizes, steps["loss"].shape))
    losses = _combined(steps["loss"], weights, reductions["loss"])
    last = {name: values[-1] for name, values in steps.items()}
    return EpochFigures(steps["loss"], losses, combine(last, weights[-1], reductions))


def combine(
    batches: Mapping[str, HostArray], weights: HostArray, reductions: Mapping[str, str]
) -> dict[str, float]:
    """Combine the figures of some batches, each an array (batches,), to one figure each.

    A mean weighs each batch by its examples, or by the sum of their weights; a sum is added up.
    """
    return {
        name: float(_combined(batches[name], weights, reduction))
        for name, reduction in reductions.items()
    }


def _combined(values: HostArray, weights: HostArray, reduction: str) -> HostArray:
    """Combine along the last axis."""
    if reduction == "mean":
        values = values * (weights / weights.sum(axis=-1, keepdims=True))
    return np.asarray(np.sum(values, axis=-1))


def _join_tail(records: Tree) -> dict[str, HostArray]:
    full, tail = records
    if tail is not None:
        full = {
            name: np.concatenate([values, tail[name][:, None]], axis=1) for name, values in full.items()
        }
    return {name: values.astype(np.float64) for name, values in full.items()}
