"""The base class of callbacks."""

from collections.abc import Collection

from multinn.training.base import BaseTrainer
from multinn.training.history import Record


class Callback:
    """The base class of callbacks, which a trainer calls during a run. Its methods do nothing.

    An instance belongs to one run at a time and starts again with each run. An error that it raises ends
    the run and leaves the trainer at the last whole epoch, unless a callback restores a better state.

    Attributes:
        needs: names of metrics that each record must have; `fit` raises ValueError without them.
        adds: names of metrics that `on_report` adds to the record, for the callbacks after this one.
        every_steps: the number of steps after each of which `on_steps` is called; None for never.

    >>> class StopBelow(Callback):
    ...     def on_report(self, trainer, record):
    ...         return record["loss"] < 0.1

    >>> class PrintLoss(Callback):
    ...     every_steps = 100
    ...     def on_steps(self, trainer, step, record):
    ...         print(step, record["loss"])
    """

    needs: Collection[str] = ()
    adds: Collection[str] = ()
    every_steps: int | None = None

    def on_check(self, names: Collection[str]) -> None:
        """Raise an error if the callback cannot do its work. Runs before `fit` changes anything.

        Args:
            names: the names that each record will have, in their order.
        """

    def on_fit_start(self, trainer: BaseTrainer) -> None:
        """Run before the first step; the trainer has parameters."""

    def on_steps(self, trainer: BaseTrainer, step: int, record: Record) -> None:
        """Run after every ``every_steps`` steps of a run; the last steps of a run may be fewer.

        A call of a compiled function must end there. Many short calls cost more than the steps in them,
        and `fit` compiles a program for each of a few lengths. The run has the same
        bits as without, except that JAX compiles a call of a single step without a loop, which rounds
        some models differently.

        Training continues from ``trainer.state``, which this method may set. A checkpoint that it saves
        continues with the first step of the epoch in which it was saved.

        Args:
            trainer: the trainer, with the state after that step; its epoch is the number of epochs that
                were complete before the step, and its history holds their records.
            step: the number of all steps of the trainer, as ``trainer.step``.
            record: the loss and the metrics over the last ``every_steps`` steps, combined as over an
                epoch.
        """

    def on_report(self, trainer: BaseTrainer, record: Record) -> bool | None:
        """Run after a record is added to the history. All callbacks see it before the run stops.

        Args:
            trainer: the trainer, at the end of the epoch of the record.
            record: the last record of the history, with the metrics of the validation data.

        Returns:
            True to stop training; anything else to continue.
        """
        return None

    def on_fit_end(self, trainer: BaseTrainer) -> None:
        """Run at the end, also of a run that was stopped or interrupted, but not after an error."""

    def on_fit_error(self, trainer: BaseTrainer) -> None:
        """Run at the end in place of `on_fit_end`, if an error such as a divergence ended the run."""
