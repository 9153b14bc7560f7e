"""What the calls of `Trainer.fit` and `Trainer.fit_batches` have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from multinn.callbacks.base import Callbacks
from multinn.divergence import Divergence, find_divergence
from multinn.errors import DivergenceError
from multinn.figures import Columns, EpochFigures, epoch_figures, step_columns
from multinn.history import History, Record
from multinn.interrupts import uninterrupted
from multinn.training import Examples, Plan, TrainingState

if TYPE_CHECKING:
    from multinn.trainer import Trainer


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

    trainer: "Trainer"
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


def reported(done: int, epochs: int, every: int, *, last: bool) -> list[int]:
    """Return which of the next epochs, from 0, are every so many of all; and, if wanted, the last."""
    chosen = list(range(-(done + 1) % every, epochs, every))
    if last and (not chosen or chosen[-1] != epochs - 1):
        chosen.append(epochs - 1)
    return chosen
