"""Adam, AdamW and NAdam."""

from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn.descriptions.bounds import check_fractions, check_positive
from multinn.optimizers.base import Descent, LearningRate, steps_done, sum_of_powers, zero_state


@dataclass(frozen=True)
class Adam(Descent):
    """θ ← θ - η m̂ / (√v̂ + ε), where m̂ and v̂ are weighted means of all g and of all g².

    The gradient of k steps ago has the weight β₁ᵏ in m̂, and its square β₂ᵏ in v̂. The state holds the
    sums, not the means,

        m ← β₁ m + g,    v ← β₂ v + g²,

    so that m̂ = m / a_t with a_t = 1 + β₁ + ⋯ + β₁ᵗ⁻¹, and v̂ = v / b_t with b_t = 1 + β₂ + ⋯ + β₂ᵗ⁻¹. The
    m and v of the paper are (1 - β₁) m and (1 - β₂) v; its m̂ and v̂ are the same, and sums save two
    passes over the parameters. With c = √b_t,

        m̂ / (√v̂ + ε) = c / a_t · m / (√v + ε c).

    A state is valid only for its β₁ and β₂: with others, the next steps are too long or too short.
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
        super().__post_init__()
        check_fractions(self, "beta_1", "beta_2")
        check_positive(self, "epsilon")

    def init(self, params: Tree) -> Tree:
        """Return the step, m = 0 and v = 0."""
        return zero_state(params, "m", "v")

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        m = tree.map(lambda m, g: self.beta_1 * m + g, state["m"], gradients)
        v = tree.map(lambda v, g: self.beta_2 * v + g * g, state["v"], gradients)
        t = steps_done(backend, state, params) + 1.0
        a = sum_of_powers(backend, self.beta_1, t)
        c = xp.sqrt(sum_of_powers(backend, self.beta_2, t))
        epsilon = self.scaled_epsilon(c)
        direction = tree.map(lambda m, v: m / (xp.sqrt(v) + epsilon), m, v)
        params = self.descend(backend, direction, state, params, scale=c / a)
        return params, state | {"step": state["step"] + 1, "m": m, "v": v}

    def scaled_epsilon(self, c: Array) -> Array | float:
        """Return ε c, which is added to √v."""
        return self.epsilon * c


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with a decoupled weight decay of 0.01.

    Source: I. Loshchilov and F. Hutter, Decoupled weight decay regularization, ICLR 2019, algorithm 2.
    """

    weight_decay: float = 0.01


@dataclass(frozen=True)
class NAdam(Adam):
    """Adam with Nesterov's momentum: θ ← θ - η m̂ / (√v̂ + ε) with a look ahead in m̂.

    m, v and v̂ are Adam's. The momentum warms up: μ_t = β₁ (1 - ½ 0.96^(t ψ)), and with Π_t = μ_1 ⋯ μ_t,

        m̂ = μ_{t+1} (1 - β₁) m / (1 - Π_{t+1}) + (1 - μ_t) g / (1 - Π_t),

    where (1 - β₁) m is the source's m. As in Adam, √v̂ = √v / c with c = √b_t.
    Source: T. Dozat, Incorporating Nesterov momentum into Adam, ICLR workshop 2016, algorithm 2; as in
    PyTorch, m decays by β₁ instead of μ_t, and there is ψ.

    Attributes:
        learning_rate: η.
        beta_1: β₁, the momentum after its warm-up.
        beta_2: β₂.
        epsilon: ε.
        weight_decay: λ.
        momentum_decay: ψ, how fast the momentum warms up, per step.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    learning_rate: LearningRate = 0.002
    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "momentum_decay")

    def init(self, params: Tree) -> Tree:
        """Return the step, m = 0, v = 0 and Π = 1."""
        leaves = tree.leaves(params)
        product = np.ones((1,), leaves[0].dtype if leaves else np.float32)
        return super().init(params) | {"product": product}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        m = tree.map(lambda m, g: self.beta_1 * m + g, state["m"], gradients)
        v = tree.map(lambda v, g: self.beta_2 * v + g * g, state["v"], gradients)
        t = steps_done(backend, state, params) + 1.0
        mu, next_mu = self._momentum(t), self._momentum(t + 1.0)
        product = state["product"] * mu
        so_far = xp.reshape(product, ())
        of_m = (1.0 - self.beta_1) * next_mu / (1.0 - so_far * next_mu)
        of_g = (1.0 - mu) / (1.0 - so_far)
        c = xp.sqrt(sum_of_powers(backend, self.beta_2, t))
        epsilon = self.scaled_epsilon(c)
        direction = tree.map(
            lambda m, v, g: (of_m * m + of_g * g) / (xp.sqrt(v) + epsilon), m, v, gradients
        )
        params = self.descend(backend, direction, state, params, scale=c)
        return params, {"step": state["step"] + 1, "m": m, "v": v, "product": product}

    def _momentum(self, t: Array) -> Array:
        return self.beta_1 * (1.0 - 0.5 * 0.96 ** (self.momentum_decay * t))
