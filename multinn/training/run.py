"""The run of `Trainer.fit` on checked data, and the base class of all runs."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from backends import HostArray, Tree, tree
from multinn.errors import DivergenceError
from multinn.host.checks import check_integers
from multinn.host.interrupts import uninterrupted
from multinn.host.progress import Advance, progress, write_line
from multinn.host.trees import count_of
from multinn.training import inference
from multinn.training.base import BaseTrainer
from multinn.training.callback import Callback
from multinn.training.calls import Calls, divide, estimate_seconds
from multinn.training.compiled import signature
from multinn.training.divergence import Divergence, find_divergence
from multinn.training.examples import PlacedExamples
from multinn.training.history import (
    Columns,
    EpochMetrics,
    History,
    Record,
    combine_steps,
    join,
    step_columns,
)
from multinn.training.program import Examples, Plan, TrainingState, make_plan
from multinn.training.step_callbacks import StepCallbacks

# The seconds that a call should take: JAX sees an interrupt only between two calls.
_SECONDS, _SECONDS_SHOWN = 10.0, 0.5
_MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class BaseRun:
    """Trains a trainer for some epochs. The trainer's state is committed only at the end of an epoch.

    After a divergence, the trainer holds the last finite parameters, and its number of epochs counts
    only the complete epochs.

    Attributes:
        trainer: the trainer.
        epochs: the number of epochs to train for.
        report_every: epochs between two records.
        validation: the validation data in chunks, on the backend; None without such data.
        callbacks: called at each report, some also after every few steps.
        show: whether progress is shown.
        history: the records of the run; the trainer's own history gets them too.
    """

    trainer: BaseTrainer
    epochs: int
    report_every: int = 1
    validation: Sequence[Examples] | None = None
    callbacks: Sequence[Callback] = ()
    show: bool = False
    history: History = field(default_factory=History)

    @property
    def done(self) -> int:
        """The number of epochs that this run has trained for."""
        return len(self.history.losses)

    @cached_property
    def step_callbacks(self) -> StepCallbacks | None:
        """The callbacks after every few steps, or None."""
        asking = [each for each in self.callbacks if each.every_steps is not None]
        return StepCallbacks(asking) if asking else None

    @contextmanager
    def running(self) -> Iterator[Advance]:
        """Show progress, call the callbacks at the start and at the end, and let Ctrl-C end the run."""
        for callback in self.callbacks:
            callback.on_fit_start(self.trainer)
        try:
            with progress(self.epochs, "epoch") if self.show else nullcontext(_show_nothing) as advance:
                yield advance
        except KeyboardInterrupt:
            self.history.interrupted = True
            write_line(f"interrupted: the trainer is at the end of epoch {self.trainer.epoch}")
        except BaseException as error:
            try:
                with ExitStack() as stack:  # calls every callback, even if one raises another error
                    for callback in reversed(self.callbacks):
                        stack.callback(callback.on_fit_error, self.trainer)
            finally:
                raise error
        for callback in self.callbacks:
            callback.on_fit_end(self.trainer)

    def _call(
        self,
        run: Callable[..., Any],
        state: TrainingState,
        data: Examples,
        plan: Tree,
        count: int | None = None,
    ) -> tuple[TrainingState, Columns, bool]:
        """Return the next state, the records of each step, and whether everything is finite.

        Args:
            run: a function of the program that takes steps.
            state: the state before the steps.
            data: examples, on the backend.
            plan: the other arguments of ``run``, on the host.
            count: the number of steps of each epoch whose records count; None for all.
        """
        trainer = self.trainer
        with trainer.seconds.training():
            arguments = (state, data, *trainer.backend.from_numpy(plan))
        run = trainer.programs.get(run, *arguments)
        with trainer.seconds.training():
            next_state, records, finite = trainer.backend.sync(run(*arguments))
            records, finite = trainer.backend.to_numpy((records, finite))
            steps = step_columns(records, count)
            return next_state, steps, bool(finite and np.isfinite(steps["loss"]).all())

    def _raise_divergence(
        self, state: TrainingState, data: Examples, plan: Plan, start: int
    ) -> NoReturn:
        """Find the first step that gives NaN or infinity, and raise DivergenceError.

        Args:
            state: the state before these steps.
            data: all examples.
            plan: steps of one epoch.
            start: the number of earlier steps in the epoch.
        """
        trainer = self.trainer
        found = find_divergence(trainer.program, state, data, plan)
        if found is None:  # rounded differently, the repeated steps stayed finite
            found = Divergence(1, "the loss", state)
        trainer.state = found.state
        what = f"{found.what} became NaN or infinite"
        raise DivergenceError(trainer.epoch + 1, start + found.step, what)

    def _commit(
        self, state: TrainingState, epochs: int, steps: Columns, batch_sizes: Sequence[int]
    ) -> EpochMetrics:
        """Commit the state after these epochs, record them, and return their metrics."""
        trainer = self.trainer
        with trainer.seconds.training():
            metrics = combine_steps(steps, batch_sizes, trainer.program.reductions)
        records = [] if self.validation else self._records(metrics, epochs)
        losses = metrics.columns["loss"].tolist()
        with uninterrupted():
            trainer.state = state
            trainer.epoch += epochs
            trainer.step += steps["loss"].size
            for history in (self.history, trainer.history):
                history.losses.extend(losses)
                history.extend(records)
        return metrics

    def _records(self, metrics: EpochMetrics, epochs: int) -> list[Record]:
        """Return the records of the next epochs that are due for a report."""
        last = self.done + epochs == self.epochs
        due = np.array(due_epochs(self.done, epochs, self.report_every, last=last), np.int64)
        return metrics.records((self.trainer.epoch + 1 + due).tolist(), due)

    def _report(self, metrics: EpochMetrics) -> Record:
        """Evaluate the validation data and call the callbacks if a report is due.

        Args:
            metrics: the metrics of the last call's epochs. With validation data, only the last of these
                epochs can be due.

        Returns:
            The record without its epoch; empty if no report is due.
        """
        if self.done % self.report_every and self.done != self.epochs:
            return {}
        trainer = self.trainer
        if self.validation:
            record = metrics.records([trainer.epoch], [len(metrics.columns["loss"]) - 1])[0]
            # Ctrl-C before the record is complete leaves no record.
            found = inference.evaluate(
                trainer.program, trainer.programs, trainer.model_state, self.validation
            )
            record.update({f"validation_{name}": value for name, value in found.items()})
            with uninterrupted():
                self.history.append(record)
                trainer.history.append(record)
        record = self.history[-1]
        answers = [callback.on_report(trainer, record) for callback in self.callbacks]
        self.history.stopped = any(isinstance(each, bool | np.bool) and bool(each) for each in answers)
        return {name: value for name, value in record.items() if name != "epoch"}


@dataclass(frozen=True, kw_only=True)
class Run(BaseRun):
    """Trains on examples that are all on the backend.

    Attributes:
        examples: the examples, on the host and on the backend.
        batch_size: at most the number of examples.
        shuffle: whether each epoch has its own random order.
        stop_every: epochs after which a call must end; None for only after the last.
        stretches: the lengths of parts of the run that each end with a report; None for one part.
    """

    examples: PlacedExamples
    batch_size: int
    shuffle: bool = True
    stop_every: int | None = None
    stretches: Iterable[int] | None = None

    @property
    def batch_sizes(self) -> list[int]:
        """The size of each batch of an epoch."""
        full, rest = divmod(count_of(self.examples.host.x), self.batch_size)
        return [self.batch_size] * full + [rest] * bool(rest)

    def train(self, advance: Advance) -> None:
        """Train for all epochs, unless a callback stops the run."""
        for stretch in self.stretches or [self.epochs]:
            calls = self._divide(stretch)
            for epochs in calls.epochs:
                metrics, shown = self._train(epochs, calls.parts, advance)
                self._show(advance, metrics, epochs, self._report(metrics), shown)
                if self.history.stopped:
                    return

    def _train(self, epochs: int, parts: Sequence[int], advance: Advance) -> tuple[EpochMetrics, float]:
        """Train for some epochs in one call, or for one epoch in several calls, one for each part.

        Returns:
            The metrics of the epochs, and the fraction of an epoch that progress has shown already.
        """
        trainer, state, data = self.trainer, self.trainer.state, self.examples.data
        batch_sizes, reductions = self.batch_sizes, trainer.program.reductions
        plan, columns, shown = self._plan(epochs), [], 0.0
        start, start_shown, total = 0, 0, len(batch_sizes)
        ends = stops = np.cumsum(parts).tolist() or [total]
        if self.step_callbacks and epochs == 1:
            stops = self.step_callbacks.stops(ends, plan.keys.shape[1])
        for stop in stops:
            part = plan.part(start, stop) if len(stops) > 1 else plan
            next_state, steps, finite = self._call(trainer.program.run, state, data, (part,))
            if not finite and epochs > 1:
                return self._repeat(epochs, steps["loss"], advance), 0.0
            if not finite:
                self._raise_divergence(state, data, part, start)
            columns.append(steps)
            if self.step_callbacks:
                next_state = self.step_callbacks.after(
                    trainer,
                    next_state,
                    steps,
                    batch_sizes[start:stop],
                    epoch=trainer.epoch + epochs - 1,
                    step=trainer.step + (epochs - 1) * total + stop,
                )
            if stop < total and stop in ends:
                since = {name: each[:, start_shown:] for name, each in join(columns, 1).items()}
                metrics = combine_steps(since, batch_sizes[start_shown:stop], reductions)
                advance((stop - start_shown) / total, metrics.record(0))
                shown, start_shown = stop / total, stop
            state, start = next_state, stop
        return self._commit(state, epochs, join(columns, 1), batch_sizes), shown

    def _repeat(self, epochs: int, step_losses: HostArray, advance: Advance) -> EpochMetrics:
        """Repeat a diverged call as shorter calls, up to the last finite parameters."""
        wrong = ~np.isfinite(step_losses).all(axis=1)
        good = int(np.argmax(wrong)) if wrong.any() else epochs // 2
        counts = [count for count in (good, 1, epochs - good - 1) if count]
        return EpochMetrics(join([self._train(count, [], advance)[0].columns for count in counts], 0))

    def _show(
        self, advance: Advance, metrics: EpochMetrics, epochs: int, report: Record, shown: float
    ) -> None:
        """Show some of the epochs of a call, at most 20 in a run, and the report with the last."""
        before = self.done - epochs
        every = max(self.report_every, math.ceil(self.epochs / _MOST_SHOWN))
        last_shown = before + shown
        for index in due_epochs(before, epochs, every, last=True):
            epoch = before + index + 1
            advance(epoch - last_shown, metrics.record(index) | (report if epoch == self.done else {}))
            last_shown = epoch

    def _divide(self, epochs: int) -> Calls:
        """Return the calls in which the next epochs are trained."""
        count, steps = count_of(self.examples.host.x), len(self.batch_sizes)
        if self.epochs * steps == 1:
            return Calls([1], [])
        full, rest = divmod(count, self.batch_size)
        return divide(
            epochs,
            full,
            tail=rest > 0,
            entries=2 * steps + (count if steps > 1 else 0),
            stop_every=self._stop_every(steps),
            seconds=_SECONDS_SHOWN if self.show else _SECONDS,
            seconds_a_step=self._seconds_a_step(),
        )

    def _stop_every(self, steps: int) -> int | None:
        """Return after how many epochs of that many steps a call must end; None for only the last."""
        if self.step_callbacks is None:
            return self.stop_every
        every = self.step_callbacks.every
        return 1 if every % steps else math.gcd(every // steps, self.done, self.stop_every or 0)

    def _seconds_a_step(self) -> float:
        """Return the time of a step, estimated once for all batches of the same shapes."""
        trainer = self.trainer
        batch = tree.map(lambda leaf: leaf[: self.batch_size], self.examples.host)
        key = signature(batch)
        if key not in trainer.programs.step_seconds:
            state = trainer.backend.to_numpy(trainer.state)
            trainer.programs.step_seconds[key] = estimate_seconds(trainer.program, state, batch)
        return trainer.programs.step_seconds[key]

    def _plan(self, epochs: int) -> Plan:
        trainer = self.trainer
        with trainer.seconds.training():
            return make_plan(
                count_of(self.examples.host.x),
                self.batch_size,
                first_epoch=trainer.epoch,
                epochs=epochs,
                first_step=trainer.step,
                seed=trainer.seed,
                shuffle=self.shuffle,
            )


def _show_nothing(done: float, metrics: Mapping[str, float]) -> None:
    pass


def due_epochs(done: int, epochs: int, every: int, *, last: bool) -> list[int]:
    """Return the indices of the next epochs that are due for a report; with ``last``, also the last."""
    due = list(range(-(done + 1) % every, epochs, every))
    if last and (not due or due[-1] != epochs - 1):
        due.append(epochs - 1)
    return due


def check_callbacks(callbacks: Any, metrics: Iterable[str]) -> list[Callback]:
    """Return the callbacks as a list, after checking that records have the metrics they need.

    Raises:
        TypeError: ``callbacks`` is not an iterable of callbacks.
        ValueError: a callback needs a metric that records do not have; or another error of a callback
            that cannot do its work.
    """
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks: expected a list of callbacks, got {callbacks!r}")
    checked, reported = list(callbacks), list(metrics)
    for callback in checked:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks: expected instances of Callback, got {callback!r}")
        for name in callback.needs:
            if name not in reported:
                raise ValueError(
                    f"{type(callback).__name__}: {name!r} is not reported, only "
                    f"{sorted(reported)}; pass validation_data to fit, or choose another monitor"
                )
        if callback.every_steps is not None:
            check_integers(**{f"{type(callback).__name__}.every_steps": callback.every_steps})
        callback.on_check(reported)
        reported.extend(callback.adds)
    return checked
