"""The jobs whose time is compared: network, loss, optimizer and data."""

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
        widths: the widths of the input, of each hidden layer, and of the output.
        activation: the activation after each hidden layer.
        activated_output: whether the activation also follows the output layer.
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
    """Two convolutions for images of 28 x 28, without padding.

    Each convolution has a bias and is followed by ReLU and max pooling of 2 x 2. The outputs,
    4 x 4 x 16, are flattened, and a dense layer computes the logits.

    Attributes:
        channels: the channels of the first and the second convolution.
        kernel: the height and width of both kernels.
        classes: the number of logits.
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

    A timed run of training is all epochs. Each example is used once per epoch, also in a smaller last
    batch, and each epoch has its own random order, unless one batch has all examples. A timed run of
    prediction computes the outputs of all examples.

    Attributes:
        name: a short name, for options and tables.
        description: the network, the batch, and the extent of a timed run.
        network: the network.
        batch_size: examples in a step.
        examples: the number of examples.
        epochs: the epochs of a timed run.
        optimizer: "sgd", or "adam" with the usual 0.9, 0.999 and 1e-8.
        learning_rate: the learning rate.
        loss: half the squared error, summed over outputs and examples; or the softmax cross-entropy of
            logits, averaged over the batch.
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
        """Whether each epoch has its own random order: not if one batch has all examples."""
        return self.batch_size < self.examples

    @property
    def input_bytes(self) -> int:
        """The size of the inputs in bytes."""
        return 4 * self.examples * math.prod(self.network.input_shape)

    def data(self) -> Examples:
        """Return the inputs, (examples, ...) float32, and the targets; the same at each call.

        Targets are int32 classes (examples,) for the cross-entropy, else float32 (examples, outputs).
        """
        return _DATA.get(self.name, _random_images)(self)

    def model(self) -> Sequential:
        """Return the network in multinn's layers."""
        return _lenet(self.network) if isinstance(self.network, LeNet) else _mlp(self.network)

    def trainer(self, backend: Backend, seed: int, dtype: str = "float32") -> Trainer:
        """Return an initialized trainer for this job."""
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
    """Wait before a timed run until earlier work no longer disturbs it.

    The threads of OpenBLAS spin for some hundredths of a second after a product, and would occupy the
    cores. A virtual machine may return memory to its host after a second or two; copying MNIST then
    takes 0.2 to 0.4 s instead of 0.02 s.

    Args:
        memory: bytes that the run needs to copy its data; they are allocated and freed.
    """
    time.sleep(0.1)
    np.ones(memory, np.uint8)


def all_workloads(most: int | None = None) -> dict[str, Workload]:
    """Return the jobs by name.

    Args:
        most: the maximal number of examples of a job, for a quick look; None for no limit.
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
    """Return a job of one epoch with that many steps of the network width-width-10."""
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
