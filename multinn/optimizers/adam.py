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
    steps_done,
    sum_of_powers,
    zeros,
)


@dataclass(frozen=True)
class Adam(Optimizer):
    """θ ← θ - η m̂ / (√v̂ + ε), where m̂ and v̂ are weighted means of all g and of all g².

    Those of k steps ago have the weights β₁ᵏ and β₂ᵏ. What is kept are the sums m ← β₁ m + g and
    v ← β₂ v + g², of which the means are m̂ = m / a_t with a_t = 1 + β₁ + ⋯ + β₁ᵗ⁻¹, and v̂ = v / b_t
    likewise. The paper has (1 - β₁) m and (1 - β₂) v in their place, and with them the same m̂ and v̂,
    for two passes over the parameters more. With c = √b_t, m̂ / (√v̂ + ε) = c / a_t · m / (√v + ε c),
    which is less work, too. The sums are for these β: on a state that others made, the first steps are
    longer or shorter.
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
        return zero_sums(params)

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        following, scale, epsilon = self.next_sums_and_factors(backend, gradients, state, params)
        m, v = following["gradients"], following["squares"]
        direction = tree.map(lambda m, v: m / (backend.xp.sqrt(v) + epsilon), m, v)
        return descend(self, backend, direction, state, params, scale), following

    def next_sums_and_factors(
        self, backend: Backend, gradients: Tree, state: Tree, params: Tree
    ) -> tuple[Tree, Array, Array | float]:
        """Return the new state, c / a_t, and what is added to √v."""
        t = steps_done(backend, state, params) + 1.0
        m, v = next_sums(gradients, state, self.beta_1, self.beta_2)
        c = backend.xp.sqrt(sum_of_powers(backend, self.beta_2, t))
        scale = c / sum_of_powers(backend, self.beta_1, t)
        following = {"step": state["step"] + 1, "gradients": m, "squares": v}
        return following, scale, self.scaled_epsilon(c)

    def scaled_epsilon(self, c: Array) -> Array | float:
        """Return what is added to the root of the sum of squares: ε c."""
        return self.epsilon * c


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

        m̂ = μ_{t+1} (1 - β₁) m / (1 - Π_{t+1}) + (1 - μ_t) g / (1 - Π_t),

    where (1 - β₁) m is the source's m. As in Adam, √v̂ = √v / c with c = √b_t.
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
        return zero_sums(params) | {"product": product}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        t = steps_done(backend, state, params) + 1.0
        m, v = next_sums(gradients, state, self.beta_1, self.beta_2)
        mu, next_mu = self._momentum(t), self._momentum(t + 1.0)
        product = state["product"] * mu
        so_far = xp.reshape(product, ())
        of_m = (1.0 - self.beta_1) * next_mu / (1.0 - so_far * next_mu)
        of_g = (1.0 - mu) / (1.0 - so_far)
        c = xp.sqrt(sum_of_powers(backend, self.beta_2, t))
        epsilon = self.epsilon * c
        direction = tree.map(
            lambda m, v, g: (of_m * m + of_g * g) / (xp.sqrt(v) + epsilon), m, v, gradients
        )
        params = descend(self, backend, direction, state, params, c)
        sums = {"gradients": m, "squares": v}
        return params, {"step": state["step"] + 1, "product": product} | sums

    def _momentum(self, t: Array) -> Array:
        return self.beta_1 * (1.0 - 0.5 * 0.96 ** (self.momentum_decay * t))


def zero_sums(params: Tree) -> Tree:
    """Return the step, and the sums before it: m as ``gradients``, v as ``squares``."""
    return {"step": first_step(), "gradients": zeros(params), "squares": zeros(params)}


def next_sums(gradients: Tree, state: Tree, beta_1: float, beta_2: float) -> tuple[Tree, Tree]:
    """Return m = Σ β₁ᵏ g and v = Σ β₂ᵏ g² after these gradients."""
    m = tree.map(lambda m, g: beta_1 * m + g, state["gradients"], gradients)
    v = tree.map(lambda v, g: beta_2 * v + g * g, state["squares"], gradients)
    return m, v
