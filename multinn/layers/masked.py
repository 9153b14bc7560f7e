"""Sequences of different lengths in one array."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.descriptions.bounds import check_finite
from multinn.layers.base import Layer, Masked
from multinn.random import Key


def expand_mask(backend: Backend, mask: Array | None, dimensions: int) -> Array | None:
    """Return a mask (batch, time) with axes of length 1 appended, up to this number of axes."""
    if mask is None:
        return None
    return backend.xp.reshape(mask, (*mask.shape, *(1,) * (dimensions - mask.ndim)))


def zero_padding(backend: Backend, x: Array, mask: Array | None) -> Array:
    """Return x with zeros where the mask, which broadcasts to x, is False."""
    return x if mask is None else backend.xp.where(mask, x, backend.xp.zeros_like(x))


@dataclass(frozen=True)
class Masking(Layer):
    """y = x with a mask: a time step is padding if all its numbers equal ``padding``.

    Recurrent layers, attention and pooling over time then leave the padding out. As y = x, dx = dy.
    Shapes: x and y (batch, time, ...), the mask (batch, time).

    Attributes:
        padding: the number that fills padded steps.

    Raises:
        ValueError: the padding is not finite.
    """

    keeps_values: ClassVar[bool] = True

    padding: float = 0.0

    def __post_init__(self) -> None:
        check_finite(self, "padding")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and the shape unchanged."""
        if not input_shape:
            raise ValueError("Masking: expected sequences of shape (batch, time, ...), got (batch,)")
        return {}, input_shape

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return x with its mask, and no cache."""
        numbers = backend.xp.reshape(x, (*x.shape[:2], -1))
        return Masked(x, backend.xp.any(numbers != self.padding, axis=-1)), None

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy."""
        return dy, {}
