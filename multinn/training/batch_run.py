"""The run of `Trainer.fit_batches`: one step for each batch, while the next batch is read."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from multinn import random
from multinn.host.progress import Advance
from multinn.host.trees import count_of
from multinn.training.batches import Batch, Batches, batches_of, prefetched
from multinn.training.examples import counting
from multinn.training.history import Columns, EpochMetrics, Record, combine_steps, join
from multinn.training.program import Examples, Plan, TrainingState
from multinn.training.run import BaseRun

_SECONDS = 0.5  # between two updates of the progress bar


@dataclass(frozen=True, kw_only=True)
class BatchRun(BaseRun):
    """Trains on batches. Two batches are in memory at any time.

    Attributes:
        batches: the batches of each epoch.
        check: a function that turns a batch into checked examples, on the host.
        reader: the thread that reads the batches.
    """

    batches: Batches
    reader: Executor
    check: Callable[[Batch], Examples]

    def train(self, advance: Advance) -> None:
        """Train for all epochs, unless a callback stops the run."""
        batches = 0
        for _ in range(self.epochs):
            within = _EpochProgress(advance, batches)
            batches, metrics = self._train_epoch(within)
            report = self._report(metrics)
            advance(1.0 - within.shown, metrics.record(0) | report)
            if self.history.stopped:
                break

    def _train_epoch(self, within: "_EpochProgress") -> tuple[int, EpochMetrics]:
        """Train for one epoch; return the number of its batches and its metrics."""
        state, step = self.trainer.state, self.trainer.step
        columns: list[Columns] = []
        sizes: list[int] = []
        for batch in prefetched(self._examples(), self.reader):
            state, record = self._step(state, batch, step + len(sizes), len(sizes))
            columns.append(record)
            sizes.append(count_of(batch.x))
            if len(record) != len(columns[0]):
                raise ValueError(
                    "fit_batches: expected weights with all batches of an epoch, or with none"
                )
            if self.step_callbacks:
                state = self.step_callbacks.after(
                    self.trainer,
                    state,
                    record,
                    sizes[-1:],
                    epoch=self.trainer.epoch,
                    step=step + len(sizes),
                )
            if within.is_due():
                shown = self._combine(columns[within.start :], sizes[within.start :])
                within.show(len(sizes), shown)
        if not sizes:
            raise ValueError(f"fit_batches: no batches for epoch {self.trainer.epoch + 1}")
        joined = join(columns, 1)
        if "weight" in joined and not joined["weight"].any():
            raise ValueError("fit_batches: expected a weight above 0 in each epoch, got only zeros")
        return len(sizes), self._commit(state, 1, joined, sizes)

    def _combine(self, columns: Sequence[Columns], sizes: Sequence[int]) -> Record:
        """Return the loss and the metrics over some steps."""
        return combine_steps(join(columns, 1), sizes, self.trainer.program.reductions).record(0)

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
        """Take one step; return the next state, and the record of the step, each entry (1, 1)."""
        trainer = self.trainer
        with trainer.seconds.training():
            data = trainer.backend.from_numpy(examples)
        plan = Plan(None, random.step_words(trainer.seed, step, 1)[None])
        next_state, record, finite = self._call(state, data, plan)
        if not finite:
            self._raise_divergence(state, data, plan, number)
        if examples.weights is not None and not counting(examples.weights).any():
            # The inputs were zeros, in place of what is left out: no statistics may contain them.
            next_state = next_state._replace(layer_state=state.layer_state)
        return next_state, record


class _EpochProgress:
    """Shows progress within an epoch, estimated from the number of batches of the last epoch.

    Attributes:
        shown: the fraction of the epoch that was shown; 0 in the first epoch, whose length is unknown.
        start: the number of batches that were shown.
    """

    def __init__(self, advance: Advance, expected: int) -> None:
        self.shown = 0.0
        self.start = 0
        self._advance = advance
        self._expected = expected
        self._last = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self._last >= _SECONDS

    def show(self, batches: int, record: Record) -> None:
        """Show the number of batches so far, and the record of the batches since the last call."""
        # An epoch can have more batches than the last one, and must not look done before its end.
        done = batches / max(self._expected, batches + 1) if self._expected else 0.0
        self._advance(done - self.shown, record)
        self.shown, self.start, self._last = done, batches, time.monotonic()
