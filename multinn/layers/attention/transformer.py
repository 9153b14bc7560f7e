"""The transformer block."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from backends import Shape, Tree
from multinn.descriptions.bounds import check_fractions, check_integers
from multinn.layers.activations.sigmoids import GELU
from multinn.layers.attention.multi_head import MultiHeadAttention
from multinn.layers.base import Layer
from multinn.layers.containers.branches import Residual
from multinn.layers.containers.sequential import Sequential
from multinn.layers.dense import Dense
from multinn.layers.dropout import Dropout
from multinn.layers.normalization.layer_norm import LayerNorm


@dataclass(frozen=True)
class TransformerBlock(Sequential):
    """h = x + D(f(N(x))) and y = h + D(g(N(h))): attention, then a perceptron on each step.

    f is MultiHeadAttention, N is LayerNorm, D is Dropout, and g(h) = φ(h W_1 + b_1) W_2 + b_2 is two
    fully connected layers with an activation φ. Without ``pre_normalization``, N normalizes the sums:
    h = N(x + D(f(x))) and y = N(h + D(g(h))). The block is a Sequential of Residual layers, and its
    parameters and gradients have that structure.
    Shapes: x and y (batch, time, features).
    Source: A. Vaswani et al., Attention is all you need, NIPS 2017, sections 3.1 and 5.4 (N last);
    R. Xiong et al., On layer normalization in the Transformer architecture, ICML 2020 (N first).

    Attributes:
        features: the number of features of x and y, at least 1.
        heads: the number of heads of the attention; each has the size features / heads.
        hidden_units: the outputs of the first fully connected layer, at least 1.
        dropout: the rate of D.
        causal: whether a step attends to no later step.
        activation: φ.
        pre_normalization: whether N comes first.
        layers: the layers of the Sequential.

    Raises:
        TypeError: the activation is no layer.
        ValueError: heads do not divide features, or a number is out of range.

    >>> model = Sequential([Dense(8), TransformerBlock(8, heads=2, hidden_units=32), Dense(3)])
    >>> model.init(np.random.default_rng(0), (5, 4))[1]
    (5, 3)
    """

    layers: tuple[Layer, ...] = field(default=(), init=False, repr=False, compare=False)
    features: int
    heads: int
    hidden_units: int
    dropout: float = 0.0
    causal: bool = False
    activation: Layer = GELU()
    pre_normalization: bool = True
    takes_tuple: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_integers(self, "features", "heads", "hidden_units")
        if self.features % self.heads:
            raise ValueError(
                f"TransformerBlock: expected features divisible by {self.heads} heads, got "
                f"{self.features}"
            )
        check_fractions(self, "dropout")
        if not isinstance(self.activation, Layer):
            raise TypeError(f"TransformerBlock: expected a layer as activation, got {self.activation!r}")
        attention: list[Layer] = [MultiHeadAttention(self.heads, causal=self.causal)]
        perceptron: list[Layer] = [Dense(self.hidden_units), self.activation, Dense(self.features)]
        layers = (*self._with_residual(attention), *self._with_residual(perceptron))
        object.__setattr__(self, "layers", layers)

    def _with_residual(self, part: list[Layer]) -> list[Layer]:
        last = Dropout(self.dropout)
        if self.pre_normalization:
            return [Residual(Sequential([LayerNorm(), *part, last]))]
        return [Residual(Sequential([*part, last])), LayerNorm()]

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw the parameters of the layers, in order, and return the shape unchanged."""
        if len(input_shape) != 2 or input_shape[1] != self.features:
            raise ValueError(
                f"TransformerBlock: expected inputs of shape (batch, time, {self.features}), got "
                f"{('batch', *input_shape)}; a Dense({self.features}) before it changes the last axis"
            )
        return super().init(generator, input_shape)
