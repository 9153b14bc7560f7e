"""Training as pure functions: one step, and a run of epochs that a backend can compile whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from backends import Array, Backend, HostArray, Tree, tree
from multinn.layers import Layer
from multinn.layers.masked import values_of
from multinn.losses import Loss
from multinn.metrics import CombinedMetric, Metric
from multinn.optimizers import Optimizer
from multinn.random import Key
from multinn.training.plan import Examples, Plan, take_rows


class ModelState(NamedTuple):
    """What a model needs at inference: its parameters, and the state of its layers."""

    params: Tree
    layer_state: Tree


class TrainingState(NamedTuple):
    """What training changes: each a tree of arrays.

    Attributes:
        params: the parameters of the model.
        layer_state: the state of its layers, such as running statistics.
        optimizer_state: the state of the optimizer.
    """

    params: Tree
    layer_state: Tree
    optimizer_state: Tree


def first_state(model: Layer, optimizer: Optimizer, params: Tree, dtype: str) -> TrainingState:
    """Return the state before the first step, on the host.

    Args:
        model: whose parameters they are.
        optimizer: that updates them.
        params: arrays of NumPy, which are copied.
        dtype: that of training.
    """
    # In one order in memory, which the last bits of a product can depend on.
    params = tree.map(lambda leaf: np.array(leaf, dtype, order="C"), params)
    return TrainingState(params, model.init_state(params), optimizer.init(params))


def value_and_gradients(
    backend: Backend,
    model: Layer,
    loss: Loss,
    params: Tree,
    examples: Examples,
    key: Key | None = None,
) -> tuple[Array, Array, Tree]:
    """Return the loss, the model's outputs, and the gradients with respect to the parameters.

    For a model whose layers need no state at hand.

    Args:
        backend: whose arrays the others are.
        model: a layer, such as Sequential.
        loss: called on the model's outputs.
        params: the model's parameters.
        examples: the batch.
        key: a key to train, None to run the model as at inference.
    """
    return _forward_and_backward(backend, model, loss, params, None, examples, key)[:3]


def _forward_and_backward(
    backend: Backend,
    model: Layer,
    loss: Loss,
    params: Tree,
    layer_state: Tree,
    examples: Examples,
    key: Key | None,
) -> tuple[Array, Array, Tree, Tree]:
    """Return the loss, the outputs, the gradients, and the cache of the forward pass."""
    y, cache = model.forward_with_state(backend, params, layer_state, examples.x, key)
    outputs = values_of(y)
    value, d_outputs = loss(backend, outputs, examples.targets, examples.weights)
    return value, outputs, model.parameter_gradients(backend, params, cache, d_outputs), cache


Reduction = str | Callable[[HostArray], HostArray]  # "mean", "sum", or CombinedMetric.combine


def _reduction(metric: Metric) -> Reduction:
    if isinstance(metric, CombinedMetric):
        return metric.combine
    reduction: str = getattr(getattr(metric, "__self__", None), "reduction", "mean")
    return reduction


@dataclass(frozen=True)
class TrainingProgram:
    """What one run computes, as pure functions of arrays.

    A record is a dict of arrays, most without axes: ``loss``, the metrics, and with weighted examples
    ``weight``, the sum of the weights. Weights of training examples have a mean of 1 over all of them.
    Inputs may be integers or booleans: each batch of them is cast to ``dtype``, that of the parameters.
    """

    backend: Backend
    model: Layer
    loss: Loss
    optimizer: Optimizer
    metrics: Mapping[str, Metric]
    dtype: str = "float32"

    @property
    def reductions(self) -> dict[str, Reduction]:
        """How the figures of batches combine, by name; of a loss, as it does."""
        return {
            "loss": self.loss.reduction,
            **{name: _reduction(metric) for name, metric in self.metrics.items()},
        }

    def step(self, state: TrainingState, batch: Examples, words: Array) -> tuple[TrainingState, Tree]:
        """Take one step on a batch: the new state, and the record of the batch before the update."""
        params, layer_state, optimizer_state = state
        batch = batch._replace(x=self._cast(batch.x))
        value, outputs, gradients, cache = _forward_and_backward(
            self.backend, self.model, self.loss, params, layer_state, batch, Key(words)
        )
        if batch.weights is not None and self.loss.reduction == "mean":
            # Over an epoch, an example counts by its weight, not by its share in its batch.
            share = self.backend.xp.mean(batch.weights)
            gradients = tree.map(lambda g: g * share, gradients)
        record = {"loss": value} | self._metrics(outputs, batch)
        layer_state = self.model.next_state(self.backend, layer_state, cache)
        params, optimizer_state = self.optimizer.update(self.backend, gradients, optimizer_state, params)
        return TrainingState(params, layer_state, optimizer_state), record

    def run(self, state: TrainingState, data: Examples, plan: Plan) -> tuple[TrainingState, Tree, Array]:
        """Train for all epochs of the plan.

        Returns:
            The last state; a pair of records, of the full batches, each leaf (epochs, steps), and of
            the last, smaller batches, each (epochs,), or None; and whether all that is in the last
            state is finite, a boolean without axes.
        """
        xp = self.backend.xp
        if plan.rows is None:  # every batch is all there is: cast once
            data = data._replace(x=self._cast(data.x))

        def step(state: TrainingState, rows_and_words: Tree) -> tuple[TrainingState, Tree]:
            rows, words = rows_and_words
            if rows is None:
                return self.step(state, data, words)
            return self.step(state, take_rows(self.backend, data, rows), words)

        def epoch(state: TrainingState, plan: Tree) -> tuple[TrainingState, Tree]:
            rows, words, tail_rows, tail_words = plan
            state, records = self.backend.scan(step, state, (rows, words))
            state, tail_record = step(state, (tail_rows, tail_words))
            return state, (records, tail_record)

        if plan.tail_rows is None:  # the steps of all epochs are alike: one loop
            epochs, steps = plan.words.shape[:2]
            loop = (plan.rows, plan.words)
            flat = tree.map(lambda leaf: xp.reshape(leaf, (epochs * steps, *leaf.shape[2:])), loop)
            state, records = self.backend.scan(step, state, flat)
            records = tree.map(lambda leaf: xp.reshape(leaf, (epochs, steps, *leaf.shape[1:])), records)
            records = records, None
        else:
            state, records = self.backend.scan(epoch, state, plan)
        finite = [xp.all(xp.isfinite(leaf)) for leaf in tree.leaves(state)]
        return state, records, xp.all(xp.stack(finite))

    def evaluate(self, state: ModelState, examples: Examples) -> Tree:
        """Return the record of some examples at inference."""
        outputs = self.predict(state, examples.x)
        value = self.loss.value(self.backend, outputs, examples.targets, examples.weights)
        return {"loss": value} | self._metrics(outputs, examples)

    def predict(self, state: ModelState, x: Array) -> Array:
        """Return the outputs at inference."""
        return values_of(self.model.forward_with_state(self.backend, *state, self._cast(x))[0])

    def _cast(self, x: Array) -> Array:
        dtype = getattr(self.backend.xp, self.dtype)
        return x if x.dtype == dtype else self.backend.xp.astype(x, dtype)

    def _metrics(self, outputs: Array, batch: Examples) -> dict[str, Array]:
        figures = {
            name: metric(self.backend, outputs, batch.targets, batch.weights)
            for name, metric in self.metrics.items()
        }
        if batch.weights is not None:
            figures["weight"] = self.backend.xp.sum(batch.weights)
        return figures
