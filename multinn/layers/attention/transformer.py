"""The transformer block."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backends import Shape, Tree
from multinn.descriptions.bounds import check_fractions, check_integers
from multinn.host.trees import is_one_shape
from multinn.layers.activations.sigmoids import GELU
from multinn.layers.attention.multi_head import MultiHeadAttention
from multinn.layers.base import Layer
from multinn.layers.containers.branches import Add, Parallel, Residual
from multinn.layers.containers.sequential import Sequential
from multinn.layers.dense import Dense
from multinn.layers.dropout import Dropout
from multinn.layers.normalization.layer_norm import LayerNorm
from multinn.layers.select import Select


@dataclass(frozen=True)
class TransformerBlock(Sequential):
    """h = x + D(f(N(x))) and y = h + D(g(N(h))): attention, then a perceptron on each step.

    f is MultiHeadAttention, N is LayerNorm, D is Dropout, and g(h) = φ(h W_1 + b_1) W_2 + b_2 is two
    fully connected layers with an activation φ. Without ``pre_normalization``, N normalizes the sums:
    h = N(x + D(f(x))) and y = N(h + D(g(h))). The block is a Sequential of Residual layers, and its
    parameters and gradients have that structure.
    Shapes: x and y (batch, time, features).

    With ``cross_attention``, the input is a pair (x, C) with a context C (batch, time of C, features of
    C), such as a text that is translated, and k is a second MultiHeadAttention, from h to C:
    c = h + D(k(N(h), C)) and y = c + D(g(N(c))), or with N last c = N(h + D(k(h, C))) and
    y = N(c + D(g(c))).
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
        cross_attention: whether the steps also attend to those of a context; they see all of them.
        layers: the layers of the Sequential.

    Raises:
        TypeError: the activation is no layer.
        ValueError: heads do not divide features, or a number is out of range.

    >>> model = Sequential([Dense(8), TransformerBlock(8, heads=2, hidden_units=32), Dense(3)])
    >>> model.init(np.random.default_rng(0), (5, 4))[1]
    (5, 3)
    >>> decoder = TransformerBlock(8, heads=2, hidden_units=32, causal=True, cross_attention=True)
    >>> two = Sequential([Parallel([decoder, Select(1)]), decoder])
    >>> two.init(np.random.default_rng(0), ((5, 8), (7, 8)))[1]
    (5, 8)
    """

    layers: tuple[Layer, ...] = field(default=(), init=False, repr=False, compare=False)
    features: int
    heads: int
    hidden_units: int
    dropout: float = 0.0
    causal: bool = False
    activation: Layer = GELU()
    pre_normalization: bool = True
    cross_attention: bool = False

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
        attention = self._with_residual([MultiHeadAttention(self.heads, causal=self.causal)])
        if self.cross_attention:
            attention = [Parallel([Sequential([Select(0), *attention]), Select(1)]), *self._across()]
        perceptron: list[Layer] = [Dense(self.hidden_units), self.activation, Dense(self.features)]
        object.__setattr__(self, "layers", (*attention, *self._with_residual(perceptron)))

    @property
    def takes_tuple(self) -> bool:  # type: ignore[override]  # it depends on a hyperparameter
        """Whether the input is a pair."""
        return self.cross_attention

    def _with_residual(self, part: list[Layer]) -> list[Layer]:
        last = Dropout(self.dropout)
        if self.pre_normalization:
            return [Residual(Sequential([LayerNorm(), *part, last]))]
        return [Residual(Sequential([*part, last])), LayerNorm()]

    def _across(self) -> list[Layer]:
        """Return the layers from a pair (h, C) to c."""
        part: list[Layer] = [MultiHeadAttention(self.heads), Dropout(self.dropout)]
        if self.pre_normalization:
            normalized = Parallel([Sequential([Select(0), LayerNorm()]), Select(1)])
            return [Add([Select(0), Sequential([normalized, *part])])]
        return [Add([Select(0), Sequential(part)]), LayerNorm()]

    def init(self, generator: np.random.Generator, input_shape: Any) -> tuple[Tree, Shape]:
        """Draw the parameters of the layers, in order, and return the shape of x."""
        shape = input_shape
        if self.cross_attention:
            if not (isinstance(shape, tuple) and len(shape) == 2 and all(map(is_one_shape, shape))):
                raise ValueError(
                    "TransformerBlock: expected with cross_attention a pair (x, context) of arrays, got "
                    f"{shape}, without the batch; make a pair with Parallel"
                )
            shape = shape[0]
        if len(shape) != 2 or shape[1] != self.features:
            raise ValueError(
                f"TransformerBlock: expected inputs of shape (batch, time, {self.features}), got "
                f"{('batch', *shape)}; a Dense({self.features}) before it changes the last axis"
            )
        return super().init(generator, input_shape)
