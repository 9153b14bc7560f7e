"""What callbacks are."""

from collections.abc import Collection, Iterable
from contextlib import ExitStack
from typing import Any

import numpy as np

from multinn.training.base import BaseTrainer
from multinn.training.history import Record


class Callback:
    """What is called while a trainer trains. The base does nothing.

    An instance belongs to one run at a time, and starts anew with each. What it raises ends the run, and
    leaves the trainer at its last whole epoch, unless another callback has a better state.

    Attributes:
        needs: names of figures that records have to have; a run without them is refused.
        adds: names of figures that `on_report` adds to the record, for the callbacks that follow.

    >>> class StopBelow(Callback):
    ...     def on_report(self, trainer, record):
    ...         return record["loss"] < 0.1
    """

    needs: Collection[str] = ()
    adds: Collection[str] = ()

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Do what comes before the first step; the trainer has parameters."""

    def on_report(self, trainer: BaseTrainer, record: Record) -> bool | None:
        """Look at a record of the history, with the figures of the validation data.

        All callbacks see the record before the run stops.

        Args:
            trainer: at the end of the epoch of the record.
            record: the last of the history.

        Returns:
            True to stop training; anything else to go on.
        """
        return None

    def on_fit_end(self, trainer: BaseTrainer) -> None:
        """Do what comes last, though the run was stopped or interrupted; not on errors."""

    def on_fit_error(self, trainer: BaseTrainer) -> None:
        """Do what comes last instead where an error, such as a divergence, ended the run."""


class Callbacks(list[Callback]):
    """The callbacks of one run, which are called one after the other."""

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Call them before the first step."""
        for callback in self:
            callback.on_fit_start(trainer)

    def on_report(self, trainer: BaseTrainer, record: Record) -> bool:
        """Call all of them, and tell whether the answer of one is True, of Python or of NumPy."""
        answers = [callback.on_report(trainer, record) for callback in self]
        return any(isinstance(answer, bool | np.bool) and bool(answer) for answer in answers)

    def on_fit_end(self, trainer: BaseTrainer) -> None:
        """Call them last."""
        for callback in self:
            callback.on_fit_end(trainer)

    def on_fit_error(self, trainer: BaseTrainer) -> None:
        """Call all of them where an error ended the run, though one of them raises another."""
        with ExitStack() as stack:
            for callback in reversed(self):
                stack.callback(callback.on_fit_error, trainer)


def check_callbacks(callbacks: Any, figures: Iterable[str]) -> Callbacks:
    """Return callbacks that can be called with records of these figures.

    Raises:
        TypeError: they are something else.
        ValueError: one needs another figure.
    """
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks: expected a list of callbacks, got {callbacks!r}")
    checked, reported = Callbacks(callbacks), set(figures)
    for callback in checked:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks: expected instances of Callback, got {callback!r}")
        for name in callback.needs:
            if name not in reported:
                raise ValueError(
                    f"{type(callback).__name__}: {name!r} is not reported, there are "
                    f"{sorted(reported)}; give fit validation_data, or choose another monitor"
                )
        reported.update(callback.adds)
    return checked
