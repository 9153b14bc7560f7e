"""The model of an estimator, and its initial parameters."""

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from backends import Array, Backend, Tree
from multinn.initializers import Zeros
from multinn.layers import (
    ELU,
    GELU,
    BatchNorm,
    Columns,
    Concatenate,
    Container,
    Dense,
    Dropout,
    Embedding,
    Flatten,
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
from multinn.sklearn.tables import FIRST, MISSING

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
    """Dense with the penalty a / (2 n) Σ_ij W_ij² in the loss, for a batch of n examples.

    ∂/∂W_ij of the penalty is a W_ij / n, which is added to dW. The strength a is the layer's state: it
    can change between fits without compiling again. Without a state there is no penalty.
    """

    def init_state(self, params: Tree) -> Tree:
        """Return the strength, 0 until `PenalizedTrainer.set_strength` changes it."""
        return {"strength": np.zeros((1,), params["W"].dtype)}

    def forward_with_state(
        self, backend: Backend, params: Tree, state: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y = x W + b, and the cache: x and the strength."""
        y, x = super().forward(backend, params, x, key)
        return y, (x, None if state is None else state["strength"])

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y = x W + b, and the cache without a strength: there is no penalty."""
        return self.forward_with_state(backend, params, None, x, key)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"W": xᵀ dy + a W / n, "b": Σ dy}."""
        x, strength = cache
        gradients = super().parameter_gradients(backend, params, x, dy)
        return _with_penalty(gradients, params, strength, dy.shape[0])


class CategoryEmbedding(Embedding):
    """An embedding of categories with the penalty a / (2 n) Σ W² of `PenalizedDense`.

    At inference, y_n = T_k with k = x_n. With c_k, the number of training examples of category k,
        T_k = W_k if c_k > 0, else Σ_j c_j W_j / Σ_j c_j
    A category without training examples, such as an unknown one, has the mean embedding of the training
    examples. In training, y_n = W_k, as each c_k > 0, and dW is that of `Embedding` plus the penalty's.

    The state holds a and c. Without a state, T = W, and there is no penalty.
    """

    def init_state(self, params: Tree) -> Tree:
        """Return the strength and the counts, 0 until the trainer sets them."""
        dtype = params["W"].dtype
        return {"strength": np.zeros((1,), dtype), "counts": np.zeros((self.vocabulary_size,), dtype)}

    def table(self, backend: Backend, W: Array, counts: Array) -> Array:
        """Return T; W if all counts are 0, before the first fit."""
        xp = backend.xp
        total = xp.sum(counts)
        shares = counts / xp.where(total > 0.0, total, xp.ones_like(total))
        kept = (xp.expand_dims(counts, axis=1) > 0.0) | (total <= 0.0)
        return xp.where(kept, W, shares @ W)

    def forward_with_state(
        self, backend: Backend, params: Tree, state: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and the cache: the ids and the strength."""
        if state is not None and key is None:
            params = {"W": self.table(backend, params["W"], state["counts"])}
        y, ids = super().forward(backend, params, x, key)
        return y, (ids, None if state is None else state["strength"])

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y with T = W, and the cache without a strength: there is no penalty."""
        return self.forward_with_state(backend, params, None, x, key)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = 0, and {"W": dW}."""
        dx = backend.xp.zeros(cache[0].shape, dtype=dy.dtype)
        return dx, self.parameter_gradients(backend, params, cache, dy)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"W": the sum of the rows of dy for each id, plus a W / n}."""
        ids, strength = cache
        gradients = super().parameter_gradients(backend, params, ids, dy)
        return _with_penalty(gradients, params, strength, dy.shape[0])


def _with_penalty(gradients: Tree, params: Tree, strength: Array | None, examples: int) -> Tree:
    """Return the gradients with a W / n added to dW."""
    if strength is None:
        return gradients
    return gradients | {"W": gradients["W"] + strength * (1.0 / examples) * params["W"]}


def table_layer(numbers: Sequence[int], categories: Iterable[tuple[int, int, int]]) -> Layer:
    """Return the first layer for a table: columns of numbers, and an embedding of each other column.

    Args:
        numbers: the columns of numbers.
        categories: (column, ids, length of an embedding) of each categorical column.
    """
    branches: list[Layer] = [Columns(tuple(numbers))] if numbers else []
    for column, ids, size in categories:
        embedding = CategoryEmbedding(ids, size, weight_initializer=Zeros())
        branches.append(Sequential([Columns((column,)), embedding, Flatten()]))
    return Concatenate(branches)


def embedded_columns(model: Any) -> dict[str, int]:
    """Return the column of each embedding, by the path of the embedding, such as "0.1.1"."""
    first = model.layers[0]
    branches = first.branches if isinstance(first, Concatenate) else ()
    return {
        f"0.{index}.1": branch.layers[0].columns[0]
        for index, branch in enumerate(branches)
        if isinstance(branch, Sequential) and isinstance(branch.layers[0], Columns)
    }


def part_at(parts: Any, path: str) -> Any:
    """Return the layer with this path in a model, or its entry in a tree such as the parameters."""
    for index in path.split("."):
        parts = (parts.children if isinstance(parts, Container) else parts)[int(index)]
    return parts


def penalized_paths(model: Any) -> list[str]:
    """Return the paths of the layers with a penalty: dense layers, then embeddings."""
    return [*map(str, dense_indices(model)), *embedded_columns(model)]


def build(
    hidden: Sequence[int],
    outputs: int,
    activation: Any,
    dropout: Any,
    *,
    batch_norm: bool,
    layer_norm: bool,
    first: Sequence[Layer] = (),
) -> Sequential:
    """Return the model: Dense, normalizations, activation and dropout for each hidden layer; then Dense.

    Args:
        hidden: the number of units of each hidden layer.
        outputs: the number of outputs.
        activation: a name, a layer, or one of these for each hidden layer.
        dropout: a rate, or one rate for each hidden layer.
        batch_norm: whether each hidden layer has a batch normalization.
        layer_norm: whether each hidden layer has a layer normalization.
        first: layers before all of these.

    Raises:
        ValueError: an activation is unknown, or there is not one activation or rate for each layer.
    """
    activations = _one_per_layer("activation", activation, len(hidden), (str, Layer))
    rates = _one_per_layer("dropout", dropout, len(hidden), (Real,))
    layers = list(first)
    for units, name, rate in zip(hidden, activations, rates, strict=True):
        layers.append(PenalizedDense(units))
        layers.extend([BatchNorm()] * batch_norm + [LayerNorm()] * layer_norm)
        layers.append(_activation(name))
        if rate:
            layers.append(Dropout(float(rate)))
    return Sequential([*layers, PenalizedDense(outputs)])


def dense_indices(model: Sequential) -> list[int]:
    """Return the indices of the dense layers."""
    return [index for index, layer in enumerate(model.layers) if isinstance(layer, PenalizedDense)]


def match_dropout(source: Any, target: Any, entries: Any) -> tuple[Tree, ...]:
    """Return the entries in the order of another model, which differs only in its Dropout layers.

    Args:
        source: the model of the entries.
        target: the other model.
        entries: a tree for each layer of ``source``, such as its parameters.
    """
    pairs = zip(source.layers, entries, strict=True)
    matched = [entry for layer, entry in pairs if not isinstance(layer, Dropout)]
    for index, layer in enumerate(target.layers):
        if isinstance(layer, Dropout):
            matched.insert(index, {})
    return tuple(matched)


def draw(model: Sequential, features: int, activation: Any, random_state: np.random.RandomState) -> Tree:
    """Return initial parameters. The dense layers get the same bits as in scikit-learn.

    Embeddings as long as there are categories begin as a one-hot encoding. The numbers of others are
    normal with the standard deviation 0.2: so small, rare categories begin alike, and so large, Adam
    trains the numbers of a category in different ways from the start, which it does not from zeros.
    W and b are uniform in [-√(6 / (fan-in + fan-out)), √(...)], with 2 instead of 6 for the logistic
    activation.
    Source: X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural
    networks, AISTATS 2010, equation 16.
    """
    params = list(model.init(np.random.default_rng(0), (features,))[0])
    factor = 2.0 if isinstance(activation, str) and activation == "logistic" else 6.0
    for index in dense_indices(model):
        shape = params[index]["W"].shape
        bound = math.sqrt(factor / sum(shape))
        W = random_state.uniform(-bound, bound, shape)
        params[index] = {"W": W, "b": random_state.uniform(-bound, bound, shape[1])}
    for path in embedded_columns(model):
        W = part_at(params, path)["W"]
        if len(W) - FIRST == W.shape[1]:
            W[FIRST:] = np.eye(W.shape[1])
        else:
            W[MISSING:] = random_state.normal(scale=0.2, size=W[MISSING:].shape)
    return tuple(params)


def _activation(activation: str | Layer) -> Layer:
    if isinstance(activation, Layer):
        return activation
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ValueError(f"activation: expected one of {known}, or a layer, got {activation!r}")
    return ACTIVATIONS[activation]


def _one_per_layer(name: str, value: Any, count: int, kinds: tuple[type, ...]) -> list[Any]:
    if isinstance(value, kinds):
        return [value] * count
    values = list(value) if isinstance(value, Iterable) else [value]
    if len(values) != count or not all(isinstance(each, kinds) for each in values):
        raise ValueError(
            f"{name}: expected one value, or one for each of {count} hidden layers, got {value!r}"
        )
    return values
