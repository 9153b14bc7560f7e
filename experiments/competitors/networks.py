"""The networks whose time is compared, with their layers in multinn and their matrix products.

Each competitor builds them in its own library.
"""

import itertools
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from backends import Shape
from multinn import (
    GRU,
    LSTM,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    Layer,
    MaxPool2D,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    TransformerBlock,
)


class Product(NamedTuple):
    """A product of matrices, (rows, inputs) by (inputs, units), that is computed `times` times."""

    rows: int
    inputs: int
    units: int
    times: int = 1


class Network(Protocol):
    """A network, as a dataclass of its sizes."""

    @property
    def input_shape(self) -> Shape:
        """The shape of one example."""

    def model(self) -> Sequential:
        """Return the network in multinn's layers."""

    def products(self, batch: int) -> list[Product]:
        """Return the products of the forward pass; a row of a convolution is a patch."""


@dataclass(frozen=True)
class Mlp:
    """A multilayer perceptron.

    Attributes:
        widths: the widths of the input, of each hidden layer, and of the output.
        activation: the activation after each hidden layer.
        activated_output: whether the activation also follows the output layer.
    """

    widths: tuple[int, ...]
    activation: Literal["relu", "sigmoid"] = "relu"
    activated_output: bool = False

    @property
    def input_shape(self) -> Shape:
        """The width of the input."""
        return self.widths[:1]

    def model(self) -> Sequential:
        """Return dense layers and activations in turn."""
        layers: list[Layer] = []
        for units in self.widths[1:]:
            layers += [Dense(units), Sigmoid() if self.activation == "sigmoid" else ReLU()]
        return Sequential(layers if self.activated_output else layers[:-1])

    def products(self, batch: int) -> list[Product]:
        """Return the product of each dense layer."""
        return _of_dense_layers(batch, self.widths)


@dataclass(frozen=True)
class NormalizedMlp:
    """A multilayer perceptron with batch normalization and ReLU after each hidden layer.

    Attributes:
        widths: the widths of the input, of each hidden layer, and of the output.
    """

    widths: tuple[int, ...]

    @property
    def input_shape(self) -> Shape:
        """The width of the input."""
        return self.widths[:1]

    def model(self) -> Sequential:
        """Return the layers; all dense layers have a bias."""
        *hidden, outputs = self.widths[1:]
        layers = [layer for units in hidden for layer in (Dense(units), BatchNorm(), ReLU())]
        return Sequential([*layers, Dense(outputs)])

    def products(self, batch: int) -> list[Product]:
        """Return the product of each dense layer."""
        return _of_dense_layers(batch, self.widths)


@dataclass(frozen=True)
class ConvNet:
    """Stages of convolutions with bias and ReLU, each with a max pooling of 2 x 2, then a dense layer.

    Attributes:
        input_shape: height, width, channels.
        stages: for each stage, the channels of its convolutions.
        kernel: the height and width of all kernels, an odd number.
        padding: the padding of the convolutions.
        classes: the number of logits.
    """

    input_shape: Shape
    stages: tuple[tuple[int, ...], ...]
    kernel: int
    padding: Literal["same", "valid"] = "valid"
    classes: int = 10

    def model(self) -> Sequential:
        """Return the layers."""
        layers: list[Layer] = []
        for stage in self.stages:
            for channels in stage:
                layers += [Conv2D(channels, self.kernel, padding=self.padding), ReLU()]
            layers.append(MaxPool2D(2))
        return Sequential([*layers, Flatten(), Dense(self.classes)])

    def products(self, batch: int) -> list[Product]:
        """Return the product with the patches of each convolution, and of the dense layer."""
        height, width, inputs = self.input_shape
        lost = 0 if self.padding == "same" else self.kernel - 1
        products = []
        for stage in self.stages:
            for channels in stage:
                height, width = height - lost, width - lost
                products.append(Product(batch * height * width, self.kernel**2 * inputs, channels))
                inputs = channels
            height, width = height // 2, width // 2
        return [*products, Product(batch, height * width * inputs, self.classes)]

    @property
    def flat_features(self) -> int:
        """The inputs of the dense layer."""
        return self.products(1)[-1].inputs


