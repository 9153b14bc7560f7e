"""Flatten."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.layers.base import Layer
from multinn.random import Key


@dataclass(frozen=True)
class Flatten(Layer):
    """y = x with all axes but the batch joined: (batch, a, b, ...) becomes (batch, a b ...).

    The same numbers in the same order, so dx is dy in the shape of x.
    """

    mixes_steps: ClassVar[bool] = True
    keeps_values: ClassVar[bool] = True

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and the product of the shape."""
        return {}, (math.prod(input_shape),)

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and x."""
        return backend.xp.reshape(x, (x.shape[0], math.prod(x.shape[1:]))), x

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dy in the shape of x."""
        return backend.xp.reshape(dy, cache.shape), {}
