"""Adagrad and its descendants RMSProp and Adadelta."""

from dataclasses import dataclass

from backends import Backend, Tree, tree
from multinn.descriptions.bounds import check_fractions, check_positive
from multinn.optimizers.base import Descent, LearningRate, mean_of_squares, zero_state


@dataclass(frozen=True)
class Adagrad(Descent):
    """s ← s + g², θ ← θ - η g / (√s + ε).

    Source: J. Duchi, E. Hazan and Y. Singer, Adaptive subgradient methods, JMLR 12, 2011, section 1.1.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    learning_rate: LearningRate = 0.01
    epsilon: float = 1e-10
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "epsilon")

    def init(self, params: Tree) -> Tree:
        """Return the step, and s = 0."""
        return zero_state(params, "s")

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        s = tree.map(lambda s, g: s + g * g, state["s"], gradients)
        direction = tree.map(lambda g, s: g / (xp.sqrt(s) + self.epsilon), gradients, s)
        params = self.descend(backend, direction, state, params)
        return params, {"step": state["step"] + 1, "s": s}


@dataclass(frozen=True)
class RMSProp(Descent):
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
        super().__post_init__()
        check_fractions(self, "decay")
        check_positive(self, "epsilon")

    def init(self, params: Tree) -> Tree:
        """Return the step, and s = 0."""
        return zero_state(params, "s")

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        s = tree.map(lambda s, g: mean_of_squares(s, g, self.decay), state["s"], gradients)
        direction = tree.map(lambda g, s: g / (xp.sqrt(s) + self.epsilon), gradients, s)
        params = self.descend(backend, direction, state, params)
        return params, {"step": state["step"] + 1, "s": s}


@dataclass(frozen=True)
class Adadelta(Descent):
    """s ← ρ s + (1 - ρ) g², u = g √(d + ε) / √(s + ε), θ ← θ - η u, d ← ρ d + (1 - ρ) u².

    √d, where d is a running mean of the squared steps, replaces the learning rate and has the units of
    θ. In the source, η = 1.
    Source: M. D. Zeiler, ADADELTA, arXiv:1212.5701, 2012, algorithm 1; ρ from its section 4.1.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    learning_rate: LearningRate = 1.0
    decay: float = 0.95
    epsilon: float = 1e-6
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self, "decay")
        check_positive(self, "epsilon")

    def init(self, params: Tree) -> Tree:
        """Return the step, s = 0 and d = 0."""
        return zero_state(params, "s", "d")

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        s = tree.map(lambda s, g: mean_of_squares(s, g, self.decay), state["s"], gradients)
        direction = tree.map(
            lambda g, s, d: g * (xp.sqrt(d + self.epsilon) / xp.sqrt(s + self.epsilon)),
            gradients,
            s,
            state["d"],
        )
        d = tree.map(lambda d, u: mean_of_squares(d, u, self.decay), state["d"], direction)
        params = self.descend(backend, direction, state, params)
        return params, {"step": state["step"] + 1, "s": s, "d": d}
