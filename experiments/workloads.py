"""The training jobs whose time is compared: model, loss, optimizer, and data of the right size."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import Backend
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

HostArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Workload:
    """One training job.

    Attributes:
        name: short, for the options of a script and its tables.
        description: the network, the batch, and what one timed run is.
        model: the network.
        loss: what is minimized.
        optimizer: with its learning rate.
        data: gives x and y.
        batch_size: examples a step.
        epochs: how many one timed run has; they are one call of the compiled program.
    """

    name: str
    description: str
    model: Layer
    loss: Loss
    optimizer: Optimizer
    data: Callable[[], tuple[HostArray, HostArray]]
    batch_size: int
    epochs: int

    def trainer(self, backend: Backend, seed: int, dtype: str = "float32") -> Trainer:
        """Return a trainer for this job."""
        return Trainer(self.model, self.loss, self.optimizer, backend=backend, dtype=dtype, seed=seed)

    def train(self, trainer: Trainer, x: HostArray, y: HostArray) -> float:
        """Train for the epochs of one timed run, and return the seconds, without compilation."""
        before = trainer.seconds.train
        trainer.fit(
            x,
            y,
            epochs=self.epochs,
            batch_size=self.batch_size,
            shuffle=self.batch_size < len(x),
            report_every=self.epochs,
            progress=False,
        )
        return trainer.seconds.train - before


def settle() -> None:
    """Wait for a moment, before a timed run, until what ran before has come to rest.

    The threads of OpenBLAS go on spinning for some hundredths of a second after a product, and would
    take the cores from another library.
    """
    time.sleep(0.1)


def all_workloads(examples: int) -> list[Workload]:
    """Return the jobs; those of MNIST's size have that many random examples."""
    mnist_sized = _random_images(examples)
    return [
        Workload(
            "xor",
            "2-2-1, full batch, SGD, 1,000 epochs",
            Sequential([Dense(2), Sigmoid(), Dense(1), Sigmoid()]),
            HalfSquaredError(),
            SGD(0.5),
            _xor,
            batch_size=4,
            epochs=1000,
        ),
        Workload(
            "digits",
            "64-32-10, batch 32, SGD, 5 epochs of 1,347",
            _classifier(32),
            SoftmaxCrossEntropy(),
            SGD(0.1),
            _digits,
            batch_size=32,
            epochs=5,
        ),
        Workload(
            "small",
            f"784-128-10, batch 64, SGD, 1 epoch of {examples:,}",
            _classifier(128),
            SoftmaxCrossEntropy(),
            SGD(0.1),
            mnist_sized,
            batch_size=64,
            epochs=1,
        ),
        Workload(
            "large",
            f"784-512-512-10, batch 256, Adam, 1 epoch of {examples:,}",
            _classifier(512, 512),
            SoftmaxCrossEntropy(),
            Adam(0.001),
            mnist_sized,
            batch_size=256,
            epochs=1,
        ),
    ]


def _classifier(*hidden: int) -> Sequential:
    layers: list[Layer] = []
    for units in hidden:
        layers += [Dense(units), ReLU()]
    return Sequential([*layers, Dense(10)])


def _xor() -> tuple[HostArray, HostArray]:
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    return x, np.array([[0], [1], [1], [0]], np.float32)


def _digits() -> tuple[HostArray, HostArray]:
    data = datasets.load("digits")
    return data.x_train, data.y_train


def _random_images(examples: int) -> Callable[[], tuple[HostArray, HostArray]]:
    def draw() -> tuple[HostArray, HostArray]:
        generator = np.random.default_rng(0)
        x = generator.random((examples, 784), dtype=np.float32)
        return x, generator.integers(0, 10, examples).astype(np.int32)

    return draw
