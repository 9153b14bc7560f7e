"""LAMB: Adam for large batches, with a step length for each array of parameters."""

from dataclasses import dataclass

from backends import Array, Backend, Tree, tree
from multinn.optimizers.adam import next_sums, zero_sums
from multinn.optimizers.base import (
    LearningRate,
    Optimizer,
    check_positive,
    check_rates,
    check_unit_interval,
    rate_now,
    steps_done,
    sum_of_powers,
)
from multinn.optimizers.norms import global_norm


@dataclass(frozen=True)
class LAMB(Optimizer):
    """u = m̂ / (√v̂ + ε) + λ θ, θ ← θ - η ‖θ‖ / ‖u‖ u, for each array of parameters θ by itself.

    m̂ and v̂ are Adam's. The weight decay is decoupled from them, and within the step whose length
    the ratio of the norms sets. Where one of the norms is 0, as that of a bias at first, the ratio is 1.
    Source: Y. You et al., Large batch optimization for deep learning, ICLR 2020, algorithm 2, with
    φ(z) = z.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    learning_rate: LearningRate = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
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
        xp = backend.xp
        t = steps_done(backend, state, params) + 1.0
        m, v = next_sums(gradients, state, self.beta_1, self.beta_2)
        c = xp.sqrt(sum_of_powers(backend, self.beta_2, t))
        scale, epsilon = c / sum_of_powers(backend, self.beta_1, t), self.epsilon * c
        rate = rate_now(self, backend, state, params)

        def step(p: Array, m: Array, v: Array) -> Array:
            u = scale * (m / (xp.sqrt(v) + epsilon)) + self.weight_decay * p
            return p - (rate * _trust_ratio(backend, p, u)) * u

        state = {"step": state["step"] + 1, "gradients": m, "squares": v}
        return tree.map(step, params, m, v), state


def _trust_ratio(backend: Backend, p: Array, u: Array) -> Array:
    """Return ‖p‖ / ‖u‖, or 1 where one of them is 0."""
    xp = backend.xp
    length_of_p, length_of_u = global_norm(backend, p), global_norm(backend, u)
    one = xp.ones_like(length_of_u)
    divisor = xp.where(length_of_u > 0.0, length_of_u, one)
    both = xp.logical_and(length_of_p > 0.0, length_of_u > 0.0)
    return xp.where(both, length_of_p / divisor, one)
