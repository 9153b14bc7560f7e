"""LAMB: Adam for large batches, with a step length for each array of parameters."""

from dataclasses import dataclass

from backends import Array, Backend, Tree, tree
from multinn.optimizers.adam import Adam
from multinn.optimizers.base import global_norm


@dataclass(frozen=True)
class LAMB(Adam):
    """u = m̂ / (√v̂ + ε) + λ θ, θ ← θ - η ‖θ‖ / ‖u‖ u, separately for each array θ of parameters.

    m̂ and v̂ are Adam's. The weight decay λ θ is not part of them, but it is part of u, whose length
    does not matter. Where one of the norms is 0, as for a bias at first, the ratio is 1.
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
            return p - (rate * _trust_ratio(backend, p, u)) * u

        return tree.map(step, params, direction)


def _trust_ratio(backend: Backend, p: Array, u: Array) -> Array:
    """Return ‖p‖ / ‖u‖, or 1 where p is 0, or ‖p‖ where u is 0: the step is then 0 anyway."""
    xp = backend.xp
    length_of_p, length_of_u = global_norm(backend, p), global_norm(backend, u)
    one = xp.ones_like(length_of_u)
    divisor = xp.where(length_of_u > 0.0, length_of_u, one)
    return xp.where(length_of_p > 0.0, length_of_p / divisor, one)
