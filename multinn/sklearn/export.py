"""The trained network of an estimator as ordinary layers that output probabilities or predictions."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from backends import Array, Backend, Tree, get_backend
from multinn import onnx
from multinn.layers import Concatenate, Dense, Embedding, Layer, Sequential, Sigmoid, Softmax
from multinn.layers.base import ParameterFree
from multinn.onnx import Graph, Value
from multinn.onnx.basic import dense
from multinn.onnx.registry import convert
from multinn.random import Key
from multinn.sklearn.network import CategoryEmbedding, PenalizedDense, dense_indices
from multinn.training.program import ModelState


@dataclass(frozen=True)
class Exponential(ParameterFree):
    """y = exp(x), and dx = dy y."""

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, which is also the cache."""
        y = backend.xp.exp(x)
        return y, y

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy y."""
        return dy * cache, {}


@onnx.converts(Exponential, any_layout=True)
def _exponential(graph: Graph, layer: Exponential, params: Tree, state: Tree, x: Value) -> Value:
    return replace(x, name=graph.add("Exp", x.name))


@onnx.converts(PenalizedDense)
def _penalized_dense(graph: Graph, layer: Dense, params: Tree, state: Tree, x: Value) -> Value:
    return dense(graph, params, x)


@onnx.converts(CategoryEmbedding)
def _category_embedding(
    graph: Graph, layer: CategoryEmbedding, params: Tree, state: Tree, x: Value
) -> Any:
    embedding, params = _plain_embedding(layer, params, state)
    return convert(graph, embedding, params, {}, x)


def plain_network(
    model: Sequential, state: ModelState, out_activation: str, *, classes: int | None
) -> tuple[Sequential, Tree, Tree]:
    """Return a model of ordinary layers, its parameters and the state of its layers.

    Args:
        model: the model of an estimator.
        state: the parameters and the state of the layers, as NumPy arrays.
        out_activation: the activation to append, which turns outputs into probabilities or predictions.
        classes: the number of classes that share one output, 1 or 2; None if each has its own.
    """
    layers, params, layer_state = list(model.layers), list(state.params), list(state.layer_state)
    if isinstance(layers[0], Concatenate):
        layers[0], params[0] = _plain_table(layers[0], params[0], layer_state[0])
        layer_state[0] = layers[0].init_state(params[0])
    for index in dense_indices(model):
        layer = layers[index]
        layers[index] = Dense(**{field.name: getattr(layer, field.name) for field in fields(Dense)})
        layer_state[index] = {}
    if classes is not None:
        layers[-1], params[-1] = _one_output_per_class(params[-1], classes)
        out_activation = "softmax"
    last = {"softmax": Softmax(), "logistic": Sigmoid(), "exp": Exponential()}.get(out_activation)
    if last is not None:
        layers.append(last)
        params.append({})
        layer_state.append({})
    return Sequential(layers), tuple(params), tuple(layer_state)


def _plain_table(table: Concatenate, params: Tree, state: Tree) -> tuple[Concatenate, Tree]:
    """Return the first layer for a table with the embeddings of inference in ordinary layers."""
    branches: list[Layer] = list(table.branches)
    params = list(params)
    for index, branch in enumerate(branches):
        if isinstance(branch, Sequential):
            columns, embedding, flatten = branch.layers
            plain, own = _plain_embedding(embedding, params[index][1], state[index][1])
            branches[index], params[index] = Sequential([columns, plain, flatten]), ({}, own, {})
    return Concatenate(branches), tuple(params)


def _plain_embedding(layer: Any, params: Tree, state: Tree) -> tuple[Embedding, Tree]:
    """Return the embedding at inference as an ordinary layer."""
    W = params["W"]
    if state is not None:
        W = layer.table(get_backend("numpy:eager"), W, state["counts"])
    return Embedding(layer.vocabulary_size, layer.dimension), {"W": W}


def _one_output_per_class(params: Tree, classes: int) -> tuple[Dense, Tree]:
    """Return a dense layer with a logit for each class: 0 before the logit z of the positive class.

    The softmax is exp(z) / (exp(0) + exp(z)) = σ(z) for the positive class, and 1 for a single class.
    """
    before = [(0, 0), (classes - 1, 0)]
    return Dense(classes), {"W": np.pad(params["W"], before), "b": np.pad(params["b"], before[1:])}
