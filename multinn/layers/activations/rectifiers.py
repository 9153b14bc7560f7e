"""Rectifiers: activation functions that pass positive inputs and damp negative ones.

x is the input of any shape, y = f(x) the output of the same shape, and dy = ∂L/∂y. For an elementwise f
the chain rule is dx = dy f'(x), so each docstring derives only f'.
"""

from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.descriptions.bounds import check_finite, check_nonnegative, check_positive
from multinn.layers.base import Layer, ParameterFree, check_features, sum_of_rows
from multinn.random import Key


@dataclass(frozen=True)
class ReLU(ParameterFree):
    """y = max(x, 0).

    f'(x) is 1 for x > 0 and 0 for x < 0. At 0 it is undefined and taken as 0, as usual. As y > 0 if and
    only if x > 0, dx = dy where y > 0, else 0.
    """

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, which is also the cache."""
        y = backend.xp.maximum(x, 0.0)
        return y, y

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy where y > 0, else 0."""
        y = cache
        return dy * backend.xp.astype(y > 0.0, dy.dtype), {}


@dataclass(frozen=True)
class ReLU6(ParameterFree):
    """y = min(max(x, 0), 6).

    f'(x) is 1 for 0 < x < 6 and 0 outside. At 0 and 6 it is undefined and taken as 0. As 0 < y < 6 if
    and only if 0 < x < 6, dx = dy where 0 < y < 6, else 0.
    Source: A. Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010.
    """

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, which is also the cache."""
        y = backend.xp.minimum(backend.xp.maximum(x, 0.0), 6.0)
        return y, y

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy where 0 < y < 6, else 0."""
        y = cache
        return dy * backend.xp.astype((y > 0.0) & (y < 6.0), dy.dtype), {}


@dataclass(frozen=True)
class LeakyReLU(ParameterFree):
    """y = x for x > 0, else a x, where a is the negative slope.

    f'(x) is 1 for x > 0 and a for x < 0. At 0 it is undefined and taken as a.
    Source: A. L. Maas, A. Y. Hannun and A. Y. Ng, Rectifier nonlinearities improve neural network
    acoustic models, ICML 2013, equation 2.

    Raises:
        ValueError: negative_slope is negative or not finite.
    """

    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        check_nonnegative(self, "negative_slope")

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and x."""
        return backend.xp.where(x > 0.0, x, self.negative_slope * x), x

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy where x > 0, else a dy."""
        x = cache
        return backend.xp.where(x > 0.0, dy, self.negative_slope * dy), {}


@dataclass(frozen=True)
class PReLU(Layer):
    """y = x for x > 0, else a x, with a learned slope a for each feature or channel.

    Shapes: x and y (batch, ..., channels), a (channels,).

    ∂y/∂x is 1 for x > 0 and a for x < 0. At 0 it is undefined and taken as a.
    ∂y/∂a is min(x, 0), so da = Σ dy min(x, 0), over all axes but the last.
    Source: K. He, X. Zhang, S. Ren and J. Sun, Delving deep into rectifiers, ICCV 2015, section 2.1.

    Attributes:
        initial_slope: the initial value of a for all channels, finite.

    Raises:
        ValueError: initial_slope is not finite.
    """

    initial_slope: float = 0.25

    def __post_init__(self) -> None:
        check_finite(self, "initial_slope")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return a (channels,), each the initial slope, and the shape unchanged."""
        return {"a": np.full(check_features(self, input_shape), self.initial_slope)}, input_shape

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and x."""
        return backend.xp.where(x > 0.0, x, params["a"] * x), x

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy where x > 0, else a dy, and {"a": Σ dy min(x, 0)}."""
        x = cache
        dx = backend.xp.where(x > 0.0, dy, params["a"] * dy)
        return dx, self.parameter_gradients(backend, params, cache, dy)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"a": Σ dy min(x, 0)}."""
        x = cache
        return {"a": sum_of_rows(backend, dy * backend.xp.minimum(x, 0.0))}


@dataclass(frozen=True)
class ELU(ParameterFree):
    """y = x for x > 0, else α (exp(x) - 1).

    f'(x) is 1 for x > 0, else α exp(x) = y + α. As α > 0, y > 0 if and only if x > 0.
    Source: D.-A. Clevert, T. Unterthiner and S. Hochreiter, Fast and accurate deep network learning by
    exponential linear units, ICLR 2016, section 3.

    Raises:
        ValueError: alpha is not positive and finite.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, "alpha")

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, which is also the cache."""
        xp = backend.xp
        y = xp.where(x > 0.0, x, self.alpha * xp.expm1(xp.minimum(x, 0.0)))
        return y, y

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy where y > 0, else dy (y + α)."""
        y = cache
        return backend.xp.where(y > 0.0, dy, dy * (y + self.alpha)), {}


@dataclass(frozen=True)
class HardSwish(ParameterFree):
    """y = x g with g = min(max(x + 3, 0), 6) / 6: swish with a piecewise linear sigmoid.

    g' is 1 / 6 for -3 < x < 3, where 0 < g < 1, and 0 outside. At -3 and 3 it is undefined and taken as
    0. So dx = dy (g + x g').
    Source: A. Howard et al., Searching for MobileNetV3, ICCV 2019, section 5.2.
    """

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y = x g, and (x, g)."""
        xp = backend.xp
        g = xp.minimum(xp.maximum(x + 3.0, 0.0), 6.0) / 6.0
        return x * g, (x, g)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy (g + x g')."""
        x, g = cache
        between = backend.xp.astype((g > 0.0) & (g < 1.0), x.dtype)
        return dy * (g + x * (between / 6.0)), {}
