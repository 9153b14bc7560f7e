"""The trained network of an estimator as plain layers, whose outputs are what people use."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from backends import Array, Backend, Tree
from multinn import onnx
from multinn.layers import Dense, Layer, Sequential, Sigmoid, Softmax
from multinn.layers.base import ParameterFree
from multinn.onnx import Graph, Value
from multinn.onnx.basic import dense
from multinn.random import Key
from multinn.sklearn.network import PenalizedDense
from multinn.training.program import ModelState


@dataclass(frozen=True)
class Exponential(ParameterFree):
    """y = exp(x), and dx = dy y."""

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and y."""
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


def plain_network(
    model: Sequential, state: ModelState, out_activation: str, *, classes: int | None
) -> tuple[Sequential, Tree, Tree]:
    """Return a model of layers of the library, with its parameters and the state of its layers.

    Args:
        model: of an estimator.
        state: its parameters and the state of its layers, as NumPy arrays.
        out_activation: what turns its outputs into probabilities or predictions.
        classes: how many of them share one output: 2, or 1; None if each has its own.
    """
    layers = [_plain(layer) for layer in model.layers]
    params, layer_state = list(state.params), list(state.layer_state)
    for index, layer in enumerate(model.layers):
        if isinstance(layer, PenalizedDense):
            layer_state[index] = {}
    if classes is not None:
        layers[-1], params[-1] = _of_classes(params[-1], classes)
        out_activation = "softmax"
    last = {"softmax": Softmax(), "logistic": Sigmoid(), "exp": Exponential()}.get(out_activation)
    if last is not None:
        layers.append(last)
        params.append({})
        layer_state.append({})
    return Sequential(layers), tuple(params), tuple(layer_state)


def _plain(layer: Layer) -> Layer:
    if not isinstance(layer, PenalizedDense):
        return layer
    values: dict[str, Any] = {field.name: getattr(layer, field.name) for field in fields(layer)}
    return Dense(**values)


def _of_classes(params: Tree, classes: int) -> tuple[Dense, Tree]:
    """Return a dense layer with a logit for each class: 0 before that of the positive one.

    exp(z) / (exp(0) + exp(z)) = σ(z); and of one class alone, the softmax is 1.
    """
    before = [(0, 0), (classes - 1, 0)]
    return Dense(classes), {"W": np.pad(params["W"], before), "b": np.pad(params["b"], before[1:])}
