"""Sequences of different lengths in one array."""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.layers.base import Layer
from multinn.random import Key


class Masked(NamedTuple):
    """What flows from layer to layer, with a mask of what counts.

    Layers that know nothing of masks get the values, and the mask is handed on beside their outputs.
    Those that would mix padding into steps that count, such as windowed pooling, are refused.
    A loss, and a metric, see all values: to leave out padding there, they need an ``ignored_class``.
    Gradients are with respect to the values, and have no mask.

    Attributes:
        values: (batch, time, ...), some of it padding.
        mask: (batch, time) booleans, False where the values are padding.
    """

    values: Array
    mask: Array


def values_of(x: Array | Masked) -> Array:
    """Return the values, with or without a mask."""
    return x.values if isinstance(x, Masked) else x


def mask_of(x: Array | Masked) -> Array | None:
    """Return the mask, or None where all counts."""
    return x.mask if isinstance(x, Masked) else None


def with_mask(values: Array, mask: Array | None) -> Array | Masked:
    """Return the values with that mask, if there is one."""
    return values if mask is None else Masked(values, mask)


@dataclass(frozen=True)
class Masking(Layer):
    """y = x, in which a time step counts unless each of its numbers is the padding.

    So the layers that follow leave padding out: recurrent layers, attention, pooling over time. As y is
    x, dx = dy.
    Shapes: x (batch, time, ...) and y alike, the mask (batch, time).

    Attributes:
        padding: the number that padding is made of.

    Raises:
        ValueError: the padding is not finite.
    """

    keeps_values: ClassVar[bool] = True

    padding: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.padding):
            raise ValueError(f"Masking: expected a finite number as padding, got {self.padding}")

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
