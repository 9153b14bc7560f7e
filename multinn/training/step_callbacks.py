"""Callbacks after every few steps of a run."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from multinn.host.interrupts import uninterrupted
from multinn.training.base import BaseTrainer
from multinn.training.callback import Callback
from multinn.training.history import Columns, combine_steps, join
from multinn.training.program import TrainingState


class StepCallbacks:
    """Calls `Callback.on_steps`, and says after which steps a call of a compiled function must end.

    Args:
        callbacks: callbacks with ``every_steps``, at least one.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = callbacks
        self._periods = [int(each.every_steps or 0) for each in callbacks]
        self._done = 0
        self._columns: list[Columns] = []  # of the last steps, (1, steps) each
        self._sizes: list[int] = []

    @property
    def every(self) -> int:
        """The largest number of which each ``every_steps`` is a multiple."""
        return math.gcd(*self._periods)

    def until_due(self, steps: int) -> int:
        """Return the number of steps until a callback is due, after ``steps`` more steps."""
        return min(every - (self._done + steps) % every for every in self._periods)

    def stops(self, ends: Sequence[int], full_steps: int) -> list[int]:
        """Return after which steps of the next epoch a call ends.

        Between two steps at which a call must end, the lengths of calls are powers of two, unless the
        distance is a usual one: each new length would be one more program to compile.

        Args:
            ends: where calls end without these callbacks; the last is the number of steps.
            full_steps: the number of steps with a full batch.

        >>> class Every10(Callback):
        ...     every_steps = 10
        >>> StepCallbacks([Every10()]).stops([37], 36)
        [10, 20, 30, 34, 36, 37]
        """
        total = ends[-1]
        due = {
            step for every in self._periods for step in range(every - self._done % every, total, every)
        }
        if not due:
            return list(ends)
        usual = {ends[0], *self._periods}
        stops = [0]
        for end in sorted({*ends, *due, full_steps}):
            while stops[-1] < end:
                left = end - stops[-1]
                stops.append(stops[-1] + (left if left in usual else 1 << (left.bit_length() - 1)))
        return stops[1:]

    def after(
        self,
        trainer: BaseTrainer,
        state: TrainingState,
        steps: Columns,
        batch_sizes: Sequence[int],
        *,
        epoch: int,
        step: int,
    ) -> TrainingState:
        """Count the steps of a call, and call the callbacks that are due.

        Meanwhile, the trainer holds the state after these steps.

        Args:
            trainer: the trainer, at the last whole epoch.
            state: the state after the steps.
            steps: (epochs, steps) records, from `step_columns`.
            batch_sizes: the size of the batch of each step of an epoch.
            epoch: the number of whole epochs before the last of the steps.
            step: the number of all steps of the trainer that are done.

        Returns:
            The state, which a callback may have changed.
        """
        epochs, count = steps["loss"].shape
        self._done += epochs * count
        flat = {name: np.reshape(each, (1, -1, *each.shape[2:])) for name, each in steps.items()}
        self._columns.append(flat)
        self._sizes += list(batch_sizes) * epochs
        if all(self._done % every for every in self._periods):
            return state
        most = max(self._periods)
        joined = join(self._columns, 1)
        self._columns = [{name: each[:, -most:] for name, each in joined.items()}]
        self._sizes = self._sizes[-most:]
        before, optimizer = (trainer.state, trainer.epoch, trainer.step), trainer.optimizer
        reductions = trainer.program.reductions
        trainer.state, trainer.epoch, trainer.step = state, epoch, step
        try:
            for callback, every in zip(self._callbacks, self._periods, strict=True):
                if self._done % every == 0:
                    last = {name: each[:, -every:] for name, each in self._columns[0].items()}
                    metrics = combine_steps(last, self._sizes[-every:], reductions)
                    callback.on_steps(trainer, step, metrics.record(0))
                    if trainer.program.reductions.keys() != reductions.keys():
                        raise ValueError(
                            f"{type(callback).__name__}.on_steps: expected the same loss and metrics "
                            "as before, got others; set them between two runs"
                        )
            return trainer.state
        finally:
            with uninterrupted():
                trainer.state, trainer.epoch, trainer.step = before
                chosen = trainer.optimizer
                if chosen is not optimizer:  # this state is one of the former optimizer
                    trainer.program = replace(trainer.program, optimizer=optimizer)
                    trainer.optimizer = chosen
