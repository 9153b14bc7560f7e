"""From the parameters of an estimator to a model, and its first parameters."""

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from backends import Array, Backend, Tree
from multinn.layers import (
    ELU,
    GELU,
    BatchNorm,
    Dense,
    Dropout,
    HardSwish,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Mish,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)
from multinn.random import Key

ACTIVATIONS: dict[str, Layer] = {
    "identity": Identity(),
    "logistic": Sigmoid(),
    "tanh": Tanh(),
    "relu": ReLU(),
    "elu": ELU(),
    "gelu": GELU(),
    "hard_swish": HardSwish(),
    "leaky_relu": LeakyReLU(),
    "mish": Mish(),
    "silu": SiLU(),
    "softplus": Softplus(),
    "softsign": Softsign(),
}


class PenalizedDense(Dense):
    """Dense, where the loss has the term a / (2 n) Σ_ij W_ij² for a batch of n examples.

    ∂/∂W_ij of that is a W_ij / n, which is added to dW. The strength a is the layer's state: it can
    change from fit to fit without another program. Without a state there is no such term.
    """

    def init_state(self, params: Tree) -> Tree:
        """Return a strength of 0."""
        return {"strength": np.zeros((1,), params["W"].dtype)}

    def forward_with_state(
        self, backend: Backend, params: Tree, state: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y = x W + b, and x and the strength."""
        y, x = super().forward(backend, params, x, key)
        return y, (x, None if state is None else state["strength"])

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return what `forward_with_state` does without a state."""
        return self.forward_with_state(backend, params, None, x, key)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"W": xᵀ dy + a W / n, "b": Σ dy}."""
        x, strength = cache
        gradients = super().parameter_gradients(backend, params, x, dy)
        if strength is None:
            return gradients
        return gradients | {"W": gradients["W"] + strength * (1.0 / dy.shape[0]) * params["W"]}


def build(
    hidden: Sequence[int],
    outputs: int,
    activation: Any,
    dropout: Any,
    *,
    batch_norm: bool,
    layer_norm: bool,
) -> Sequential:
    """Return the model: for each hidden layer Dense, the normalizations, its activation, dropout.

    Args:
        hidden: the units of each hidden layer.
        outputs: those of the last.
        activation: a name, a layer, or one of these for each hidden layer.
        dropout: a rate, or one for each hidden layer.
        batch_norm: whether each hidden layer has a batch normalization.
        layer_norm: likewise, a layer normalization.

    Raises:
        ValueError: something is unknown, or there are not as many as hidden layers.
    """
    activations = _each("activation", activation, len(hidden), (str, Layer))
    rates = _each("dropout", dropout, len(hidden), (Real,))
    layers: list[Layer] = []
    for units, name, rate in zip(hidden, activations, rates, strict=True):
        layers.append(PenalizedDense(units))
        layers.extend([BatchNorm()] * batch_norm + [LayerNorm()] * layer_norm)
        layers.append(_activation(name))
        if rate:
            layers.append(Dropout(float(rate)))
    return Sequential([*layers, PenalizedDense(outputs)])


def dense_places(model: Sequential) -> list[int]:
    """Return the places of the dense layers among all."""
    return [index for index, layer in enumerate(model.layers) if isinstance(layer, PenalizedDense)]


def moved(before: Any, after: Any, entries: Any) -> tuple[Tree, ...]:
    """Return what is kept of each layer, for a model that may have dropout in other places.

    Args:
        before: the model of which it is kept.
        after: the model for which it is returned.
        entries: a tree for each layer of the model before.
    """
    kept = [
        entry
        for layer, entry in zip(before.layers, entries, strict=True)
        if not isinstance(layer, Dropout)
    ]
    for place, layer in enumerate(after.layers):
        if isinstance(layer, Dropout):
            kept.insert(place, {})
    return tuple(kept)


def draw(model: Sequential, features: int, activation: Any, random_state: np.random.RandomState) -> Tree:
    """Return first parameters: of the dense layers those that scikit-learn draws, to the bit.

    W and b are uniform in [-√(6 / (fan-in + fan-out)), √(...)], with 2 in place of 6 for the logistic
    activation.
    Source: X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural
    networks, AISTATS 2010, equation 16.
    """
    params = list(model.init(np.random.default_rng(0), (features,))[0])
    factor = 2.0 if isinstance(activation, str) and activation == "logistic" else 6.0
    for place in dense_places(model):
        shape = params[place]["W"].shape
        bound = math.sqrt(factor / sum(shape))
        W = random_state.uniform(-bound, bound, shape)
        params[place] = {"W": W, "b": random_state.uniform(-bound, bound, shape[1])}
    return tuple(params)


def _activation(activation: str | Layer) -> Layer:
    if isinstance(activation, Layer):
        return activation
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ValueError(f"activation: expected one of {known}, or a layer, got {activation!r}")
    return ACTIVATIONS[activation]


def _each(name: str, value: Any, count: int, kinds: tuple[type, ...]) -> list[Any]:
    """Return one value for each hidden layer."""
    if isinstance(value, kinds):
        return [value] * count
    values = list(value) if isinstance(value, Iterable) else [value]
    if len(values) != count or not all(isinstance(each, kinds) for each in values):
        raise ValueError(
            f"{name}: expected one value, or one for each of {count} hidden layers, got {value!r}"
        )
    return values
