"""Adam and its variants AdamW, AMSGrad, RAdam and NAdam."""

from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn.descriptions.bounds import check_fractions, check_positive
from multinn.optimizers.base import (
    Descent,
    LearningRate,
    mean_of_squares,
    one_minus_power,
    scalar_of_one,
    steps_done,
    sum_of_powers,
    zero_state,
)


@dataclass(frozen=True)
class Adam(Descent):
    """θ ← θ - η m̂ / (√ŝ + ε), where m̂ and ŝ are weighted means of all g and of all g².

    The gradient of k steps ago has the weight β₁ᵏ in m̂, and its square β₂ᵏ in ŝ. The state holds a sum
    and a running mean,

        m ← β₁ m + g,    s ← β₂ s + (1 - β₂) g²,

    so that m̂ = m / a_t with a_t = 1 + β₁ + ⋯ + β₁ᵗ⁻¹, and ŝ = s / (1 - β₂ᵗ). The m and v of the paper
    are (1 - β₁) m and s; its m̂ and v̂ are the same. The sum m saves a pass over the parameters; a sum of
    squares would overflow earlier than the mean s. With c = √(1 - β₂ᵗ),

        m̂ / (√ŝ + ε) = c / a_t · m / (√s + ε c).

    A state is valid only for its β₁ and β₂: with others, the next steps are too long or too short. In
    float32, s is 0 where gradients are below 1e-21, and ε should be well above such √s, as 1e-8 is.
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
        """Return the step, m = 0 and s = 0."""
        return zero_state(params, "m", "s")

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        m, s = self.moments(gradients, state)
        params = self.descend_from(backend, m, s, state, params)
        return params, state | {"step": state["step"] + 1, "m": m, "s": s}

    def moments(self, gradients: Tree, state: Tree) -> tuple[Tree, Tree]:
        """Return the new m and s."""
        m = tree.map(lambda m, g: self.beta_1 * m + g, state["m"], gradients)
        s = tree.map(lambda s, g: mean_of_squares(s, g, self.beta_2), state["s"], gradients)
        return m, s

    def descend_from(self, backend: Backend, m: Tree, s: Tree, state: Tree, params: Tree) -> Tree:
        """Return θ - η m̂ / (√ŝ + ε), for the state before this update."""
        t = steps_done(backend, state, params) + 1.0
        a = sum_of_powers(backend, self.beta_1, t)
        c = backend.xp.sqrt(one_minus_power(backend, self.beta_2, t))
        epsilon = self.scaled_epsilon(c)
        direction = tree.map(lambda m, s: m / (backend.xp.sqrt(s) + epsilon), m, s)
        return self.descend(backend, direction, state, params, scale=c / a)

    def scaled_epsilon(self, c: Array) -> Array | float:
        """Return ε c, which is added to √s."""
        return self.epsilon * c

    def former_entries(self) -> dict[str, tuple[str, float]]:
        """Return the former names of m and s, which was a sum of squares and not a mean."""
        mean = 1.0 - self.beta_2
        return {"gradients": ("m", 1.0), "squares": ("s", mean), "v": ("s", mean)}


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with a decoupled weight decay of 0.01.

    Source: I. Loshchilov and F. Hutter, Decoupled weight decay regularization, ICLR 2019, algorithm 2.
    """

    weight_decay: float = 0.01


