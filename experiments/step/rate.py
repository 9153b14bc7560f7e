"""A learning rate that can change between two steps without another compilation."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backends import Array, Backend, Tree
from multinn.optimizers.wrappers import Wrapper
from multinn.schedules import Schedule
from multinn.training.program import TrainingProgram, TrainingState


@dataclass(frozen=True)
class RateInState(Wrapper):
    """Lets the wrapped optimizer step with the learning rate in the state, an array (1,)."""

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        optimizer = _with_schedule(self.optimizer, _Given(state["rate"]))
        params, inner = optimizer.update(backend, gradients, state["optimizer"], params)
        return params, {"optimizer": inner, "rate": state["rate"]}

    def inference_parameters(self, backend: Backend, state: Tree, params: Tree) -> Tree:
        """Return the inference parameters of the wrapped optimizer."""
        return self.optimizer.inference_parameters(backend, state["optimizer"], params)


def with_learning_rate(
    program: TrainingProgram, state: TrainingState, rate: float
) -> tuple[TrainingProgram, TrainingState]:
    """Return the program and the state with another learning rate.

    The rest of the optimizer's state stays. The first change needs another compilation, later ones do
    not.

    Raises:
        ValueError: the optimizer has no learning rate.
    """
    inner = state.optimizer_state
    if isinstance(program.optimizer, RateInState):
        inner = inner["optimizer"]
    else:
        _with_schedule(program.optimizer, _Given(None))  # raises the error
        program = replace(program, optimizer=RateInState(program.optimizer))
    array = program.backend.from_numpy(np.full((1,), rate, program.dtype))
    return program, state._replace(optimizer_state={"optimizer": inner, "rate": array})


def without_wrapper(
    program: TrainingProgram, state: TrainingState
) -> tuple[TrainingProgram, TrainingState]:
    """Return a program and a state with the same next step, in which no optimizer is a `RateInState`."""
    if not isinstance(program.optimizer, RateInState):
        return program, state
    inner, rate = state.optimizer_state["optimizer"], state.optimizer_state["rate"]
    optimizer = _with_schedule(program.optimizer.optimizer, _Given(rate))
    return replace(program, optimizer=optimizer), state._replace(optimizer_state=inner)


class _Given(Schedule):
    """The learning rate in an array (1,)."""

    def __init__(self, rate: Array) -> None:
        self.rate = rate

    def __call__(self, backend: Backend, step: Array) -> Array:
        return backend.xp.reshape(self.rate, ())

    def __repr__(self) -> str:
        return f"{float(self.rate[0]):g}"


def _with_schedule(optimizer: Any, schedule: Schedule) -> Any:
    """Return a copy of an optimizer, which may be wrapped, with that schedule of its learning rate."""
    if isinstance(optimizer, Wrapper):
        return replace(optimizer, optimizer=_with_schedule(optimizer.optimizer, schedule))
    try:
        return replace(optimizer, learning_rate=schedule)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the learning rate of {type(optimizer).__name__} cannot be changed: {error}"
        ) from error
