"""Keras 3 on JAX."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from backends import HostArray
from experiments.competitors.models import Model, ModelCompetitor
from experiments.competitors.networks import (
    ConvNet,
    Mlp,
    Network,
    NormalizedMlp,
    Recurrent,
    ResNet,
    Transformer,
)
from experiments.competitors.workloads import Workload

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

    Attributes:
        network: the compiled model.
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
        self.network = _network(workload.network)
        make = keras.optimizers.Adam if workload.optimizer == "adam" else keras.optimizers.SGD
        self.network.compile(
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
        return int(self.network.optimizer.iterations)

    def train(self) -> None:
        """Train for all epochs of a run."""
        self.network.fit(
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
        outputs: HostArray = self.network.predict(x, batch_size=PREDICTION_BATCH_SIZE, verbose=0)
        return outputs


def _repeat(values: HostArray, repeats: int) -> HostArray:
    return np.tile(values, (repeats, *(1,) * (values.ndim - 1)))


def _network(network: Network) -> Any:
    """Return the network; epsilon and momentum are multinn's, not Keras' own."""
    from keras import Input, Model

    inputs = Input(network.input_shape)
    return Model(inputs, _OUTPUTS[type(network)](network, inputs))


def _mlp(network: Mlp, x: Any) -> Any:
    from keras import layers

    *hidden, outputs = network.widths[1:]
    for units in hidden:
        x = layers.Dense(units, activation=network.activation)(x)
    last = network.activation if network.activated_output else None
    return layers.Dense(outputs, activation=last)(x)


def _normalized_mlp(network: NormalizedMlp, x: Any) -> Any:
    from keras import layers

    *hidden, outputs = network.widths[1:]
    for units in hidden:
        x = layers.ReLU()(_batch_norm(layers.Dense(units)(x)))
    return layers.Dense(outputs)(x)


def _convnet(network: ConvNet, x: Any) -> Any:
    from keras import layers

    options = {"padding": network.padding, "activation": "relu"}
    for stage in network.stages:
        for channels in stage:
            x = layers.Conv2D(channels, network.kernel, **options)(x)
        x = layers.MaxPooling2D(2)(x)
    return layers.Dense(network.classes)(layers.Flatten()(x))


def _resnet(network: ResNet, x: Any) -> Any:
    from keras import layers

    def normalized(x: Any) -> Any:
        convolution = layers.Conv2D(network.channels, 3, padding="same", use_bias=False)
        return _batch_norm(convolution(x))

    x = layers.ReLU()(normalized(x))
    for _ in range(network.blocks):
        inner = normalized(layers.ReLU()(normalized(x)))
        x = layers.ReLU()(layers.Add()([x, inner]))
    return layers.Dense(network.classes)(layers.GlobalAveragePooling2D()(x))


def _recurrent(network: Recurrent, x: Any) -> Any:
    from keras import layers

    layer = layers.LSTM if network.kind == "lstm" else layers.GRU
    return layers.Dense(network.classes)(layer(network.units)(x))


def _transformer(network: Transformer, x: Any) -> Any:
    from keras import layers

    features = network.input_shape[1]
    for _ in range(network.blocks):
        normalized = layers.LayerNormalization(epsilon=1e-5)(x)
        attention = layers.MultiHeadAttention(network.heads, features // network.heads)
        x = layers.Add()([x, attention(normalized, normalized)])
        hidden = layers.LayerNormalization(epsilon=1e-5)(x)
        hidden = layers.Dense(network.hidden_units, activation="relu")(hidden)
        x = layers.Add()([x, layers.Dense(features)(hidden)])
    return layers.Dense(network.classes)(layers.GlobalAveragePooling1D()(x))


_OUTPUTS: dict[type, Callable[[Any, Any], Any]] = {
    Mlp: _mlp,
    NormalizedMlp: _normalized_mlp,
    ConvNet: _convnet,
    ResNet: _resnet,
    Recurrent: _recurrent,
    Transformer: _transformer,
}


def _batch_norm(x: Any) -> Any:
    from keras import layers

    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def _loss(workload: Workload) -> Any:
    from keras import losses, ops

    if workload.loss == "softmax_cross_entropy":
        return losses.SparseCategoricalCrossentropy(from_logits=True)
    return lambda targets, outputs: 0.5 * ops.sum(ops.square(outputs - targets))
