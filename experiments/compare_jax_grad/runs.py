"""Timing both trainings of a model, in turn."""

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from backends import Backend
from experiments.compare_jax_grad.jobs import LEARNING_RATE, Job
from experiments.competitors.plain_jax import PlainTraining
from experiments.shared.interrupted import raise_if_interrupted
from multinn import Adam, History, Trainer
from multinn.host.progress import Advance
from multinn.training.program import make_plan

#: The largest relative difference of the losses of the first epoch.
AGREEMENT: Final = {"float32": 1e-4, "float64": 1e-10}


@dataclass
class Seconds:
    """The seconds of one training: to compile, and of each timed epoch."""

    compile: float = 0.0
    epochs: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the epochs."""
        return statistics.median(self.epochs)


@dataclass
class Comparison:
    """The measurements of one job.

    Attributes:
        job: the job.
        dtype: "float32" or "float64".
        ours: the seconds with hand-derived gradients.
        plain: the seconds with `jax.grad`.
        difference: the relative difference of the losses of the first epoch.
    """

    job: Job
    dtype: str
    ours: Seconds = field(default_factory=Seconds)
    plain: Seconds = field(default_factory=Seconds)
    difference: float = float("nan")

    @property
    def agree(self) -> bool:
        """Whether the losses are equal up to rounding."""
        return self.difference <= AGREEMENT[self.dtype]

    @property
    def ratios(self) -> list[float]:
        """The seconds of ours / those of `jax.grad`, round by round."""
        return [a / b for a, b in zip(self.ours.epochs, self.plain.epochs, strict=True)]

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """The lower quartile, the median and the upper quartile of the ratios."""
        low, middle, high = np.quantile(self.ratios, (0.25, 0.5, 0.75)).tolist()
        return low, middle, high


class Pair:
    """Both trainings of a job, from the same parameters, on the same batches.

    Attributes:
        comparison: receives the measurements.
    """

    def __init__(self, comparison: Comparison, backend: Backend, seed: int, steps: int | None) -> None:
        """Draw the examples and the parameters; compilation follows in `first_epoch`."""
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
        losses = self._fit().losses
        comparison.ours.compile = trainer.seconds.compile
        start = time.perf_counter()
        with self._backend.precision(comparison.dtype):
            self._plain.compile(self._rows())
            comparison.plain.compile = time.perf_counter() - start
            other = float(np.mean(self._plain.train(self._rows())))
        comparison.difference = abs(losses[0] - other) / abs(other)
        self._epoch = 1

    def timed_epoch(self, order: Sequence[int]) -> None:
        """Train another epoch in both ways; the order (0, 1) is ours first."""
        for way in order:
            (self._time_plain if way else self._time_ours)()
        self._epoch += 1

    def _fit(self) -> History:
        return raise_if_interrupted(
            self._trainer.fit(self._x, self._y, epochs=1, batch_size=self._batch_size, progress=False)
        )

    def _time_ours(self) -> None:
        """Train; checking the examples and copying them to the device is not timed."""
        seconds = self._trainer.seconds
        before = seconds.train
        self._fit()
        self.comparison.ours.epochs.append(seconds.train - before)

    def _time_plain(self) -> None:
        with self._backend.precision(self.comparison.dtype):
            start = time.perf_counter()
            np.asarray(self._plain.train(self._rows()))
            self.comparison.plain.epochs.append(time.perf_counter() - start)

    def _rows(self) -> Any:
        """Return the rows of each batch of an epoch, in the Trainer's order."""
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
    """Train all pairs, round by round, in random order.

    Args:
        pairs: pairs that have not been trained yet.
        repeats: the number of timed rounds, after one that compiles.
        advance: called `repeats` + 1 times for each pair.
    """
    for pair in pairs:
        pair.first_epoch()
        seconds = pair.comparison.ours.compile + pair.comparison.plain.compile
        advance(1, {f"{pair.comparison.job.name} seconds to compile": seconds})
    for index in range(repeats):
        shuffled = random.Random(index)
        for pair in shuffled.sample(pairs, len(pairs)):
            pair.timed_epoch(shuffled.sample((0, 1), 2))
            advance(1, {f"{pair.comparison.job.name} round": index + 1})


def _as(dtype: str, array: Any) -> Any:
    return array.astype(dtype) if array.dtype.kind == "f" else array
