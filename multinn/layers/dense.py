"""The fully connected layer."""

from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.descriptions.bounds import check_integers
from multinn.initializers import Glorot, Initializer, Zeros
from multinn.layers.base import Layer, as_matrix, check_features
from multinn.random import Key


@dataclass(frozen=True)
class Dense(Layer):
    """y = x W + b, along the last axis.

    Shapes: x (batch, ..., inputs), W (inputs, units), b (units,), y (batch, ..., units).

    With dy = ∂L/∂y, and the index n over all axes but the last, y_nj = Σ_i x_ni W_ij + b_j gives
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
        check_integers(self, "units")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W (inputs, units) and, with a bias, b (units,)."""
        fans = (check_features(self, input_shape), self.units)
        params = {"W": self.weight_initializer(generator, fans, *fans)}
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
        dx = input_gradient(backend, dy, params["W"])
        return dx, self.parameter_gradients(backend, params, cache, dy)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"W": xᵀ dy, "b": Σ dy}."""
        x, dy = as_matrix(backend, cache), as_matrix(backend, dy)
        gradients = {"W": x.T @ dy}
        if self.use_bias:
            gradients["b"] = backend.xp.sum(dy, axis=0)
        return gradients


def input_gradient(backend: Backend, dy: Array, W: Array) -> Array:
    """Return dx = dy Wᵀ, (batch, ..., inputs), for dy (batch, ..., units), as one matrix product."""
    dx = as_matrix(backend, dy) @ W.T
    return dx if dy.ndim == 2 else backend.xp.reshape(dx, (*dy.shape[:-1], W.shape[0]))
