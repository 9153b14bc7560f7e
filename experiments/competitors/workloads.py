"""The jobs whose time is compared: network, loss, optimizer, and data of the right size."""

import math
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from backends import Backend, HostArray
from experiments import datasets
from multinn import (
    SGD,
    Adam,
    Dense,
    HalfSquaredError,
    Layer,
    Loss,
    Optimizer,
    ReLU,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    Trainer,
)

Examples = tuple[HostArray, HostArray]


@dataclass(frozen=True)
class Mlp:
    """A multilayer perceptron.

    Attributes:
        widths: of the input, of each hidden layer, and of the output.
        activation: after each hidden layer.
        activated_output: whether it follows the output layer, too.
    """

    widths: tuple[int, ...]
    activation: Literal["relu", "sigmoid"] = "relu"
    activated_output: bool = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.widths[:1]


@dataclass(frozen=True)
class LeNet:
    """Two convolutions for images of 28 x 28, without padding: see `channels` and `kernel`.

    Each convolution has a bias, and is followed by ReLU and a maximum pooling of 2 x 2. What comes out,
    4 x 4 x 16, is flattened, and one dense layer gives the logits.

    Attributes:
        channels: of the first and the second convolution.
        kernel: height and width of both.
        classes: how many logits.
    """

    channels: tuple[int, int] = (8, 16)
    kernel: int = 5
    classes: int = 10

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: height, width, channels."""
        return (28, 28, 1)


Network = Mlp | LeNet


@dataclass(frozen=True)
class Workload:
    """One job.

    A timed run of training is all of the epochs: each example counts once in each, the smaller last
    batch is trained on, too, and each epoch has its own random order, unless the batch is all there is.
    A timed run of prediction is the outputs of all examples.

    Attributes:
        name: short, for the options of a script and its tables.
        description: the network, the batch, and what one timed run is.
        network: what it looks like.
        batch_size: examples a step.
        examples: how many there are.
        epochs: how many one timed run has.
        optimizer: of training: "sgd" or "adam", this with the usual moments 0.9, 0.999 and 1e-8.
        learning_rate: of the optimizer.
        loss: half of the squared error, summed over outputs and examples, or the cross-entropy of the
            softmax of logits, averaged over the batch.
        task: "train" or "predict".
    """

    name: str
    description: str
    network: Network
    batch_size: int
    examples: int
    epochs: int = 1
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = 0.1
    loss: Literal["half_squared_error", "softmax_cross_entropy"] = "softmax_cross_entropy"
    task: Literal["train", "predict"] = "train"

    @property
    def shuffle(self) -> bool:
        """Whether each epoch has its own random order: not where one batch is all examples."""
        return self.batch_size < self.examples

    @property
    def input_bytes(self) -> int:
        """How much memory the inputs take."""
        return 4 * self.examples * math.prod(self.network.input_shape)

    def data(self) -> Examples:
        """Return the inputs, (examples, ...) float32, and the targets; the same at each call.

        Targets are (examples,) int32 classes for the cross-entropy, else (examples, outputs) float32.
        """
        return _DATA.get(self.name, _random_images)(self)

    def model(self) -> Sequential:
        """Return the network in multinn's layers."""
        return _lenet(self.network) if isinstance(self.network, LeNet) else _mlp(self.network)

    def trainer(self, backend: Backend, seed: int, dtype: str = "float32") -> Trainer:
        """Return a trainer for this job, at its beginning."""
        loss: Loss = HalfSquaredError()
        if self.loss == "softmax_cross_entropy":
            loss = SoftmaxCrossEntropy()
        optimizer: Optimizer = SGD(self.learning_rate)
        if self.optimizer == "adam":
            optimizer = Adam(self.learning_rate)
        trainer = Trainer(self.model(), loss, optimizer, backend=backend, dtype=dtype, seed=seed)
        trainer.initialize(self.network.input_shape)
        return trainer


