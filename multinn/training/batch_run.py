"""One call of `Trainer.fit_batches`: a step a batch, each read while the one before is trained on."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from multinn import random
from multinn.host.progress import Advance
from multinn.training.batches import Batch, Batches, batches_of, prefetched
from multinn.training.history import Columns, EpochFigures, Record, epoch_figures, joined
from multinn.training.plan import Examples, Plan
from multinn.training.program import TrainingState
from multinn.training.run import BaseRun

_SECONDS = 0.5  # between two signs of life


@dataclass(frozen=True, kw_only=True)
class BatchRun(BaseRun):
    """Trains on batches, of which there are two in memory at any time.

    Attributes:
        batches: the batches of each epoch.
        check: makes examples of a batch, on the host.
        reader: the thread that reads the batches.
    """

    batches: Batches
    reader: Executor
    check: Callable[[Batch], Examples]

    def train(self, advance: Advance) -> None:
        """Train for all epochs, unless a callback stops the run."""
        batches = 0
        for _ in range(self.epochs):
            within = _Within(advance, batches)
            batches, figures = self._train_epoch(within)
            further = self._report(figures)
            advance(1.0 - within.told, figures.record(0) | further)
            if self.history.stopped:
                break

    def _train_epoch(self, within: "_Within") -> tuple[int, EpochFigures]:
        """Train for one epoch, and return the number of its batches and its figures."""
        state, step = self.trainer.state, self.trainer.step
        columns: list[Columns] = []
        sizes: list[int] = []
        for batch in prefetched(self._examples(), self.reader):
            state, figures = self._step(state, batch, step + len(sizes), len(sizes))
            columns.append(figures)
            sizes.append(len(batch.x))
            if len(figures) != len(columns[0]):
                raise ValueError(
                    "fit_batches: expected weights with all batches of an epoch, or with none"
                )
            if within.is_due():
                within.tell(len(sizes), self._figures(columns[within.start :], sizes[within.start :]))
        if not sizes:
            raise ValueError(f"fit_batches: no batches for epoch {self.trainer.epoch + 1}")
        whole = joined(columns, 1)
        if "weight" in whole and not whole["weight"].any():
            raise ValueError("fit_batches: expected a weight above 0 in each epoch, got zeros only")
        return len(sizes), self._commit(state, 1, whole, sizes)

    def _figures(self, columns: Sequence[Columns], sizes: Sequence[int]) -> Record:
        """Return the figures of some steps."""
        return epoch_figures(joined(columns, 1), sizes, self.trainer.program.reductions).record(0)

    def _examples(self) -> Iterator[Examples]:
        """Yield the batches of the next epoch; runs in the thread that reads them."""
        for number, batch in enumerate(batches_of(self.batches, self.trainer.epoch), start=1):
            try:
                examples = self.check(batch)
            except TypeError as error:
                raise TypeError(f"batch {number}: {error}") from error
            except ValueError as error:
                raise ValueError(f"batch {number}: {error}") from error
            yield examples

    def _step(
        self, state: TrainingState, examples: Examples, step: int, number: int
    ) -> tuple[TrainingState, Columns]:
        """Take one step; return the next state, and the figures of the step, each (1, 1)."""
        trainer = self.trainer
        with trainer.seconds.training():
            data = trainer.backend.from_numpy(examples)
        plan = Plan(None, random.step_words(trainer.seed, step, 1)[None], None, None)
        following, figures, finite = self._call(state, data, plan)
        if not finite:
            self._diverge(state, data, plan, number)
        return following, figures


class _Within:
    """Tells how far an epoch has come, now and then, by the number of batches of the one before.

    Attributes:
        told: the part of the epoch that was told of; 0 in the first, whose length nobody knows.
        start: the first batch that was not told of.
    """

    def __init__(self, advance: Advance, expected: int) -> None:
        self.told = 0.0
        self.start = 0
        self._advance = advance
        self._expected = expected
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Tell whether it is time."""
        return time.monotonic() - self._last >= _SECONDS

    def tell(self, batches: int, figures: Record) -> None:
        """Tell of so many batches, and of the figures of those since the last time."""
        # An epoch can have more batches than the one before, and is not done here.
        done = batches / max(self._expected, batches + 1) if self._expected else 0.0
        self._advance(done - self.told, figures)
        self.told, self.start, self._last = done, batches, time.monotonic()
