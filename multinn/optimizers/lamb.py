"""LAMB and LARS, for large batches: each array of parameters has a step length of its own."""

from dataclasses import dataclass

from backends import Array, Backend, Tree, tree
from multinn.descriptions.bounds import check_fractions, check_positive
from multinn.optimizers.adam import Adam
from multinn.optimizers.base import (
    Descent,
    LearningRate,
    global_norm,
    global_unit_and_length,
    zero_state,
)


@dataclass(frozen=True)
class LAMB(Adam):
    """u = m̂ / (√ŝ + ε) + λ θ, θ ← θ - η ‖θ‖ / ‖u‖ u, separately for each array θ of parameters.

    m̂ and ŝ are Adam's and do not include the weight decay λ θ. Only the direction of u matters. Where
    ‖θ‖ is 0, as for a bias at first, the ratio is 1; where ‖u‖ is 0, the step is 0.
    Source: Y. You et al., Large batch optimization for deep learning, ICLR 2020, algorithm 2, with
    φ(z) = z.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    epsilon: float = 1e-6

    def descend(
        self, backend: Backend, direction: Tree, state: Tree, params: Tree, scale: Array | float = 1.0
    ) -> Tree:
        """Return θ - η ‖θ‖ / ‖u‖ u with u = scale · direction + λ θ."""
        rate = self.current_rate(backend, state, params)

        def step(p: Array, d: Array) -> Array:
            u = scale * d + self.weight_decay * p
            unit, ratio = _trust_ratio(backend, u, p)
            return p - u / unit * (rate * ratio)

        return tree.map(step, params, direction)


@dataclass(frozen=True)
class LARS(Descent):
    """u = g + λ θ, v ← μ v + κ ‖θ‖ / ‖u‖ u, θ ← θ - η v, separately for each array θ of parameters.

    Without momentum, each step has the length η κ ‖θ‖. Where ‖θ‖ is 0, as for a bias at first, u is
    added to v as it is; where ‖u‖ is 0, nothing is. The weight decay λ θ is not decoupled: it is part
    of u.
    Source: Y. You, I. Gitman and B. Ginsburg, Large batch training of convolutional networks,
    arXiv:1708.03888, 2017, algorithm 1; as in Optax, the ratio has ‖g + λ θ‖ and not ‖g‖ + λ ‖θ‖. The
    learning rate is taken out of v, as in `SGD`.

    Attributes:
        learning_rate: η, or its schedule.
        momentum: μ.
        weight_decay: λ.
        trust_coefficient: κ.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    learning_rate: LearningRate = 1.0
    momentum: float = 0.9
    weight_decay: float = 0.0
    trust_coefficient: float = 0.001

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self, "momentum")
        check_positive(self, "trust_coefficient")

    def init(self, params: Tree) -> Tree:
        """Return the step, and v = 0."""
        return zero_state(params, "v")

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""

        def velocity(v: Array, g: Array, p: Array) -> Array:
            u = g + self.weight_decay * p if self.weight_decay else g
            unit, ratio = _trust_ratio(backend, u, p, self.trust_coefficient)
            return self.momentum * v + u / unit * ratio

        v = tree.map(velocity, state["v"], gradients, params)
        rate = self.current_rate(backend, state, params)
        params = tree.map(lambda p, v: p - rate * v, params, v)
        return params, {"step": state["step"] + 1, "v": v}


def _trust_ratio(backend: Backend, u: Array, p: Array, coefficient: float = 1.0) -> tuple[Array, Array]:
    """Return a and b, where u / a · b has the length κ ‖p‖ with the coefficient κ; a = b if p is 0.

    b / a may overflow, but not u / a.
    """
    xp = backend.xp
    unit, length = global_unit_and_length(backend, u)
    length_of_p = global_norm(backend, p)
    ratio = coefficient * length_of_p / xp.maximum(length, 1.0)  # zeros have the length 0
    return unit, xp.where(length_of_p > 0.0, ratio, unit)
