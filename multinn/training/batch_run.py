"""The run of `Trainer.fit_batches`: one step for each batch, while the next batches are read."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from backends import tree
from multinn import random
from multinn.host.progress import Advance
from multinn.host.trees import count_of, rows_of
from multinn.training.batches import Batch, Batches, Group, batches_of, grouped, stands_alone
from multinn.training.history import Columns, EpochMetrics, Record, combine_steps, join
from multinn.training.program import Examples, Plan, TrainingState
from multinn.training.run import BaseRun

_SECONDS = 0.5  # between two updates of the progress bar
_SECONDS_A_CALL = 0.1  # of a compiled function, for small groups of batches


@dataclass(frozen=True, kw_only=True)
class BatchRun(BaseRun):
    """Trains on batches. One call takes a step on each batch of a group, while the next group is read.

    So two groups are in memory at any time. A call takes the batches that are there, up to as many as
    take about a tenth of a second. The results do not depend on this.

    Attributes:
        batches: the batches of each epoch.
        check: a function that turns a batch into checked examples, on the host.
        reader: the thread that reads the batches.
        step_seconds: the seconds of a step in each of the last calls.
    """

    batches: Batches
    reader: Executor
    check: Callable[[Batch], Examples]
    step_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=8))

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
        unseen: list[Columns] = []  # since progress was shown
        sizes: list[int] = []

        def most(before: int) -> int:
            return self._most(before - len(sizes))

        for group in grouped(self._examples(), most, self.reader):
            state, records = self._steps(state, group, step + len(sizes), len(sizes))
            columns.append(records)
            unseen.append(records)
            sizes += [count_of(rows_of(group.batches, 0))] * group.count
            if len(records) != len(columns[0]):
                raise ValueError(
                    "fit_batches: expected weights with all batches of an epoch, or with none"
                )
            if self.step_callbacks:
                state = self.step_callbacks.after(
                    self.trainer,
                    state,
                    records,
                    sizes[-group.count :],
                    epoch=self.trainer.epoch,
                    step=step + len(sizes),
                )
            if within.is_due():
                reductions = self.trainer.program.reductions
                shown = combine_steps(join(unseen, 1), sizes[within.start :], reductions)
                within.show(len(sizes), shown.record(0))
                unseen.clear()
        if not sizes:
            raise ValueError(f"fit_batches: no batches for epoch {self.trainer.epoch + 1}")
        joined = join(columns, 1)
        if "weight" in joined and not joined["weight"].any():
            raise ValueError("fit_batches: expected a weight above 0 in each epoch, got only zeros")
        return len(sizes), self._commit(state, 1, joined, sizes)

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

    def _most(self, pending: int) -> int:
        """Return the largest number of steps of the call after ``pending`` steps to be done."""
        if not self.step_seconds:
            return 1
        most = max(1, int(_SECONDS_A_CALL / min(self.step_seconds)))
        return min(most, self.step_callbacks.until_due(pending)) if self.step_callbacks else most

    def _steps(
        self, state: TrainingState, group: Group, step: int, number: int
    ) -> tuple[TrainingState, Columns]:
        """Take a step on each batch of a group.

        Args:
            state: the state before.
            group: the batches.
            step: the number of earlier steps of the trainer.
            number: the number of earlier steps of the epoch.

        Returns:
            The next state, and the records of the steps, each entry (1, steps).
        """
        trainer, batches, count = self.trainer, group.batches, group.count
        before = trainer.seconds.train
        with trainer.seconds.training():
            data = trainer.backend.from_numpy(batches)
        keys = random.step_words(trainer.seed, step, len(tree.leaves(batches)[0]))
        next_state, records, finite = self._call(
            trainer.program.run_batches, state, data, (keys, np.array(count, np.int32)), count
        )
        if not finite:
            examples = tree.map(lambda leaf: leaf[:count].reshape(-1, *leaf.shape[2:]), batches)
            rows = np.arange(count_of(examples), dtype=np.int32).reshape(1, count, -1)
            plan = Plan(rows, keys[None, :count])
            self._raise_divergence(state, trainer.backend.from_numpy(examples), plan, number)
        if stands_alone(rows_of(batches, 0)):
            # The inputs were zeros, in place of what is left out: no statistics may contain them.
            next_state = next_state._replace(layer_state=state.layer_state)
        self.step_seconds.append((trainer.seconds.train - before) / count)
        return next_state, records


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
