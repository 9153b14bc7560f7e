"""Where a run went wrong."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from backends import Backend, Tree, tree
from multinn.training.plan import Examples, Plan, take_rows
from multinn.training.program import TrainingProgram, TrainingState


class Divergence(NamedTuple):
    """The first step that went wrong.

    Attributes:
        step: its number within the epoch, from 1.
        what: what became NaN or infinite.
        state: that of training before it, all finite.
    """

    step: int
    what: str
    state: TrainingState


def all_finite(backend: Backend, arrays: Tree) -> bool:
    """Tell whether nothing in a tree of arrays is NaN or infinite."""
    return all(np.isfinite(leaf).all() for leaf in tree.leaves(backend.to_numpy(arrays)))


def find_divergence(
    program: TrainingProgram, state: TrainingState, data: Examples, plan: Plan
) -> Divergence | None:
    """Repeat one epoch step by step, up to the first that gives something that is not finite."""
    backend = program.backend
    step = backend.jit(program.step)
    for number, (batch, words) in enumerate(_batches(backend, data, plan), start=1):
        following, record = step(state, batch, words)
        suspects = {
            "the loss": record["loss"],
            "a parameter": following.params,
            "the state of a layer": following.layer_state,
            "the optimizer's state": following.optimizer_state,
        }
        for what, arrays in suspects.items():
            if not all_finite(backend, arrays):
                return Divergence(number, what, state)
        state = following
    return None


def _batches(backend: Backend, data: Examples, plan: Plan) -> Iterator[tuple[Examples, Any]]:
    """Yield each batch of the first epoch of a plan, and the words of its step."""

    def batch(rows: Any) -> Examples:
        return take_rows(backend, data, backend.from_numpy(rows))

    for step, words in enumerate(plan.words[0]):
        yield data if plan.rows is None else batch(plan.rows[0, step]), backend.from_numpy(words)
    if plan.tail_rows is not None and plan.tail_words is not None:
        yield batch(plan.tail_rows[0]), backend.from_numpy(plan.tail_words[0])
