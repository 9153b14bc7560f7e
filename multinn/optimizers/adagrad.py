"""Adagrad, and what came of it."""

from dataclasses import dataclass

from backends import Backend, Tree, tree
from multinn.optimizers.base import (
    LearningRate,
    Optimizer,
    check_positive,
    check_rates,
    check_unit_interval,
    descend,
    first_step,
    zeros,
)


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
        check_rates(self)
        check_positive(self, epsilon=self.epsilon)

    def init(self, params: Tree) -> Tree:
        """Return the step, and s = 0."""
        return {"step": first_step(), "s": zeros(params)}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        s = tree.map(lambda s, g: s + g * g, state["s"], gradients)
        direction = tree.map(lambda g, s: g / (xp.sqrt(s) + self.epsilon), gradients, s)
        params = descend(self, backend, direction, state, params)
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
        check_rates(self)
        check_unit_interval(self, decay=self.decay)
        check_positive(self, epsilon=self.epsilon)

    def init(self, params: Tree) -> Tree:
        """Return the step, and s = 0."""
        return {"step": first_step(), "s": zeros(params)}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        s = tree.map(lambda s, g: self.decay * s + (1.0 - self.decay) * (g * g), state["s"], gradients)
        direction = tree.map(lambda g, s: g / (xp.sqrt(s) + self.epsilon), gradients, s)
        params = descend(self, backend, direction, state, params)
        return params, {"step": state["step"] + 1, "s": s}


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """s ← ρ s + (1 - ρ) g², u = g √(d + ε) / √(s + ε), θ ← θ - η u, d ← ρ d + (1 - ρ) u².

    The root of d, a running mean of the squared steps, stands in for a learning rate and has the units
    of θ: at η = 1, the source's, there is none to choose.
    Source: M. D. Zeiler, ADADELTA, arXiv:1212.5701, 2012, algorithm 1; ρ from its section 4.1.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    learning_rate: LearningRate = 1.0
    decay: float = 0.95
    epsilon: float = 1e-6
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        check_rates(self)
        check_unit_interval(self, decay=self.decay)
        check_positive(self, epsilon=self.epsilon)

    def init(self, params: Tree) -> Tree:
        """Return the step, s = 0 and d = 0."""
        return {"step": first_step(), "s": zeros(params), "d": zeros(params)}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        s = tree.map(lambda s, g: self.decay * s + (1.0 - self.decay) * (g * g), state["s"], gradients)
        direction = tree.map(
            lambda g, s, d: g * (xp.sqrt(d + self.epsilon) / xp.sqrt(s + self.epsilon)),
            gradients,
            s,
            state["d"],
        )
        d = tree.map(lambda d, u: self.decay * d + (1.0 - self.decay) * (u * u), state["d"], direction)
        params = descend(self, backend, direction, state, params)
        return params, {"step": state["step"] + 1, "s": s, "d": d}
