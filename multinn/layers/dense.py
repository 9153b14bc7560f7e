"""The fully connected layer."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.initializers import Glorot, Initializer, Zeros
from multinn.layers.base import Layer
from multinn.random import Key


@dataclass(frozen=True)
class Dense(Layer):
    """y = x W + b, along the last axis.

    Shapes: x (batch, ..., inputs), W (inputs, units), b (units,), y (batch, ..., units).

    With dy = ∂L/∂y, and n running over all axes but the last, y_nj = Σ_i x_ni W_ij + b_j gives
        ∂L/∂x_ni = Σ_j dy_nj W_ij      dx = dy Wᵀ
        ∂L/∂W_ij = Σ_n x_ni dy_nj      dW = xᵀ dy
        ∂L/∂b_j  = Σ_n dy_nj           db = the sum of the rows of dy
    Source: D. E. Rumelhart, G. E. Hinton and R. J. Williams, Learning representations by
    back-propagating errors, Nature 323, 1986, equations 4 to 7.

    Attributes:
        units: the number of outputs, at least 1.
        use_bias: whether b is added.
        weight_initializer: draws W.
        bias_initializer: draws b.

    Raises:
        ValueError: units is below 1.
    """

    units: int
    use_bias: bool = True
    weight_initializer: Initializer = Glorot()
    bias_initializer: Initializer = Zeros()

    def __post_init__(self) -> None:
        if not isinstance(self.units, Integral) or self.units < 1:
            raise ValueError(f"Dense: expected units of at least 1, got {self.units!r}")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W (inputs, units) and, with a bias, b (units,)."""
        if not input_shape or input_shape[-1] < 1:
            raise ValueError(
                f"Dense: expected inputs of shape (batch, ..., features), got {('batch', *input_shape)}"
            )
        inputs = input_shape[-1]
        fans = (inputs, self.units)
        params = {"W": self.weight_initializer(generator, (inputs, self.units), *fans)}
        if self.use_bias:
            params["b"] = self.bias_initializer(generator, (self.units,), *fans)
        return params, (*input_shape[:-1], self.units)

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y = x W + b, and x."""
        y = x @ params["W"]
        return (y + params["b"] if self.use_bias else y), x

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy Wᵀ, and {"W": xᵀ dy, "b": Σ dy}."""
        dx = dy @ params["W"].T
        return dx, self.parameter_gradients(backend, params, cache, dy)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"W": xᵀ dy, "b": Σ dy}."""
        xp = backend.xp
        x = _rows(backend, cache)
        dy = _rows(backend, dy)
        gradients = {"W": x.T @ dy}
        if self.use_bias:
            gradients["b"] = xp.sum(dy, axis=0)
        return gradients


def _rows(backend: Backend, x: Array) -> Array:
    """Return x as a matrix: all axes but the last become one."""
    return x if x.ndim == 2 else backend.xp.reshape(x, (-1, x.shape[-1]))
