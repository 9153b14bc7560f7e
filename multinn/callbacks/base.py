"""What callbacks are."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from multinn.history import Record

if TYPE_CHECKING:
    from multinn.trainer import Trainer


class Callback:
    """What is called while a trainer trains. The base does nothing.

    An instance belongs to one run at a time, and starts anew with each. What it raises ends the run, and
    leaves the trainer at its last whole epoch.

    >>> class StopBelow(Callback):
    ...     def on_report(self, trainer, record):
    ...         return record["loss"] < 0.1
    """

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Do what comes before the first step; the trainer has parameters."""

    def on_report(self, trainer: "Trainer", record: Record) -> bool | None:
        """Look at a record of the history, with the figures of the validation data.

        All callbacks see the record before the run stops.

        Args:
            trainer: at the end of the epoch of the record.
            record: the last of the history.

        Returns:
            True to stop training; anything else to go on.
        """
        return None

    def on_fit_end(self, trainer: "Trainer") -> None:
        """Do what comes last, though the run was stopped or interrupted; not on errors."""


def any_stops(answers: Sequence[Any]) -> bool:
    """Tell whether one of the answers of callbacks is True, of Python or of NumPy."""
    return any(isinstance(answer, bool | np.bool) and bool(answer) for answer in answers)


def check_callbacks(callbacks: Any) -> list[Callback]:
    """Return callbacks as a list.

    Raises:
        TypeError: they are something else.
    """
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks: expected a list of callbacks, got {callbacks!r}")
    checked = list(callbacks)
    for callback in checked:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks: expected instances of Callback, got {callback!r}")
    return checked
