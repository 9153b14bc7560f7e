"""Dropout."""

from dataclasses import dataclass

from backends import Array, Backend, Tree
from multinn import random
from multinn.layers.base import ParameterFree
from multinn.random import Key


@dataclass(frozen=True)
class Dropout(ParameterFree):
    """While training, y = x m / (1 - rate) with a random mask m of zeros and ones; else y = x.

    Each m_i is 0 with probability ``rate``, so that the expectation of y is x. As y_i is linear in x_i
    alone, dx = dy m / (1 - rate).
    Source: N. Srivastava et al., Dropout, JMLR 15, 2014, sections 4 and 10 (scaled while training).

    Attributes:
        rate: the fraction of entries set to zero, in [0, 1).

    Raises:
        ValueError: rate is outside [0, 1).
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.rate < 1.0:
            raise ValueError(f"Dropout: expected a rate in [0, 1), got {self.rate}")

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y and m / (1 - rate); at inference, x and None."""
        if key is None or self.rate == 0.0:
            return x, None
        xp = backend.xp
        kept = random.bernoulli(backend, key, 1.0 - self.rate, x.shape)
        scaled_mask = xp.astype(kept, x.dtype) * (1.0 / (1.0 - self.rate))
        return x * scaled_mask, scaled_mask

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy m / (1 - rate)."""
        scaled_mask = cache
        return (dy if scaled_mask is None else dy * scaled_mask), {}