def settle(memory: int = 0) -> None:
    """Wait for a moment, before a timed run, until what ran before has come to rest.

    The threads of OpenBLAS go on spinning for some hundredths of a second after a product, and would
    take the cores from another library. And a virtual machine can give memory back to its host when it
    is free for a second or two: to copy MNIST then takes 0.2 to 0.4 s in place of 0.02 s.

    Args:
        memory: bytes that a run may take to copy its data, which the machine is to have at hand.
    """
    time.sleep(0.1)
    np.ones(memory, np.uint8)


def all_workloads(most: int | None = None) -> dict[str, Workload]:
    """Return the jobs by name.

    Args:
        most: examples that a job may have, for a quick look; as many as it should if None.
    """
    digits, mnist, images, rows = (
        count if most is None else min(count, most) for count in (1347, 60_000, 12_800, 10_000)
    )
    jobs = [
        Workload(
            "xor",
            "2-2-1, full batch, SGD, 10,000 epochs",
            Mlp((2, 2, 1), "sigmoid", activated_output=True),
            batch_size=4,
            examples=4,
            epochs=10_000,
            learning_rate=0.5,
            loss="half_squared_error",
        ),
        Workload(
            "digits",
            f"64-32-10, batch 32, SGD, 20 epochs of {digits:,}",
            Mlp((64, 32, 10)),
            batch_size=min(32, digits),
            examples=digits,
            epochs=20,
        ),
        Workload(
            "mnist",
            f"784-128-10, batch 64, SGD, 1 epoch of {mnist:,}",
            Mlp((784, 128, 10)),
            batch_size=min(64, mnist),
            examples=mnist,
        ),
        Workload(
            "large",
            f"784-512-512-10, batch 256, Adam, 1 epoch of {mnist:,}",
            Mlp((784, 512, 512, 10)),
            batch_size=min(256, mnist),
            examples=mnist,
            optimizer="adam",
            learning_rate=0.001,
        ),
        Workload(
            "lenet",
            f"5x5x8, 5x5x16, dense 10, batch 64, SGD, 1 epoch of {images:,}",
            LeNet(),
            batch_size=min(64, images),
            examples=images,
            learning_rate=0.05,
        ),
        Workload(
            "predict",
            f"784-512-512-10, the outputs of {rows:,} rows",
            Mlp((784, 512, 512, 10)),
            batch_size=rows,
            examples=rows,
            task="predict",
        ),
    ]
    return {job.name: job for job in jobs}


def step_workload(width: int, batch_size: int, steps: int) -> Workload:
    """Return one epoch of so many steps of the network width-width-10."""
    network = Mlp((width, width, 10))
    description = f"{width}-{width}-10, batch {batch_size}, SGD, {steps:,} steps"
    return Workload("step", description, network, batch_size, examples=steps * batch_size)


def _mlp(network: Mlp) -> Sequential:
    layers: list[Layer] = []
    for units in network.widths[1:]:
        layers += [Dense(units), Sigmoid() if network.activation == "sigmoid" else ReLU()]
    return Sequential(layers if network.activated_output else layers[:-1])


def _lenet(network: LeNet) -> Sequential:
    from multinn import Conv2D, Flatten, MaxPool2D

    layers: list[Layer] = []
    for channels in network.channels:
        layers += [Conv2D(channels, network.kernel), ReLU(), MaxPool2D(2)]
    return Sequential([*layers, Flatten(), Dense(network.classes)])


def _xor(_workload: Workload) -> Examples:
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    return x, np.array([[0], [1], [1], [0]], np.float32)


def _digits(workload: Workload) -> Examples:
    data = datasets.load("digits")
    return data.x_train[: workload.examples], data.y_train[: workload.examples]


def _random_images(workload: Workload) -> Examples:
    generator = np.random.default_rng(0)
    x = generator.random((workload.examples, *workload.network.input_shape), dtype=np.float32)
    return x, generator.integers(0, 10, workload.examples).astype(np.int32)


_DATA = {"xor": _xor, "digits": _digits}
