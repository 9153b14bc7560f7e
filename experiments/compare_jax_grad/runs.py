"""The two ways of training a model, in turn, and the seconds that they take."""

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from backends import Backend
from experiments.compare_jax_grad.jobs import LEARNING_RATE, Job
from experiments.compare_jax_grad.plain_jax import PlainTraining
from experiments.shared.interrupted import whole
from multinn import Adam, Trainer
from multinn.host.progress import Advance
from multinn.training.plan import make_plan

#: How far the losses of the first epoch may be apart, relative to the loss.
AGREEMENT: Final = {"float32": 1e-4, "float64": 1e-10}


@dataclass
class Seconds:
    """Of one of the two: to compile, and of each timed epoch."""

    compile: float = 0.0
    epochs: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the epochs."""
        return statistics.median(self.epochs)


@dataclass
class Comparison:
    """One job, done in both ways.

    Attributes:
        job: what is done.
        dtype: "float32" or "float64".
        ours: the seconds of the hand-derived gradients.
        plain: those of `jax.grad`.
        difference: of the losses of the first epoch, relative to the loss.
    """

    job: Job
    dtype: str
    ours: Seconds = field(default_factory=Seconds)
    plain: Seconds = field(default_factory=Seconds)
    difference: float = float("nan")

    @property
    def agree(self) -> bool:
        """Whether the losses are the same but for rounding."""
        return self.difference <= AGREEMENT[self.dtype]

    @property
    def ratios(self) -> list[float]:
        """Ours to that of `jax.grad`, round by round."""
        return [a / b for a, b in zip(self.ours.epochs, self.plain.epochs, strict=True)]

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """The ratio that a quarter, half, and three quarters of the rounds are below."""
        low, middle, high = np.quantile(self.ratios, (0.25, 0.5, 0.75)).tolist()
        return low, middle, high


class Pair:
    """Both trainings of a job, from the same parameters, on the same batches.

    Attributes:
        comparison: gets the results.
    """

    def __init__(self, comparison: Comparison, backend: Backend, seed: int, steps: int | None) -> None:
        """Draw the examples and the parameters; what is compiled is so at the first epoch."""
        self.comparison = comparison
        job, dtype = comparison.job, comparison.dtype
        self._backend = backend
        self._epoch = 0
        self._seed = seed
        self._batch_size = job.batch_size
        examples = job.batch_size * (steps or job.steps)
        self._x, self._y = job.draw(np.random.default_rng(seed), examples)
        adam = Adam(LEARNING_RATE)
        self._trainer = Trainer(job.model, job.loss, adam, backend=backend, dtype=dtype, seed=seed)
        self._trainer.initialize(self._x.shape[1:])
        with backend.precision(dtype):
            self._plain = PlainTraining(
                job.forward,
                job.plain_loss,
                self._trainer.params,
                LEARNING_RATE,
                (_as(dtype, self._x), _as(dtype, self._y)),
            )

    def first_epoch(self) -> None:
        """Compile, train for an epoch, and compare the losses."""
        trainer, comparison = self._trainer, self.comparison
        own = whole(trainer.fit(self._x, self._y, epochs=1, batch_size=self._batch_size, progress=False))
        comparison.ours.compile = trainer.seconds.compile
        start = time.perf_counter()
        with self._backend.precision(comparison.dtype):
            self._plain.compile(self._rows())
            comparison.plain.compile = time.perf_counter() - start
            other = float(np.mean(self._plain.train(self._rows())))
        comparison.difference = abs(own.losses[0] - other) / abs(other)
        self._epoch = 1

    def timed_epoch(self, order: Sequence[int]) -> None:
        """Train for one epoch more in both ways: ours first for the order (0, 1)."""
        for way in order:
            (self._time_plain if way else self._time_ours)()
        self._epoch += 1

    def _time_ours(self) -> None:
        """Train; the examples' check and their way to the device are no part of the training's time."""
        seconds = self._trainer.seconds
        before = seconds.train
        whole(self._trainer.fit(self._x, self._y, epochs=1, batch_size=self._batch_size, progress=False))
        self.comparison.ours.epochs.append(seconds.train - before)

    def _time_plain(self) -> None:
        with self._backend.precision(self.comparison.dtype):
            start = time.perf_counter()
            np.asarray(self._plain.train(self._rows()))
            self.comparison.plain.epochs.append(time.perf_counter() - start)

    def _rows(self) -> Any:
        """Return the rows of each batch of an epoch, in the order that the Trainer has."""
        plan = make_plan(
            len(self._x),
            self._batch_size,
            first_epoch=self._epoch,
            epochs=1,
            first_step=0,
            seed=self._seed,
            shuffle=True,
        )
        if plan.rows is None:
            return np.arange(len(self._x), dtype=np.int32)[None]
        return plan.rows[0]


def measure(pairs: Sequence[Pair], repeats: int, advance: Advance) -> None:
    """Train in all ways, round by round, each round in an order of its own.

    Args:
        pairs: of trainings, that have not begun.
        repeats: how many rounds are timed, after one that compiles.
        advance: called after each pair, `repeats` + 1 times for each.
    """
    for pair in pairs:
        pair.first_epoch()
        advance(1, {f"{pair.comparison.job.name}: compiled": 0})
    for index in range(repeats):
        shuffled = random.Random(index)
        for pair in shuffled.sample(pairs, len(pairs)):
            pair.timed_epoch(shuffled.sample((0, 1), 2))
            advance(1, {pair.comparison.job.name: index + 1})


def _as(dtype: str, array: Any) -> Any:
    return array.astype(dtype) if array.dtype.kind == "f" else array
