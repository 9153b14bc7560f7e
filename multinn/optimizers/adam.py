"""Adam and its kin."""

from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn.optimizers.base import (
    LearningRate,
    Optimizer,
    check_positive,
    check_rates,
    check_unit_interval,
    descend,
    first_step,
    one_minus_power,
    steps_done,
    zeros,
)


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
        check_rates(self)
        check_unit_interval(self, beta_1=self.beta_1, beta_2=self.beta_2)
        check_positive(self, epsilon=self.epsilon)

    def init(self, params: Tree) -> Tree:
        """Return the step, m = 0 and v = 0."""
        return {"step": first_step(), "m": zeros(params), "v": zeros(params)}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        beta_1, beta_2 = self.beta_1, self.beta_2
        t = steps_done(backend, state, params) + 1.0
        m, v = moments(gradients, state, beta_1, beta_2)
        c = xp.sqrt(one_minus_power(backend, beta_2, t))
        epsilon = self.epsilon * c
        direction = tree.map(lambda m, v: m / (xp.sqrt(v) + epsilon), m, v)
        scale = c / one_minus_power(backend, beta_1, t)
        params = descend(self, backend, direction, state, params, scale)
        return params, {"step": state["step"] + 1, "m": m, "v": v}


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with a decoupled weight decay of 0.01.

    Source: I. Loshchilov and F. Hutter, Decoupled weight decay regularization, ICLR 2019, algorithm 2.
    """

    weight_decay: float = 0.01


@dataclass(frozen=True)
class NAdam(Optimizer):
    """Adam with Nesterov's momentum: θ ← θ - η m̂ / (√v̂ + ε) with a look ahead in m̂.

    m, v and v̂ are Adam's. The momentum warms up: μ_t = β₁ (1 - ½ 0.96^(t ψ)), and with Π_t = μ_1 ⋯ μ_t,

        m̂ = μ_{t+1} m / (1 - Π_{t+1}) + (1 - μ_t) g / (1 - Π_t).

    As in Adam, √v̂ = √v / c with c = √(1 - β₂ᵗ).
    Source: T. Dozat, Incorporating Nesterov momentum into Adam, ICLR workshop 2016, algorithm 2; with
    its m, which decays by β₁ alone, and with ψ, as PyTorch has it.

    Attributes:
        learning_rate: η.
        beta_1: β₁, the momentum in the end.
        beta_2: β₂.
        epsilon: ε.
        weight_decay: λ.
        momentum_decay: ψ, how fast the momentum warms up, in steps.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    learning_rate: LearningRate = 0.002
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        check_rates(self)
        check_unit_interval(self, beta_1=self.beta_1, beta_2=self.beta_2)
        check_positive(self, epsilon=self.epsilon, momentum_decay=self.momentum_decay)

    def init(self, params: Tree) -> Tree:
        """Return the step, m = 0, v = 0 and Π = 1."""
        leaves = tree.leaves(params)
        product = np.ones((1,), leaves[0].dtype if leaves else np.float32)
        return {"step": first_step(), "m": zeros(params), "v": zeros(params), "product": product}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        t = steps_done(backend, state, params) + 1.0
        m, v = moments(gradients, state, self.beta_1, self.beta_2)
        mu, next_mu = self._momentum(t), self._momentum(t + 1.0)
        product = state["product"] * mu
        so_far = xp.reshape(product, ())
        of_m = next_mu / (1.0 - so_far * next_mu)
        of_g = (1.0 - mu) / (1.0 - so_far)
        c = xp.sqrt(one_minus_power(backend, self.beta_2, t))
        epsilon = self.epsilon * c
        direction = tree.map(
            lambda m, v, g: (of_m * m + of_g * g) / (xp.sqrt(v) + epsilon), m, v, gradients
        )
        params = descend(self, backend, direction, state, params, c)
        return params, {"step": state["step"] + 1, "m": m, "v": v, "product": product}

    def _momentum(self, t: Array) -> Array:
        return self.beta_1 * (1.0 - 0.5 * 0.96 ** (self.momentum_decay * t))


def moments(gradients: Tree, state: Tree, beta_1: float, beta_2: float) -> tuple[Tree, Tree]:
    """Return m and v after these gradients."""
    m = tree.map(lambda m, g: beta_1 * m + (1.0 - beta_1) * g, state["m"], gradients)
    v = tree.map(lambda v, g: beta_2 * v + (1.0 - beta_2) * (g * g), state["v"], gradients)
    return m, v
