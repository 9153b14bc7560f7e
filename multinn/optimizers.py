"""Optimizers: pure pairs of functions, `init` and `update`, over trees of parameters.

In the formulas θ are the parameters, g the gradients, η the learning rate, and t = 1, 2, ... the number
of the update. Where an optimizer has a weight decay λ, it is decoupled: θ also shrinks by η λ θ.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn.hyperparameters import Hyperparameters
from multinn.schedules import Schedule

LearningRate = float | Schedule


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


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: θ ← θ - η g.

    With momentum μ: v ← μ v + g and θ ← θ - η v; with Nesterov's, θ ← θ - η (g + μ v).
    Source: I. Sutskever et al., On the importance of initialization and momentum in deep learning,
    ICML 2013, section 2, with the learning rate taken out of v, as PyTorch has it.

    Raises:
        ValueError: a hyperparameter is out of range, or nesterov is asked for without momentum.
    """

    learning_rate: LearningRate = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_rates(self)
        _check_unit_interval(self, momentum=self.momentum)
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("SGD: nesterov needs a momentum above 0, got 0.0")

    def init(self, params: Tree) -> Tree:
        """Return the step and, with momentum, v = 0."""
        return {"step": _first_step(), "v": _zeros(params) if self.momentum else None}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        direction, v = gradients, None
        if self.momentum:
            v = tree.map(lambda v, g: self.momentum * v + g, state["v"], gradients)
            direction = v
        if self.nesterov:
            direction = tree.map(lambda g, v: g + self.momentum * v, gradients, v)
        params = _descend(self, backend, direction, state, params)
        return params, {"step": state["step"] + 1, "v": v}


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """s ← s + g², θ ← θ - η g / (√s + ε).

    Source: J. Duchi, E. Hazan and Y. Singer, Adaptive subgradient methods, JMLR 12, 2011, section 1.1.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    learning_rate: LearningRate = 0.01
    epsilon: float = 1e-10
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_rates(self)
        check_positive(self, epsilon=self.epsilon)

    def init(self, params: Tree) -> Tree:
        """Return the step, and s = 0."""
        return {"step": _first_step(), "s": _zeros(params)}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        s = tree.map(lambda s, g: s + g * g, state["s"], gradients)
        direction = tree.map(lambda g, s: g / (xp.sqrt(s) + self.epsilon), gradients, s)
        params = _descend(self, backend, direction, state, params)
        return params, {"step": state["step"] + 1, "s": s}


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """s ← ρ s + (1 - ρ) g², θ ← θ - η g / (√s + ε).

    Source: T. Tieleman and G. Hinton, Neural networks for machine learning, lecture 6.5, 2012.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    learning_rate: LearningRate = 0.001
    decay: float = 0.9
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_rates(self)
        _check_unit_interval(self, decay=self.decay)
        check_positive(self, epsilon=self.epsilon)

    def init(self, params: Tree) -> Tree:
        """Return the step, and s = 0."""
        return {"step": _first_step(), "s": _zeros(params)}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        s = tree.map(lambda s, g: self.decay * s + (1.0 - self.decay) * (g * g), state["s"], gradients)
        direction = tree.map(lambda g, s: g / (xp.sqrt(s) + self.epsilon), gradients, s)
        params = _descend(self, backend, direction, state, params)
        return params, {"step": state["step"] + 1, "s": s}


@dataclass(frozen=True)
class Adam(Optimizer):
    """m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g², θ ← θ - η m̂ / (√v̂ + ε).

    m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ) undo the bias of the zeros that m and v start from. With
    c = √(1 - β₂ᵗ), m̂ / (√v̂ + ε) = c / (1 - β₁ᵗ) · m / (√v + ε c), which is less work.
    Source: D. P. Kingma and J. Ba, Adam, ICLR 2015, algorithm 1, and section 2 for the order.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    learning_rate: LearningRate = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_rates(self)
        _check_unit_interval(self, beta_1=self.beta_1, beta_2=self.beta_2)
        check_positive(self, epsilon=self.epsilon)

    def init(self, params: Tree) -> Tree:
        """Return the step, m = 0 and v = 0."""
        return {"step": _first_step(), "m": _zeros(params), "v": _zeros(params)}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        beta_1, beta_2 = self.beta_1, self.beta_2
        t = _steps_done(backend, state, params) + 1.0
        m = tree.map(lambda m, g: beta_1 * m + (1.0 - beta_1) * g, state["m"], gradients)
        v = tree.map(lambda v, g: beta_2 * v + (1.0 - beta_2) * (g * g), state["v"], gradients)
        c = xp.sqrt(_one_minus_power(backend, beta_2, t))
        epsilon = self.epsilon * c
        direction = tree.map(lambda m, v: m / (xp.sqrt(v) + epsilon), m, v)
        scale = c / _one_minus_power(backend, beta_1, t)
        params = _descend(self, backend, direction, state, params, scale)
        return params, {"step": state["step"] + 1, "m": m, "v": v}


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with a decoupled weight decay of 0.01.

    Source: I. Loshchilov and F. Hutter, Decoupled weight decay regularization, ICLR 2019, algorithm 2.
    """

    weight_decay: float = 0.01


def _descend(
    optimizer: Any,
    backend: Backend,
    direction: Tree,
    state: Tree,
    params: Tree,
    scale: Array | float = 1.0,
) -> Tree:
    """Return θ - η (scale direction + λ θ)."""
    rate = optimizer.learning_rate
    if isinstance(rate, Schedule):
        rate = rate(backend, _steps_done(backend, state, params))
    step = rate * scale
    if optimizer.weight_decay:
        kept = 1.0 - rate * optimizer.weight_decay
        return tree.map(lambda p, d: kept * p - step * d, params, direction)
    return tree.map(lambda p, d: p - step * d, params, direction)


def _steps_done(backend: Backend, state: Tree, params: Tree) -> Array:
    """Return the number of updates before this one, without axes, in the dtype of the parameters."""
    xp = backend.xp
    leaves = tree.leaves(params)
    step = xp.astype(state["step"], leaves[0].dtype if leaves else xp.float32)
    return xp.reshape(step, ())


def _one_minus_power(backend: Backend, base: float, exponent: Array) -> Array:
    """Return 1 - base^exponent without the cancellation that costs float32 four digits at base 0.999."""
    if base == 0.0:
        return backend.xp.ones_like(exponent)
    return -backend.xp.expm1(math.log(base) * exponent)


def _first_step() -> "np.ndarray[Any, np.dtype[np.int32]]":
    return np.zeros((1,), np.int32)


def _zeros(params: Tree) -> Tree:
    return tree.map(np.zeros_like, params)


def _check_rates(optimizer: Any) -> None:
    rates = {"weight_decay": optimizer.weight_decay}
    if not isinstance(optimizer.learning_rate, Schedule):
        rates["learning_rate"] = optimizer.learning_rate
    for name, value in rates.items():
        if not 0.0 <= value < math.inf:
            raise ValueError(
                f"{type(optimizer).__name__}: expected a finite {name} of 0 or more, got {value}"
            )


def _check_unit_interval(optimizer: Optimizer, **values: float) -> None:
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