@dataclass(frozen=True)
class AMSGrad(Adam):
    """Adam with the largest s so far in place of s, so that no learning rate of a parameter grows again.

    θ ← θ - η m̂ / (√l̂ + ε), where l ← max(l, s), and l̂ = l / (1 - β₂ᵗ) as in Adam.
    Source: S. J. Reddi, S. Kale and S. Kumar, On the convergence of Adam and beyond, ICLR 2018,
    algorithm 2; m̂, l̂ and ε as in Adam, as PyTorch has it.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    def init(self, params: Tree) -> Tree:
        """Return the step, m = 0, s = 0 and l = 0."""
        return zero_state(params, "m", "s", "largest")

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        m, s = self.moments(gradients, state)
        largest = tree.map(backend.xp.maximum, state["largest"], s)
        params = self.descend_from(backend, m, largest, state, params)
        return params, {"step": state["step"] + 1, "m": m, "s": s, "largest": largest}


@dataclass(frozen=True)
class RAdam(Adam):
    """Adam whose first steps do not divide by √s, as a mean of few squares varies too much.

    The mean ŝ of t squares varies as a plain mean of about ρ_t squares does, where

        ρ_t = 2 A_t - 1,    A_t = 1 + (1 - 1 / b_t) A_{t-1},    b_t = 1 + β₂ + ⋯ + β₂ᵗ⁻¹,

    and A_t is the weighted mean of the ages 1, ..., t of the squares: for equal weights, A_t is
    (t + 1) / 2 and ρ_t is t. In the end, ρ_t is ρ = 2 / (1 - β₂) - 1. If ρ_t > 5,

        θ ← θ - η r √(1 - β₂ᵗ) m̂ / (√s + ε),    r = √((ρ_t - 4) (ρ_t - 2) ρ / ((ρ - 4) (ρ - 2) ρ_t)),

    and else θ ← θ - η m̂. The source computes ρ_t as ρ - 2 t β₂ᵗ / (1 - β₂ᵗ), a difference of two large
    numbers; A_t keeps its digits in float32.
    Source: L. Liu et al., On the variance of the adaptive learning rate and beyond, ICLR 2020, algorithm
    2 and section 4; 5 in place of 4, and ε, as PyTorch has them.

    Raises:
        ValueError: a hyperparameter is out of range; or ρ is at most 5, as β₂ is at most 2/3.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self._longest() <= 5.0:
            raise ValueError(
                f"RAdam: expected beta_2 above 2/3, such as 0.999, got {self.beta_2}: no step would "
                "divide by √s; use SGD with momentum instead"
            )

    def init(self, params: Tree) -> Tree:
        """Return the step, m = 0, s = 0 and A = 0."""
        return super().init(params) | {"age": np.zeros_like(scalar_of_one(params))}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        m, s = self.moments(gradients, state)
        t = steps_done(backend, state, params) + 1.0
        age = 1.0 + (1.0 - 1.0 / sum_of_powers(backend, self.beta_2, t)) * state["age"]
        length = 2.0 * xp.reshape(age, ()) - 1.0
        divides = length > 5.0
        r = self._rectification(backend, xp.maximum(length, 5.0))
        c = xp.where(divides, r * xp.sqrt(one_minus_power(backend, self.beta_2, t)), xp.ones_like(r))
        direction = tree.map(lambda m, s: xp.where(divides, m / (xp.sqrt(s) + self.epsilon), m), m, s)
        scale = c / sum_of_powers(backend, self.beta_1, t)
        params = self.descend(backend, direction, state, params, scale=scale)
        return params, {"step": state["step"] + 1, "m": m, "s": s, "age": age}

    def _longest(self) -> float:
        """Return ρ."""
        return 2.0 / (1.0 - self.beta_2) - 1.0

    def _rectification(self, backend: Backend, length: Array) -> Array:
        """Return r for ρ_t, which is above 4."""
        longest = self._longest()
        in_the_end = (longest - 4.0) * (longest - 2.0) / longest
        return backend.xp.sqrt((length - 4.0) * (length - 2.0) / length / in_the_end)


@dataclass(frozen=True)
class NAdam(Adam):
    """Adam with Nesterov's momentum: θ ← θ - η m̂ / (√ŝ + ε) with a look ahead in m̂.

    m, s and ŝ are Adam's. The momentum warms up: μ_t = β₁ (1 - ½ 0.96^(t ψ)), and with Π_t = μ_1 ⋯ μ_t,

        m̂ = μ_{t+1} (1 - β₁) m / (1 - Π_{t+1}) + (1 - μ_t) g / (1 - Π_t),

    where (1 - β₁) m is the source's m. As in Adam, √ŝ = √s / c with c = √(1 - β₂ᵗ).
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
        """Return the step, m = 0, s = 0 and Π = 1."""
        return super().init(params) | {"product": scalar_of_one(params)}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        m, s = self.moments(gradients, state)
        t = steps_done(backend, state, params) + 1.0
        mu, next_mu = self._momentum(t), self._momentum(t + 1.0)
        product = state["product"] * mu
        so_far = xp.reshape(product, ())
        of_m = (1.0 - self.beta_1) * next_mu / (1.0 - so_far * next_mu)
        of_g = (1.0 - mu) / (1.0 - so_far)
        c = xp.sqrt(one_minus_power(backend, self.beta_2, t))
        epsilon = self.scaled_epsilon(c)
        direction = tree.map(
            lambda m, s, g: (of_m * m + of_g * g) / (xp.sqrt(s) + epsilon), m, s, gradients
        )
        params = self.descend(backend, direction, state, params, scale=c)
        return params, {"step": state["step"] + 1, "m": m, "s": s, "product": product}

    def _momentum(self, t: Array) -> Array:
        return self.beta_1 * (1.0 - 0.5 * 0.96 ** (self.momentum_decay * t))
