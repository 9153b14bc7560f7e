"""LAMB: Adam for large batches, with a step length for each array of parameters."""

from dataclasses import dataclass

from backends import Array, Backend, Tree, tree
from multinn.optimizers.adam import Adam
from multinn.optimizers.base import global_norm, rate_now


@dataclass(frozen=True)
class LAMB(Adam):
    """u = m̂ / (√v̂ + ε) + λ θ, θ ← θ - η ‖θ‖ / ‖u‖ u, for each array of parameters θ by itself.

    m̂ and v̂ are Adam's. The weight decay is decoupled from them, and within the step whose length
    the ratio of the norms sets. Where one of the norms is 0, as that of a bias at first, the ratio is 1.
    Source: Y. You et al., Large batch optimization for deep learning, ICLR 2020, algorithm 2, with
    φ(z) = z.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    epsilon: float = 1e-6

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        following, scale, epsilon = self.next_sums_and_factors(backend, gradients, state, params)
        rate = rate_now(self, backend, state, params)

        def step(p: Array, m: Array, v: Array) -> Array:
            u = scale * (m / (backend.xp.sqrt(v) + epsilon)) + self.weight_decay * p
            return p - (rate * _trust_ratio(backend, p, u)) * u

        return tree.map(step, params, following["gradients"], following["squares"]), following


def _trust_ratio(backend: Backend, p: Array, u: Array) -> Array:
    """Return ‖p‖ / ‖u‖, or 1 where p is 0; where u is, it does not count."""
    xp = backend.xp
    length_of_p, length_of_u = global_norm(backend, p), global_norm(backend, u)
    one = xp.ones_like(length_of_u)
    divisor = xp.where(length_of_u > 0.0, length_of_u, one)
    return xp.where(length_of_p > 0.0, length_of_p / divisor, one)
