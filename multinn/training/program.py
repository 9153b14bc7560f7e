"""Training as pure functions: a plan, a step, and a run of many steps that a backend compiles whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from backends import Array, Backend, HostArray, Tree, tree
from multinn import random
from multinn.functional import example_weights
from multinn.host.trees import count_of
from multinn.layers import Layer
from multinn.layers.base import values_of
from multinn.losses import Loss
from multinn.losses.base import outputs_for
from multinn.metrics import Metric, reduction_of
from multinn.metrics.base import Reduction
from multinn.optimizers import Optimizer
from multinn.random import Key


class Examples(NamedTuple):
    """Some examples: inputs (n, ...), targets (n, ...), and weights (n,) or (n, ...), or None.

    Each may also be a dict or a tuple of such arrays.
    """

    x: Tree
    targets: Tree
    weights: Tree = None


class Plan(NamedTuple):
    """The rows of the examples that each step uses, and the seeds of the steps' random keys.

    Attributes:
        rows: (epochs, steps, batch) int32, or None if every step uses all examples in their order.
        keys: (epochs, steps, 2) int32, the seeds of `multinn.random.Key`.
        tail_rows: (epochs, rest) int32, the last, smaller batch; None if all batches are full.
        tail_keys: (epochs, 2) int32, or None.
    """

    rows: Array | None
    keys: Array
    tail_rows: Array | None = None
    tail_keys: Array | None = None

    def part(self, start: int, stop: int) -> "Plan":
        """Return steps ``start`` to ``stop`` of each epoch; the tail is the last step."""
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

    The order in an epoch depends only on the seed and the number of the epoch. If one batch holds all
    examples, they keep their order.
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


class ModelState(NamedTuple):
    """The parameters of a model and the state of its layers: all that inference needs."""

    params: Tree
    layer_state: Tree


class TrainingState(NamedTuple):
    """Everything that training changes, as trees of arrays.

    Attributes:
        params: the parameters of the model.
        layer_state: the state of its layers, such as running statistics.
        optimizer_state: the state of the optimizer.
    """

    params: Tree
    layer_state: Tree
    optimizer_state: Tree


def first_state(
    model: Layer, optimizer: Optimizer, params: Tree, dtype: str, layer_state: Tree | None = None
) -> TrainingState:
    """Return the state before the first step, on the host.

    Args:
        model: the model.
        optimizer: the optimizer.
        params: the parameters of the model, NumPy arrays, which are copied.
        dtype: the dtype of training.
        layer_state: the state of its layers, also copied, or None for the initial one.
    """
    # The last bits of a product can depend on the order of an array in memory: use one order.
    given = (params, layer_state)
    params, layer_state = tree.map(lambda leaf: np.array(leaf, dtype, order="C"), given)
    if layer_state is None:
        layer_state = model.init_state(params)
    return TrainingState(params, layer_state, optimizer.init(params))


@dataclass(frozen=True)
class TrainingProgram:
    """A training run as pure functions of arrays.

    `run` computes the loop of every textbook, forward, loss, backward, update, for all steps of a plan:

    >>> import numpy as np
    >>> from backends import get_backend
    >>> from multinn import SGD, Dense, HalfSquaredError, Sequential, Sigmoid
    >>> x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> t = np.array([[0.0], [1.0], [1.0], [0.0]])
    >>> backend, loss, optimizer = get_backend("numpy:eager"), HalfSquaredError(), SGD(0.5)
    >>> model = Sequential([Dense(2), Sigmoid(), Dense(1), Sigmoid()])
    >>> params, _ = model.init(np.random.default_rng(0), (2,))
    >>> start = params, optimizer_state = params, optimizer.init(params)
    >>> for epoch in range(100):
    ...     y, cache = model.forward(backend, params, x)
    ...     value, dy = loss(backend, y, t)
    ...     dx, gradients = model.backward(backend, params, cache, dy)
    ...     params, optimizer_state = optimizer.update(backend, gradients, optimizer_state, params)

    >>> program = TrainingProgram(backend, model, loss, optimizer, {}, dtype="float64")
    >>> state = first_state(model, optimizer, start[0], "float64")
    >>> plan = make_plan(4, 4, first_epoch=0, epochs=100, first_step=0, seed=0, shuffle=False)
    >>> state, records, finite = program.run(state, Examples(x, t), plan)
    >>> np.array_equal(state.params[0]["W"], params[0]["W"])
    True

    The record of a step or an evaluation is a dict of arrays: ``loss``, for a model with several heads
    also the loss of each, such as ``loss_price``, the metrics, and with weighted examples ``weight``,
    the sum of their weights. The weights of training examples have a mean of 1 over all examples.
    Inputs may be integers or booleans: each batch is cast to ``dtype``.

    Attributes:
        backend: the backend of all arrays.
        model: the model.
        loss: the loss to minimize.
        optimizer: updates the parameters.
        metrics: functions whose values are reported too, by name.
        dtype: the dtype of the parameters, "float32" or "float64".
    """

    backend: Backend
    model: Layer
    loss: Loss
    optimizer: Optimizer
    metrics: Mapping[str, Metric]
    dtype: str = "float32"

    @property
    def reductions(self) -> dict[str, Reduction]:
        """How to combine the loss and each metric over several batches, by name."""
        return {
            **self.loss.reductions,
            **{name: reduction_of(metric) for name, metric in self.metrics.items()},
        }

    def step(
        self, examples: Examples, state: TrainingState, rows_and_key: tuple[Array | None, Array]
    ) -> tuple[TrainingState, Tree]:
        """Take one step on a batch: forward, loss, backward, update.

        Args:
            examples: the data of the run.
            state: the state before the step.
            rows_and_key: the rows of the batch, (batch,) integers, or None for all examples; and the
                seed of the step's key, (2,) int32.

        Returns:
            The state after the step, and the record of the batch before the update.
        """
        backend, model = self.backend, self.model
        params, layer_state, optimizer_state = state
        rows, key = rows_and_key
        x, targets, weights = examples if rows is None else take_rows(backend, examples, rows)

        y, cache = model.forward_with_state(backend, params, layer_state, self._cast(x), Key(key))
        losses, dy = self.loss.report(backend, outputs_for(self.loss, y), targets, weights)
        gradients = model.parameter_gradients(backend, params, cache, dy)
        record = losses | self._metrics(y, targets, weights)
        if weights is not None and self.loss.reduction == "mean":
            # Over an epoch, an example counts by its weight, not by its share in its batch.
            share = record["weight"] * (1.0 / count_of(x))
            gradients = tree.map(lambda g: g * share, gradients)
        layer_state = model.next_state(backend, layer_state, cache)
        params, optimizer_state = self.optimizer.update(backend, gradients, optimizer_state, params)
        return TrainingState(params, layer_state, optimizer_state), record

    def run(self, state: TrainingState, data: Examples, plan: Plan) -> tuple[TrainingState, Tree, Array]:
        """Train for all epochs of the plan.

        Returns:
            The last state; a pair of records: of the full batches, with leaves (epochs, steps), and of
            the smaller last batches, with leaves (epochs,), or None; and whether everything in the last
            state is finite, a boolean of shape ().
        """
        xp, scan = self.backend.xp, self.backend.scan
        if plan.rows is None:  # every batch holds all examples: cast them once
            data = data._replace(x=self._cast(data.x))
        step = partial(self.step, data)

        def epoch(state: TrainingState, plan: Tree) -> tuple[TrainingState, Tree]:
            rows, keys, tail_rows, tail_keys = plan
            state, records = scan(step, state, (rows, keys))
            state, tail_record = step(state, (tail_rows, tail_keys))
            return state, (records, tail_record)

        if plan.tail_rows is None:  # all steps are alike: one loop over the steps of all epochs
            epochs, steps = plan.keys.shape[:2]
            loop = (plan.rows, plan.keys)
            flat = tree.map(lambda leaf: xp.reshape(leaf, (epochs * steps, *leaf.shape[2:])), loop)
            state, records = scan(step, state, flat)
            records = tree.map(lambda leaf: xp.reshape(leaf, (epochs, steps, *leaf.shape[1:])), records)
            records = records, None
        else:
            state, records = scan(epoch, state, plan)
        return state, records, self.backend.all_finite(state)

    def run_batches(
        self, state: TrainingState, batches: Examples, keys: Array, count: Array
    ) -> tuple[TrainingState, Tree, Array]:
        """Take a step on each of the first batches.

        Args:
            state: the state before the steps.
            batches: leaves (batches, batch, ...).
            keys: (batches, 2) int32, the seeds of the steps' keys.
            count: the number of steps, an int32 of shape ().

        Returns:
            As `run` for one epoch of full batches; only the records of the first steps count.
        """

        def step(state: TrainingState, batch_and_key: Tree) -> tuple[TrainingState, Tree]:
            batch, key = batch_and_key
            return self.step(batch, state, (None, key))

        state, records = self.backend.scan_first(step, state, (batches, keys), count)
        return (
            state,
            (tree.map(lambda leaf: leaf[None, ...], records), None),
            self.backend.all_finite(state),
        )

    def evaluate(self, state: ModelState, examples: Examples) -> Tree:
        """Return the record of some examples at inference."""
        x, targets, weights = examples
        y = self._outputs(state, x)
        losses, _ = self.loss.report(self.backend, outputs_for(self.loss, y), targets, weights)
        return losses | self._metrics(y, targets, weights)

    def predict(self, state: ModelState, x: Tree) -> Tree:
        """Return the outputs at inference."""
        return values_of(self._outputs(state, x))

    def _outputs(self, state: ModelState, x: Tree) -> Tree:
        return self.model.forward_with_state(self.backend, *state, self._cast(x))[0]

    def _cast(self, x: Tree) -> Tree:
        xp, dtype = self.backend.xp, getattr(self.backend.xp, self.dtype)
        return tree.map(lambda leaf: leaf if leaf.dtype == dtype else xp.astype(leaf, dtype), x)

    def _metrics(self, y: Tree, targets: Tree, weights: Tree) -> dict[str, Array]:
        values = {
            name: metric(self.backend, outputs_for(metric, y), targets, weights)
            for name, metric in self.metrics.items()
        }
        if weights is not None:
            values["weight"] = self.backend.xp.sum(example_weights(self.backend, weights))
        return values
