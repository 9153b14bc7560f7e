"""The jobs whose time is compared: network, loss, optimizer and data."""

import math
import time
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from backends import Backend, HostArray
from experiments import datasets
from experiments.competitors.networks import (
    ConvNet,
    Mlp,
    Network,
    NormalizedMlp,
    Recurrent,
    ResNet,
    Transformer,
)
from multinn import SGD, Adam, HalfSquaredError, Loss, Optimizer, SoftmaxCrossEntropy, Trainer

Examples = tuple[HostArray, HostArray]

Group = Literal["classic", "deep"]
GROUPS: tuple[Group, ...] = get_args(Group)
"""The groups of jobs: networks that are compared with every library, and deep ones."""


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
        group: the group that it belongs to.
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
    group: Group = "classic"

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
        return _DATA.get(self.name, _random_examples)(self)

    def trainer(self, backend: Backend, seed: int, dtype: str = "float32") -> Trainer:
        """Return an initialized trainer for this job."""
        loss: Loss = HalfSquaredError()
        if self.loss == "softmax_cross_entropy":
            loss = SoftmaxCrossEntropy()
        optimizer: Optimizer = SGD(self.learning_rate)
        if self.optimizer == "adam":
            optimizer = Adam(self.learning_rate)
        trainer = Trainer(self.network.model(), loss, optimizer, backend=backend, dtype=dtype, seed=seed)
        trainer.initialize(self.network.input_shape)
        return trainer


def settle(memory: int = 0) -> None:
    """Wait before a timed run until earlier work no longer disturbs it.

    The threads of OpenBLAS spin for up to a tenth of a second after a product, and would occupy the
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
            ConvNet((28, 28, 1), ((8,), (16,)), kernel=5),
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
        *_deep_workloads(most),
    ]
    return {job.name: job for job in jobs}


def _deep_workloads(most: int | None) -> list[Workload]:
    images = ConvNet((32, 32, 3), ((32, 32), (64,)), kernel=3, padding="same")
    lstm, gru = Recurrent("lstm", (50, 16), 64), Recurrent("gru", (50, 16), 64)
    blocks = Transformer((32, 64), heads=4, hidden_units=128, blocks=2)
    normalized = NormalizedMlp((256, 256, 256, 256, 256, 10))
    jobs: list[tuple[str, str, Network, int, int]] = [
        ("convolutions", "3x3, 32-32-64-10", images, 64, 1024),
        ("residual", "2 blocks of 16 channels", ResNet((32, 32, 3), 16, blocks=2), 64, 1024),
        ("lstm", "16-64 over 50 steps", lstm, 64, 1024),
        ("gru", "16-64 over 50 steps", gru, 64, 1024),
        ("transformer", "2 blocks of 64 features", blocks, 64, 1024),
        ("batch_norm", "4 x 256 normalized", normalized, 128, 8192),
    ]
    return [
        Workload(
            name,
            f"{description}, batch {batch}, SGD, 1 epoch of {min(examples, most or examples):,}",
            network,
            batch_size=min(batch, most or batch),
            examples=min(examples, most or examples),
            learning_rate=0.05,
            group="deep",
        )
        for name, description, network, batch, examples in jobs
    ]


def step_workload(width: int, batch_size: int, steps: int) -> Workload:
    """Return a job of one epoch with that many steps of the network width-width-10."""
    network = Mlp((width, width, 10))
    description = f"{width}-{width}-10, batch {batch_size}, SGD, {steps:,} steps"
    return Workload("step", description, network, batch_size, examples=steps * batch_size)


def _xor(_workload: Workload) -> Examples:
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    return x, np.array([[0], [1], [1], [0]], np.float32)


def _digits(workload: Workload) -> Examples:
    data = datasets.load("digits")
    return data.x_train[: workload.examples], data.y_train[: workload.examples]


def _random_examples(workload: Workload) -> Examples:
    generator = np.random.default_rng(0)
    x = generator.random((workload.examples, *workload.network.input_shape), dtype=np.float32)
    return x, generator.integers(0, 10, workload.examples).astype(np.int32)


_DATA = {"xor": _xor, "digits": _digits}
