"""Dropout."""

from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn import random
from multinn.descriptions.bounds import check_fractions
from multinn.layers.base import ParameterFree
from multinn.random import Key


@dataclass(frozen=True)
class Dropout(ParameterFree):
    """While training, y = x m / (1 - rate) with a random mask m of zeros and ones; else y = x.

    Each m_i is 0 with probability ``rate``, so the expectation of y is x. As y_i is linear in x_i and
    depends on no other entry, dx = dy m / (1 - rate).
    Source: N. Srivastava et al., Dropout, JMLR 15, 2014, sections 4 and 10 (scaled while training).

    Attributes:
        rate: the fraction of entries set to zero, in [0, 1).

    Raises:
        ValueError: rate is outside [0, 1).
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        check_fractions(self, "rate")

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y and m / (1 - rate); at inference, x and None."""
        if key is None or self.rate == 0.0:
            return x, None
        kept = self._kept(backend, key, x.shape)
        scaled_mask = backend.xp.astype(kept, x.dtype) * (1.0 / (1.0 - self.rate))
        return x * scaled_mask, scaled_mask

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy m / (1 - rate)."""
        scaled_mask = cache
        return (dy if scaled_mask is None else dy * scaled_mask), {}

    def _kept(self, backend: Backend, key: Key, shape: Shape) -> Array:
        """Return m for an x of this shape, as booleans."""
        return random.bernoulli(backend, key, 1.0 - self.rate, shape)


@dataclass(frozen=True)
class SpatialDropout(Dropout):
    """Dropout of whole channels: y = x m / (1 - rate), with a mask m of shape (batch, 1, ..., channels).

    An example keeps or drops a channel at all pixels together. Dropping single pixels has little effect,
    as neighboring pixels are nearly equal. In sequences, all time steps keep or drop a feature together,
    which is variational dropout of inputs and outputs.
    Shapes: x and y (batch, ..., channels), with at least one axis between batch and channels.
    As in Dropout, dx = dy m / (1 - rate).
    Sources: J. Tompson et al., Efficient object localization using convolutional networks, CVPR 2015,
    section 3.2 (images); Y. Gal and Z. Ghahramani, A theoretically grounded application of dropout in
    recurrent neural networks, NeurIPS 2016, section 4 (sequences).

    Attributes:
        rate: the fraction of channels set to zero, in [0, 1).

    Raises:
        ValueError: rate is outside [0, 1).
    """

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and the shape unchanged."""
        if len(input_shape) < 2:
            raise ValueError(
                "SpatialDropout: expected images or sequences, of shape (batch, ..., channels), got "
                f"{('batch', *input_shape)}; use Dropout for inputs of shape (batch, features)"
            )
        return {}, input_shape

    def _kept(self, backend: Backend, key: Key, shape: Shape) -> Array:
        batch, *places, channels = shape
        # Drawn as (channels, batch), so that seeds give the masks of earlier versions.
        kept = backend.xp.permute_dims(super()._kept(backend, key, (channels, batch)), (1, 0))
        return backend.xp.reshape(kept, (batch, *(1 for _ in places), channels))
