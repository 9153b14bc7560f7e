"""Layers without parameters that rearrange or rescale: Flatten, Identity, Rescale."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree
from multinn.descriptions.bounds import check_finite
from multinn.layers.base import Layer, ParameterFree
from multinn.random import Key


@dataclass(frozen=True)
class Flatten(Layer):
    """y = x with all axes but the batch joined: (batch, a, b, ...) becomes (batch, a b ...).

    The order of the numbers stays the same, so dx is dy in the shape of x.
    """

    mixes_steps: ClassVar[bool] = True
    keeps_values: ClassVar[bool] = True

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and the product of the lengths."""
        return {}, (math.prod(input_shape),)

    def kept_values(self, inputs: HostArray) -> HostArray:
        """Return y, as the next layer may choose columns of it."""
        return inputs.reshape(len(inputs), math.prod(inputs.shape[1:]))

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and x."""
        return backend.xp.reshape(x, (x.shape[0], math.prod(x.shape[1:]))), x

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dy in the shape of x."""
        return backend.xp.reshape(dy, cache.shape), {}


@dataclass(frozen=True)
class Identity(ParameterFree):
    """y = x, and so dx = dy."""

    takes_tuple: ClassVar[bool] = True
    keeps_values: ClassVar[bool] = True

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return x, and no cache."""
        return x, None

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy."""
        return dy, {}


@dataclass(frozen=True)
class Rescale(ParameterFree):
    """y = scale x + offset, elementwise, with constants instead of parameters.

    As ∂y_i/∂x_i = scale, dx = scale dy.

    As the first layer of a model, it takes images of bytes: the defaults map 0 to 255 onto 0 to 1. The
    trainer then stores bytes, and converts one batch at a time to floats.

    Attributes:
        scale: the factor.
        offset: the summand.

    Raises:
        ValueError: scale or offset is not finite.

    >>> import numpy as np
    >>> from backends import get_backend
    >>> Rescale().forward(get_backend("numpy"), {}, np.array([[0.0, 51.0, 255.0]]))[0].tolist()
    [[0.0, 0.2, 1.0]]
    """

    scale: float = 1.0 / 255.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        check_finite(self, "scale", "offset")

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y = scale x + offset, and None."""
        y = x * self.scale
        return (y + self.offset if self.offset else y), None

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = scale dy."""
        return dy * self.scale, {}
