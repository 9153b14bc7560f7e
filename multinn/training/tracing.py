"""The examples and the plan of the steps that `Trainer.trace` records."""

from typing import Any

import numpy as np

from backends import HostArray
from multinn.host.checks import check_integers, is_integer
from multinn.training.base import BaseTrainer
from multinn.training.program import Plan, make_plan


def chosen_rows(examples: Any, count: int) -> HostArray:
    """Return the rows of the chosen examples.

    Args:
        examples: a number of examples, from the first on; the indices of some; or None for all.
        count: the number of all examples.

    Raises:
        ValueError: there is no such example, or examples is something else.
    """
    if examples is None:
        return np.arange(count)
    if is_integer(examples):
        check_integers(examples=examples)
    rows = np.arange(examples) if is_integer(examples) else np.asarray(examples)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size:
        raise ValueError(
            f"examples: expected a number of examples, or the indices of some, got {examples!r:.80}"
        )
    if rows.min() < 0 or rows.max() >= count:
        raise ValueError(f"examples: expected indices in 0..{count - 1}, got {examples!r:.80}")
    return rows


def plan_of_steps(
    trainer: BaseTrainer, count: int, steps: int, batch_size: int | None, *, shuffle: bool
) -> Plan:
    """Return a plan of whole epochs with at least that many steps.

    Args:
        trainer: the trainer whose next steps are planned.
        count: the number of examples.
        steps: 1 or more.
        batch_size: examples in a step; None for all of them.
        shuffle: whether each epoch has its own random order.

    Raises:
        TypeError, ValueError: batch_size is no integer of at least 1.
    """
    size = count if batch_size is None else batch_size
    check_integers(batch_size=size)
    return make_plan(
        count,
        int(size),
        first_epoch=trainer.epoch,
        epochs=-(-steps // -(-count // int(size))),
        first_step=trainer.step,
        seed=trainer.seed,
        shuffle=shuffle,
    )
