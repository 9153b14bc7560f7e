"""What all optimizers are, and what their files share."""

import math
from abc import abstractmethod
from typing import Any

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.schedules import Schedule

LearningRate = float | Schedule
SCALE = "learning_rate_scale"  # the entry of a state by which the learning rate is multiplied


class Optimizer(Hyperparameters):
    """A frozen dataclass of hyperparameters."""

    @abstractmethod
    def init(self, params: Tree) -> Tree:
        """Return the first state, a tree of NumPy arrays, for parameters given as NumPy arrays."""

    @abstractmethod
    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and the new state.

        Args:
            backend: whose arrays the others are.
            gradients: mirrors ``params``.
            state: from `init` or the last `update`.
            params: the parameters before this update.
        """

    def inference_parameters(self, backend: Backend, state: Tree, params: Tree) -> Tree:
        """Return the parameters to use at inference: those that are trained, unless it keeps others.

        Args:
            backend: whose arrays the others are.
            state: the state that belongs to ``params``.
            params: the parameters that are trained.
        """
        return params


def descend(
    optimizer: Any,
    backend: Backend,
    direction: Tree,
    state: Tree,
    params: Tree,
    scale: Array | float = 1.0,
) -> Tree:
    """Return θ - η (scale direction + λ θ)."""
    rate = rate_now(optimizer, backend, state, params)
    step = rate * scale
    if optimizer.weight_decay:
        kept = 1.0 - rate * optimizer.weight_decay
        return tree.map(lambda p, d: kept * p - step * d, params, direction)
    return tree.map(lambda p, d: p - step * d, params, direction)


def rate_now(optimizer: Any, backend: Backend, state: Tree, params: Tree) -> Array | float:
    """Return η of this update, which a state may scale."""
    rate = optimizer.learning_rate
    if isinstance(rate, Schedule):
        rate = rate(backend, steps_done(backend, state, params))
    return rate * backend.xp.reshape(state[SCALE], ()) if SCALE in state else rate


def steps_done(backend: Backend, state: Tree, params: Tree) -> Array:
    """Return the number of updates before this one, without axes, in the dtype of the parameters."""
    xp = backend.xp
    leaves = tree.leaves(params)
    step = xp.astype(state["step"], leaves[0].dtype if leaves else xp.float32)
    return xp.reshape(step, ())


def sum_of_powers(backend: Backend, base: float, count: Array) -> Array:
    """Return 1 + base + base² + ... of that many terms, (1 - baseⁿ) / (1 - base).

    Without the cancellation of 1 - baseⁿ, which costs float32 four digits at base 0.999.
    """
    if base == 0.0:
        return backend.xp.ones_like(count)
    return backend.xp.expm1(math.log(base) * count) / (base - 1.0)


def first_step() -> "np.ndarray[Any, np.dtype[np.int32]]":
    """Return the number of updates that are done at the start."""
    return np.zeros((1,), np.int32)


def scale_of_one(params: Tree) -> Tree:
    """Return the entry of a state that leaves the learning rate as it is."""
    leaves = tree.leaves(params)
    return {SCALE: np.ones((1,), leaves[0].dtype if leaves else np.float32)}


def zeros(params: Tree) -> Tree:
    """Return zeros in the place of the parameters, on the host."""
    return tree.map(np.zeros_like, params)


def check_rates(optimizer: Any) -> None:
    """Raise ValueError unless the learning rate and the weight decay are finite, and 0 or more."""
    rates = {"weight_decay": optimizer.weight_decay}
    if not isinstance(optimizer.learning_rate, Schedule):
        rates["learning_rate"] = optimizer.learning_rate
    for name, value in rates.items():
        if not 0.0 <= value < math.inf:
            raise ValueError(
                f"{type(optimizer).__name__}: expected a finite {name} of 0 or more, got {value}"
            )


def check_unit_interval(optimizer: Optimizer, **values: float) -> None:
    """Raise ValueError unless each hyperparameter is in [0, 1)."""
    for name, value in values.items():
        if not 0.0 <= value < 1.0:
            raise ValueError(f"{type(optimizer).__name__}: expected {name} in [0, 1), got {value}")


def check_positive(optimizer: Optimizer, **values: float) -> None:
    """Raise ValueError unless each hyperparameter is positive and finite."""
    for name, value in values.items():
        if not 0.0 < value < math.inf:
            raise ValueError(
                f"{type(optimizer).__name__}: expected a positive, finite {name}, got {value}"
            )


def global_norm(backend: Backend, arrays: Tree) -> Array:
    """Return the Euclidean norm of all leaves taken as one vector, an array without axes.

    In units of the largest entry, so that no square overflows.
    """
    xp = backend.xp
    leaves = tree.leaves(arrays)
    largest = xp.max(xp.stack([xp.max(xp.abs(g)) for g in leaves]))
    unit = xp.where(largest > 0.0, largest, xp.ones_like(largest))
    squares = [xp.sum((g / unit) * (g / unit)) for g in leaves]
    return unit * xp.sqrt(sum(squares[1:], start=squares[0]))
