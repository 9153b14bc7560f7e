"""Keras 3 on JAX."""

import os
from typing import Any

import numpy as np

from backends import HostArray
from experiments.competitors.models import Model, ModelCompetitor
from experiments.competitors.workloads import LeNet, Network, Workload

SMALL_BATCH_BYTES = 16_384
"""Up to this size, several batches per execution are faster; above it, stacking them costs more."""

MOST_STEPS_PER_EXECUTION = 100

PREDICTION_BATCH_SIZE = 2500
"""Faster than 1,000 rows, and than 10,000."""


class Keras(ModelCompetitor):
    """`fit` and `predict` of a compiled model."""

    name = "keras"
    requires = ("keras", "jax")

    def load(self) -> None:
        """Import Keras and JAX, with JAX as the backend of Keras."""
        # Keras reads the variable when it is imported.
        os.environ["KERAS_BACKEND"] = "jax"
        super().load()

    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> "KerasModel":
        """Return the model."""
        return KerasModel(workload, x, y, seed)


class KerasModel(Model):
    """A compiled model and the data.

    For full batches, each epoch of `fit` would be one step with the overhead of an epoch. Instead, the
    examples are repeated in one long epoch, without shuffling.
    """

    def __init__(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> None:
        import keras

        keras.utils.set_random_seed(seed)
        self._workload = workload
        self._epochs, self._x, self._y = workload.epochs, x, y
        self._batch_size = min(workload.batch_size, workload.examples)
        if not workload.shuffle:
            repeats = workload.epochs
            self._epochs, self._x, self._y = 1, _repeat(x, repeats), _repeat(y, repeats)
        self._model = _network(keras.layers, workload.network)
        make = keras.optimizers.Adam if workload.optimizer == "adam" else keras.optimizers.SGD
        self._model.compile(
            optimizer=make(workload.learning_rate),
            loss=_loss(workload),
            jit_compile=True,
            steps_per_execution=self._steps_per_execution(),
        )

    def _steps_per_execution(self) -> int:
        if self._x[: self._batch_size].nbytes > SMALL_BATCH_BYTES:
            return 1
        return min(MOST_STEPS_PER_EXECUTION, len(self._x) // self._batch_size)

    @property
    def steps_done(self) -> int:
        """The number of updates so far."""
        return int(self._model.optimizer.iterations)

    def train(self) -> None:
        """Train for all epochs of a run."""
        self._model.fit(
            self._x,
            self._y,
            batch_size=self._batch_size,
            epochs=self._epochs,
            shuffle=self._workload.shuffle,
            verbose=0,
        )

    def outputs(self) -> HostArray:
        """Return the logits."""
        x = self._x[: self._workload.examples]
        outputs: HostArray = self._model.predict(x, batch_size=PREDICTION_BATCH_SIZE, verbose=0)
        return outputs


def _repeat(values: HostArray, repeats: int) -> HostArray:
    return np.tile(values, (repeats, *(1,) * (values.ndim - 1)))


def _network(layers: Any, network: Network) -> Any:
    from keras import Sequential

    if isinstance(network, LeNet):
        stack: list[Any] = []
        for channels in network.channels:
            stack += [layers.Conv2D(channels, network.kernel, activation="relu"), layers.MaxPooling2D(2)]
        stack += [layers.Flatten(), layers.Dense(network.classes)]
    else:
        *hidden, outputs = network.widths[1:]
        last = network.activation if network.activated_output else None
        stack = [layers.Dense(width, activation=network.activation) for width in hidden]
        stack.append(layers.Dense(outputs, activation=last))
    return Sequential([layers.Input(network.input_shape), *stack])


def _loss(workload: Workload) -> Any:
    from keras import losses, ops

    if workload.loss == "softmax_cross_entropy":
        return losses.SparseCategoricalCrossentropy(from_logits=True)
    return lambda targets, outputs: 0.5 * ops.sum(ops.square(outputs - targets))
