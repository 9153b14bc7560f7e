"""Training as pure functions: one step, and a run of epochs that a backend can compile whole."""

from collections.abc import Callable, Mapping
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
    """

    backend: Backend
    model: Layer
    loss: Loss
    optimizer: Optimizer
    metrics: Mapping[str, Metric]

    def step(self, carry: Tree, batch: Examples, words: Array) -> tuple[Tree, Tree]:
        """Take one step on a batch: the new carry, and the record of the batch before the update."""
        params, state = carry
        value, outputs, gradients = value_and_gradients(
            self.backend, self.model, self.loss, params, batch, Key(words)
        )
        record = {"loss": value} | self._metrics(outputs, batch)
        return self.optimizer.update(self.backend, gradients, state, params), record

    def run(self, carry: Tree, data: Examples, plan: Plan) -> tuple[Tree, Tree]:
        """Train for all epochs of the plan: the last carry, and the records of all steps.

        Returns:
            The carry, and a pair of records: of the full batches, each leaf (epochs, steps), and of the
            last, smaller batches, each (epochs,), or None.
        """
        xp = self.backend.xp

        def step(carry: Tree, rows_and_words: Tree) -> tuple[Tree, Tree]:
            rows, words = rows_and_words
            if rows is None:
                return self.step(carry, data, words)
            batch = tree.map(lambda leaf: xp.take(leaf, rows, axis=0), data)
            return self.step(carry, batch, words)

        def epoch(carry: Tree, plan: Tree) -> tuple[Tree, Tree]:
            rows, words, tail_rows, tail_words = plan
            carry, records = self.backend.scan(step, carry, (rows, words))
            if tail_rows is None:
                return carry, (records, None)
            carry, tail_record = step(carry, (tail_rows, tail_words))
            return carry, (records, tail_record)

        return self.backend.scan(epoch, carry, plan)

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


def epoch_records(records: Tree, plan: Plan, examples: int, loss: Loss) -> list[dict[str, float]]:
    """Combine the records of the steps, as NumPy arrays, to one record an epoch.

    A mean over batches weighs each by its examples, or by the sum of their weights; a loss that is a
    sum is added up.
    """
    steps = _join_tail(records)
    sizes = np.array([size or examples for size in plan.batch_sizes], np.float64)
    epochs = steps["loss"].shape[0]
    weights = steps.pop("weight", np.broadcast_to(sizes, steps["loss"].shape))
    return [
        combine({name: values[epoch] for name, values in steps.items()}, weights[epoch], loss)
        for epoch in range(epochs)
    ]


def combine(steps: Mapping[str, HostArray], weights: HostArray, loss: Loss) -> dict[str, float]:
    """Combine the figures of some batches, each an array (batches,), to one figure each."""
    share = weights / weights.sum()
    combined = {name: float(values @ share) for name, values in steps.items()}
    if loss.reduction == "sum":
        combined["loss"] = float(steps["loss"].sum())
    return combined


def step_losses(records: Tree) -> HostArray:
    """Return the loss of every step, (epochs, steps), the smaller batches last."""
    return _join_tail(records)["loss"]


def _join_tail(records: Tree) -> dict[str, HostArray]:
    full, tail = records
    as_float64: Callable[[HostArray], HostArray] = lambda values: values.astype(np.float64)  # noqa: E731
    if tail is None:
        return {name: as_float64(values) for name, values in full.items()}
    return {
        name: as_float64(np.concatenate([values, tail[name][:, None]], axis=1))
        for name, values in full.items()
    }
