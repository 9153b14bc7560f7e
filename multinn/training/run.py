"""The calls of `Trainer.fit` and `Trainer.fit_batches`, once the data are checked and placed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn

import numpy as np

from backends import HostArray
from multinn.errors import DivergenceError
from multinn.host.interrupts import uninterrupted
from multinn.host.progress import Advance
from multinn.training.base import BaseTrainer
from multinn.training.callback import Callbacks
from multinn.training.calls import Calls, cut
from multinn.training.divergence import Divergence, find_divergence
from multinn.training.history import (
    Columns,
    EpochFigures,
    History,
    Record,
    epoch_figures,
    joined,
    step_columns,
)
from multinn.training.plan import Examples, Plan, make_plan
from multinn.training.program import TrainingState

# How long a call should take, with nobody watching: JAX sees an interrupt only between two calls.
_SECONDS, _SECONDS_SHOWN = 10.0, 0.5
_MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class BaseRun:
    """Trains a trainer for some epochs. What the trainer holds changes at whole epochs alone.

    But after a divergence, it holds the last finite parameters and the number of the last whole epoch.

    Attributes:
        trainer: what is trained.
        epochs: how many to train for.
        report_every: epochs between two records.
        validate: gives the figures of the validation data, at each report.
        callbacks: are called at each report.
        history: gets the records, as the trainer's own does.
    """

    trainer: BaseTrainer
    epochs: int
    report_every: int
    validate: Callable[[], Record] | None = None
    callbacks: Callbacks = field(default_factory=Callbacks)
    history: History = field(default_factory=History)

    @property
    def done(self) -> int:
        """How many epochs this run has trained for."""
        return len(self.history.losses)

    def _call(
        self, state: TrainingState, data: Examples, plan: Plan
    ) -> tuple[TrainingState, Columns, bool]:
        """Return the next state, the figures of each step, and whether all is finite."""
        trainer = self.trainer
        with trainer.seconds.training():
            arguments = (state, data, trainer.backend.from_numpy(plan))
        run = trainer.programs.get(trainer.program.run, *arguments)
        with trainer.seconds.training():
            following, records, finite = trainer.backend.sync(run(*arguments))
            records, finite = trainer.backend.to_numpy((records, finite))
            steps = step_columns(records)
            return following, steps, bool(finite and np.isfinite(steps["loss"]).all())

    def _diverge(self, state: TrainingState, data: Examples, plan: Plan, start: int) -> NoReturn:
        """Find the first of these steps, in one epoch, that goes wrong, and raise.

        Args:
            state: before them.
            data: that the plan is for.
            plan: of the steps.
            start: how many steps of the epoch came before.
        """
        trainer = self.trainer
        found = find_divergence(trainer.program, state, data, plan)
        if found is None:  # differently rounded, they went well
            found = Divergence(1, "the loss", state)
        trainer.state = found.state
        what = f"{found.what} became NaN or infinite"
        raise DivergenceError(trainer.epoch + 1, start + found.step, what)

    def _commit(
        self, state: TrainingState, epochs: int, steps: Columns, batch_sizes: Sequence[int]
    ) -> EpochFigures:
        """Let the trainer hold what these epochs came to, and record them."""
        trainer = self.trainer
        with trainer.seconds.training():
            figures = epoch_figures(steps, batch_sizes, trainer.program.reductions)
        records = [] if self.validate else self._records(figures, epochs)
        losses = figures.columns["loss"].tolist()
        with uninterrupted():
            trainer.state = state
            trainer.epoch += epochs
            trainer.step += steps["loss"].size
            for history in (self.history, trainer.history):
                history.losses.extend(losses)
                history.extend(records)
        return figures

    def _records(self, figures: EpochFigures, epochs: int) -> list[Record]:
        """Return the records that are due of the epochs that come next."""
        last = self.done + epochs == self.epochs
        chosen = reported(self.done, epochs, self.report_every, last=last)
        return figures.records([self.trainer.epoch + 1 + index for index in chosen], chosen)

    def _report(self, figures: EpochFigures) -> Record:
        """After a call: see whether to stop, and return the figures of the record, if one is due.

        Args:
            figures: of the epochs of the call. With validation data, one that is due is the last.
        """
        if self.done % self.report_every and self.done != self.epochs:
            return {}
        if self.validate:
            record = figures.records([self.trainer.epoch], [len(figures.columns["loss"]) - 1])[0]
            # Ctrl-C before it is whole leaves no record.
            record.update({f"validation_{name}": value for name, value in self.validate().items()})
            with uninterrupted():
                self.history.append(record)
                self.trainer.history.append(record)
        record = self.history[-1]
        self.history.stopped = self.callbacks.on_report(self.trainer, record)
        return {name: value for name, value in record.items() if name != "epoch"}


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


def reported(done: int, epochs: int, every: int, *, last: bool) -> list[int]:
    """Return which of the next epochs, from 0, are every so many of all; and, if wanted, the last."""
    chosen = list(range(-(done + 1) % every, epochs, every))
    if last and (not chosen or chosen[-1] != epochs - 1):
        chosen.append(epochs - 1)
    return chosen