@dataclass(frozen=True)
class ResNet:
    """Residual blocks with batch normalization, global average pooling, and a dense layer.

    A convolution with batch normalization and ReLU comes first. A block is
    y = relu(x + f(x)), where f is convolution, batch normalization, ReLU, convolution, batch
    normalization. All convolutions are 3 x 3, padded, and without bias.

    Attributes:
        input_shape: height, width, channels.
        channels: the channels of all convolutions.
        blocks: the number of residual blocks.
        classes: the number of logits.
    """

    input_shape: Shape
    channels: int
    blocks: int
    classes: int = 10

    def model(self) -> Sequential:
        """Return the layers."""
        blocks: list[Layer] = []
        for _ in range(self.blocks):
            inner = Sequential([*self._convolution(), ReLU(), *self._convolution()])
            blocks += [Residual(inner), ReLU()]
        stem = [*self._convolution(), ReLU()]
        return Sequential([*stem, *blocks, GlobalAveragePool2D(), Dense(self.classes)])

    def _convolution(self) -> list[Layer]:
        return [Conv2D(self.channels, 3, padding="same", use_bias=False), BatchNorm()]

    def products(self, batch: int) -> list[Product]:
        """Return the product with the patches of each convolution, and of the dense layer."""
        height, width, inputs = self.input_shape
        rows = batch * height * width
        stem = Product(rows, 9 * inputs, self.channels)
        inner = [Product(rows, 9 * self.channels, self.channels)] * (2 * self.blocks)
        return [stem, *inner, Product(batch, self.channels, self.classes)]


@dataclass(frozen=True)
class Recurrent:
    """A recurrent layer, and a dense layer on its last output.

    Attributes:
        kind: "lstm"; or "gru" with the reset gate after the product.
        input_shape: time steps, features.
        units: the outputs of the recurrent layer.
        classes: the number of logits.
    """

    kind: Literal["lstm", "gru"]
    input_shape: Shape
    units: int
    classes: int = 10

    def model(self) -> Sequential:
        """Return the layers."""
        layer = LSTM if self.kind == "lstm" else GRU
        return Sequential([layer(self.units, return_sequences=False), Dense(self.classes)])

    def products(self, batch: int) -> list[Product]:
        """Return the product with all inputs, with the state at each step, and of the dense layer."""
        steps, features = self.input_shape
        gates = self.units * (4 if self.kind == "lstm" else 3)
        return [
            Product(batch * steps, features, gates),
            Product(batch, self.units, gates, times=steps),
            Product(batch, self.units, self.classes),
        ]


@dataclass(frozen=True)
class Transformer:
    """Transformer blocks that normalize first, the mean over the steps, and a dense layer.

    Attributes:
        input_shape: time steps, features.
        heads: the heads of the attention.
        hidden_units: the hidden layer of each block, with ReLU as in PyTorch.
        blocks: the number of blocks.
        classes: the number of logits.
    """

    input_shape: Shape
    heads: int
    hidden_units: int
    blocks: int
    classes: int = 10

    def model(self) -> Sequential:
        """Return the layers."""
        features = self.input_shape[1]
        block = TransformerBlock(features, self.heads, self.hidden_units, activation=ReLU())
        return Sequential([*[block] * self.blocks, GlobalAveragePool1D(), Dense(self.classes)])

    def products(self, batch: int) -> list[Product]:
        """Return the products of each block, with those of queries by keys and weights by values."""
        steps, features = self.input_shape
        rows, size = batch * steps, features // self.heads
        block = [
            Product(rows, features, 3 * features),
            Product(steps, size, steps, times=batch * self.heads),
            Product(steps, steps, size, times=batch * self.heads),
            Product(rows, features, features),
            Product(rows, features, self.hidden_units),
            Product(rows, self.hidden_units, features),
        ]
        return [*block * self.blocks, Product(batch, features, self.classes)]


def _of_dense_layers(batch: int, widths: tuple[int, ...]) -> list[Product]:
    return [Product(batch, inputs, units) for inputs, units in itertools.pairwise(widths)]
