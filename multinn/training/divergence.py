"""Finding the step at which a run diverged."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from backends import Backend, Tree, tree
from multinn.training.program import Examples, Plan, TrainingProgram, TrainingState


class Divergence(NamedTuple):
    """The first step with a NaN or an infinity.

    Attributes:
        step: its number within the epoch, counted from 1.
        what: the part that became NaN or infinite.
        state: the state before the step, which is finite.
    """

    step: int
    what: str
    state: TrainingState


def find_divergence(
    program: TrainingProgram, state: TrainingState, data: Examples, plan: Plan
) -> Divergence | None:
    """Repeat one epoch step by step, up to the first step that gives NaN or infinity."""
    backend = program.backend
    step = backend.jit(program.step)
    for number, rows_and_key in enumerate(_steps(plan), start=1):
        next_state, record = step(data, state, backend.from_numpy(rows_and_key))
        suspects = {
            "the loss": record["loss"],
            "a parameter": next_state.params,
            "the state of a layer": next_state.layer_state,
            "the optimizer's state": next_state.optimizer_state,
        }
        for what, arrays in suspects.items():
            if not _all_finite(backend, arrays):
                return Divergence(number, what, state)
        state = next_state
    return None


def _all_finite(backend: Backend, arrays: Tree) -> bool:
    return all(np.isfinite(leaf).all() for leaf in tree.leaves(backend.to_numpy(arrays)))


def _steps(plan: Plan) -> Iterator[tuple[Any, Any]]:
    """Yield the rows and the key of each step of the first epoch."""
    for step, key in enumerate(plan.keys[0]):
        yield None if plan.rows is None else plan.rows[0, step], key
    if plan.tail_rows is not None and plan.tail_keys is not None:
        yield plan.tail_rows[0], plan.tail_keys[0]
