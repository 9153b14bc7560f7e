"""Traces of the next steps of a trainer."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from backends import Backend, HostArray, Tree
from multinn.host.checks import check_inputs, check_integers, is_integer
from multinn.layers import Layer
from multinn.losses import Loss
from multinn.optimizers import Optimizer
from multinn.tracing.record import record
from multinn.tracing.trace import Trace
from multinn.training.base import BaseTrainer
from multinn.training.examples import check_examples
from multinn.training.program import Examples, Plan, first_state, make_plan


def trace_steps(
    model: Layer,
    loss: Loss,
    optimizer: Optimizer | None,
    x: Any,
    y: Any,
    *,
    params: Tree = None,
    backend: str | Backend | None = None,
    dtype: str = "float32",
    seed: int = 0,
    **options: Any,
) -> Trace:
    """Record the first training steps of a model, without a trainer.

    Args:
        model: the model.
        loss: the loss to minimize.
        optimizer: Adam with its defaults if None.
        x: (examples, ...), as in `Trainer.fit`.
        y: the targets, as the loss takes them.
        params: the initial parameters, a tree of NumPy arrays; None to draw them.
        backend: as in `backends.get_backend`.
        dtype: "float32" or "float64".
        seed: 0 or more.
        options: the other arguments of `Trainer.trace`.

    Raises:
        BackendError, TypeError, ValueError: as in `Trainer` and `Trainer.trace`.

    >>> from multinn import SGD, Dense, HalfSquaredError
    >>> trace_steps(Dense(1), HalfSquaredError(), SGD(0.1), [[1.0]], [[2.0]], backend="numpy", steps=3)
    <Trace of 3 steps of Dense, on numpy in float32>
    """
    trainer = BaseTrainer(model, loss, optimizer, backend=backend, dtype=dtype, seed=seed)
    if params is not None:
        trainer.initialize(check_inputs(x, dtype).shape[1:], params)
    return trace(trainer, x, y, **options)


def trace(
    trainer: BaseTrainer,
    x: Any,
    y: Any,
    *,
    steps: int = 1,
    examples: int | Sequence[int] | None = None,
    batch_size: int | None = None,
    shuffle: bool = True,
    weights: Any = None,
    leave_out: Collection[str] = (),
    most_bytes: int = 50_000_000,
) -> Trace:
    """Record the next steps of a trainer, as `Trainer.trace` does."""
    check_integers(steps=steps, most_bytes=most_bytes)
    inputs = check_inputs(x, trainer.dtype)
    shapes, drawn = trainer._shapes_or_draw(inputs.shape[1:])
    checked = check_examples(trainer.program, inputs, y, weights, shapes)
    chosen = _rows(examples, len(inputs))
    checked = Examples(*[None if part is None else part[chosen] for part in checked])
    plan = _plan(trainer, len(chosen), steps, batch_size, shuffle)
    with trainer.backend.precision(trainer.dtype):
        state = trainer.state
        if drawn is not None:
            optimizer = trainer.program.optimizer
            state = trainer.backend.from_numpy(
                first_state(trainer.model, optimizer, drawn, trainer.dtype)
            )
        return record(
            trainer.program,
            state,
            trainer._place(checked).data,
            plan,
            steps=int(steps),
            first_step=trainer.step,
            leave_out=leave_out,
            most_bytes=int(most_bytes),
        )


def _rows(examples: Any, count: int) -> HostArray:
    """Return the rows of the chosen examples."""
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


def _plan(trainer: BaseTrainer, count: int, steps: int, batch_size: int | None, shuffle: bool) -> Plan:
    """Return a plan of whole epochs with at least that many steps."""
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
