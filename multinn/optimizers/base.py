"""The base classes of optimizers, and the functions that their formulas share."""

import math
from abc import abstractmethod

import numpy as np

from backends import Array, Backend, HostArray, Tree, tree
from multinn.descriptions.bounds import check_nonnegative
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
            backend: the backend of all arrays.
            gradients: a tree with the structure of ``params``.
            state: from `init` or the last `update`.
            params: the parameters before this update.
        """

    def inference_parameters(self, backend: Backend, state: Tree, params: Tree) -> Tree:
        """Return the parameters to use at inference: ``params``, unless the state holds others.

        Args:
            backend: the backend of all arrays.
            state: the state that belongs to ``params``.
            params: the trained parameters.
        """
        return params

    def former_entries(self) -> dict[str, tuple[str, float]]:
        """Return the entries of states that earlier versions saved and that `init` no longer has.

        Each former name has the current name, and the factor by which the arrays are multiplied.
        """
        return {}


class Descent(Optimizer):
    """The base of optimizers that step along a direction: θ ← θ - η (direction + λ θ).

    Attributes:
        learning_rate: η, or its schedule.
        weight_decay: λ.
    """

    learning_rate: LearningRate
    weight_decay: float

    def __post_init__(self) -> None:
        check_nonnegative(self, "weight_decay")
        if not isinstance(self.learning_rate, Schedule):
            check_nonnegative(self, "learning_rate")

    def descend(
        self, backend: Backend, direction: Tree, state: Tree, params: Tree, scale: Array | float = 1.0
    ) -> Tree:
        """Return θ - η (scale · direction + λ θ)."""
        rate = self.current_rate(backend, state, params)
        step = rate * scale
        if self.weight_decay:
            kept = 1.0 - rate * self.weight_decay
            return tree.map(lambda p, d: kept * p - step * d, params, direction)
        return tree.map(lambda p, d: p - step * d, params, direction)

    def current_rate(self, backend: Backend, state: Tree, params: Tree) -> Array | float:
        """Return η of this update, multiplied by the scale if the state has one."""
        rate = self.learning_rate
        if isinstance(rate, Schedule):
            rate = rate(backend, steps_done(backend, state, params))
        return rate * backend.xp.reshape(state[SCALE], ()) if SCALE in state else rate


def steps_done(backend: Backend, state: Tree, params: Tree) -> Array:
    """Return the number of updates before this one, a scalar array in the dtype of the parameters."""
    xp = backend.xp
    leaves = tree.leaves(params)
    step = xp.astype(state["step"], leaves[0].dtype if leaves else xp.float32)
    return xp.reshape(step, ())


def one_minus_power(backend: Backend, base: float, count: Array) -> Array:
    """Return 1 - baseⁿ with n = ``count``, the sum of the weights in a running mean after n steps.

    expm1 avoids the cancellation, which costs float32 four digits at base 0.999.
    """
    if base == 0.0:
        return backend.xp.ones_like(count)
    return -backend.xp.expm1(math.log(base) * count)


def sum_of_powers(backend: Backend, base: float, count: Array) -> Array:
    """Return 1 + base + base² + ⋯ with n = ``count`` terms, which is (1 - baseⁿ) / (1 - base)."""
    return one_minus_power(backend, base, count) / (1.0 - base)


def mean_of_squares(mean: Array, x: Array, decay: float) -> Array:
    """Return ρ a + (1 - ρ) x², the next running mean a of squares, where ρ is the decay.

    (√(1 - ρ) x)² has the range of the mean: x² alone would overflow 1 / √(1 - ρ) times earlier. If x is
    a single number, it does so on JAX, as XLA takes the constants out of the product. ((1 - ρ) x) x
    would not, but it reads long arrays once more, which is 2 to 7 % of a training step with NumPy.
    """
    scaled = math.sqrt(1.0 - decay) * x
    return decay * mean + scaled * scaled


def zero_state(params: Tree, *names: str) -> Tree:
    """Return a state at step 0, with zeros in the structure of the parameters under each name."""
    return {"step": np.zeros((1,), np.int32)} | {name: zeros(params) for name in names}


def scale_of_one(params: Tree) -> Tree:
    """Return the entry of a state that leaves the learning rate unchanged."""
    return {SCALE: scalar_of_one(params)}


def scalar_of_one(params: Tree) -> HostArray:
    """Return 1 as an array of shape (1,) in the dtype of the parameters."""
    leaves = tree.leaves(params)
    return np.ones((1,), leaves[0].dtype if leaves else np.float32)


def zeros(params: Tree) -> Tree:
    """Return NumPy zeros in the structure of the parameters."""
    return tree.map(np.zeros_like, params)


def global_norm(backend: Backend, arrays: Tree) -> Array:
    """Return the Euclidean norm of all leaves taken as one vector, a scalar array.

    It is infinite if it is too large for the dtype.
    """
    unit, length = global_unit_and_length(backend, arrays)
    return unit * length


def global_unit_and_length(backend: Backend, arrays: Tree) -> tuple[Array, Array]:
    """Return the largest absolute value of all entries, or 1 if all are 0, and the norm divided by it.

    No square overflows, as the entries are divided by the largest first.
    """
    xp = backend.xp
    leaves = tree.leaves(arrays)
    largest = xp.max(xp.stack([xp.max(xp.abs(g)) for g in leaves]))
    unit = xp.where(largest > 0.0, largest, xp.ones_like(largest))
    squares = [xp.sum(scaled * scaled) for scaled in (g / unit for g in leaves)]
    return unit, xp.sqrt(sum(squares[1:], start=squares[0]))
