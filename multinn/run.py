"""One call of `Trainer.fit`, once its data are checked and on the backend."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backends import HostArray
from multinn.base_run import BaseRun, reported
from multinn.calls import Calls, cut
from multinn.figures import Columns, EpochFigures, epoch_figures, joined
from multinn.progress import Advance
from multinn.training import Examples, Plan, TrainingState, make_plan

# How long a call should take, with nobody watching: JAX sees an interrupt only between two calls.
_SECONDS, _SECONDS_SHOWN = 10.0, 0.5
_MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Run(BaseRun):
    """Trains on examples that are all on the backend.

    Attributes:
        data: the examples, on the backend.
        examples: how many they are.
        batch_size: how many a step sees, at most that many.
        shuffle: whether each epoch has an order of its own.
        stop_every: epochs after which a call has to end, if not only at the last.
    """

    data: Examples
    examples: int
    batch_size: int
    shuffle: bool
    stop_every: int | None = None

    @cached_property
    def batch_sizes(self) -> list[int]:
        """The size of each batch of an epoch."""
        full, rest = divmod(self.examples, self.batch_size)
        return [self.batch_size] * full + [rest] * bool(rest)

    def cut(self, epochs: int, seconds_a_step: float, *, shown: bool) -> Calls:
        """Return the calls in which the next epochs are trained.

        Args:
            epochs: how many: all of the run, or a part of them.
            seconds_a_step: how long a step takes, about.
            shown: whether somebody watches, and wants to see it move.
        """
        full, rest = divmod(self.examples, self.batch_size)
        steps = len(self.batch_sizes)
        return cut(
            epochs,
            full,
            tail=rest > 0,
            entries=2 * steps + (self.examples if steps > 1 else 0),
            stop_every=self.stop_every,
            seconds=_SECONDS_SHOWN if shown else _SECONDS,
            seconds_a_step=seconds_a_step,
        )

    def train(self, calls: Calls, advance: Advance) -> None:
        """Train in these calls, unless a callback stops the run.

        Args:
            calls: from `cut`.
            advance: is told of what is done.
        """
        for epochs in calls.epochs:
            told = float(self.done)
            if calls.parts:
                figures = self._train_in_parts(calls.parts, advance)
                told += 1.0 - calls.parts[-1] / len(self.batch_sizes)
            else:
                figures = self._train(epochs)
            further = self._report(figures)
            # Of many epochs in one call, some.
            every = max(self.report_every, math.ceil(self.epochs / _MOST_SHOWN))
            for index in reported(self.done - epochs, epochs, every, last=True):
                epoch = self.done - epochs + index + 1
                advance(epoch - told, figures.record(index) | (further if epoch == self.done else {}))
                told = epoch
            if self.history.stopped:
                break

    def _train(self, epochs: int) -> EpochFigures:
        """Train for some epochs in one call."""
        state, steps, finite = self._call(self._state, self.data, self._plan(epochs))
        if not finite:
            return self._repeat(epochs, steps["loss"])
        return self._commit(state, epochs, steps, self.batch_sizes)

    def _train_in_parts(self, parts: list[int], advance: Advance) -> EpochFigures:
        """Train for one epoch, in a call for each part of its steps; tell of all parts but the last."""
        plan, state = self._plan(1), self._state
        stop = 0
        columns: list[Columns] = []
        reductions = self.trainer.program.reductions
        for part in parts:
            start, stop = stop, stop + part
            following, steps, finite = self._call(state, self.data, plan.part(start, stop))
            if not finite:
                self._diverge(state, self.data, plan.part(start, stop), start)
            state = following
            columns.append(steps)
            if stop < sum(parts):
                figures = epoch_figures(steps, self.batch_sizes[start:stop], reductions)
                advance(part / sum(parts), figures.record(0))
        return self._commit(state, 1, joined(columns, 1), self.batch_sizes)

    @property
    def _state(self) -> TrainingState:
        return self.trainer.state

    def _plan(self, epochs: int) -> Plan:
        with self.trainer.seconds.training():
            return make_plan(
                self.examples,
                self.batch_size,
                first_epoch=self.trainer.epoch,
                epochs=epochs,
                first_step=self.trainer.step,
                seed=self.trainer.seed,
                shuffle=self.shuffle,
            )

    def _repeat(self, epochs: int, step_losses: HostArray) -> EpochFigures:
        """Repeat epochs that diverged, up to the last finite parameters, and raise."""
        if epochs == 1:
            self._diverge(self._state, self.data, self._plan(1), 0)
        wrong = ~np.isfinite(step_losses).all(axis=1)
        good = int(np.argmax(wrong)) if wrong.any() else epochs // 2
        figures = [self._train(count) for count in (good, 1, epochs - good - 1) if count]
        return EpochFigures(joined([each.columns for each in figures], 0))
