"""One call of `Trainer.fit_batches`: a step a batch, each read while the one before is trained on."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from multinn import random
from multinn.base_run import BaseRun
from multinn.batches import Batch, Batches, batches_of, prefetched
from multinn.divergence import find_divergence
from multinn.errors import DivergenceError
from multinn.figures import Columns, step_columns
from multinn.progress import Advance
from multinn.training import Examples, Plan, TrainingState


@dataclass(frozen=True, kw_only=True)
class BatchRun(BaseRun):
    """Trains on batches, of which there are two in memory at any time.

    Attributes:
        batches: the batches of each epoch.
        check: makes examples of a batch, on the host.
    """

    batches: Batches
    check: Callable[[Batch], Examples]

    def train(self, advance: Advance) -> None:
        """Train for all epochs, unless a callback stops the run."""
        for _ in range(self.epochs):
            figures = self._train_epoch()
            further = self._report()
            advance(1.0, figures | further)
            if self.history.stopped:
                break

    def _train_epoch(self) -> dict[str, float]:
        """Train for one epoch, and return its figures."""
        state, step = self.trainer.state, self.trainer.step
        columns: list[Columns] = []
        sizes: list[int] = []
        with closing(prefetched(self._examples())) as examples:
            for batch in examples:
                state, figures = self._step(state, batch, step + len(sizes), len(sizes))
                columns.append(figures)
                sizes.append(len(batch.x))
        if not sizes:
            raise ValueError(f"fit_batches: no batches for epoch {self.trainer.epoch + 1}")
        if len({len(each) for each in columns}) > 1:
            raise ValueError("fit_batches: expected weights with all batches of an epoch, or with none")
        joined = {name: np.concatenate([each[name] for each in columns], axis=1) for name in columns[0]}
        if "weight" in joined and not joined["weight"].any():
            raise ValueError("fit_batches: expected a weight above 0 in each epoch, got zeros only")
        return self._commit(state, 1, joined, sizes).record(0)

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
        plan = Plan(None, random.step_words(trainer.seed, step, 1)[None], None, None)
        with trainer.seconds.training():
            arguments = (state, *trainer.backend.from_numpy((examples, plan)))
        run = trainer.programs.get(trainer.program.run, *arguments)
        with trainer.seconds.training():
            following, records, finite = trainer.backend.sync(run(*arguments))
            records, finite = trainer.backend.to_numpy((records, finite))
            figures = step_columns(records)
        if not (finite and np.isfinite(figures["loss"]).all()):
            self._diverge(state, arguments[1], plan, number + 1)
        return following, figures

    def _diverge(self, state: TrainingState, data: Examples, plan: Plan, number: int) -> NoReturn:
        """Find what went wrong in this step, and raise."""
        trainer = self.trainer
        found = find_divergence(trainer.program, state, data, plan)
        trainer.state = state
        what = "the loss" if found is None else found.what
        raise DivergenceError(trainer.epoch + 1, number, f"{what} became NaN or infinite")
