"""Activation functions as ONNX operators."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backends import Tree
from multinn.layers import (
    ELU,
    GELU,
    HardSwish,
    Layer,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from multinn.onnx.formulas import Edge, expm1, formula
from multinn.onnx.graph import Graph, Value
from multinn.onnx.registry import converts


def _formula(layer: Layer, x: Edge) -> Edge:
    return formula(layer, {}, x)


def _leaky_relu(layer: LeakyReLU, x: Edge) -> Edge:
    """Return max(x, 0) + a min(x, 0) in float64, as attributes of operators are float32."""
    if x.dtype == "float32":
        return x.add("LeakyRelu", alpha=layer.negative_slope)
    return x.add("Max", 0.0) + layer.negative_slope * x.add("Min", 0.0)


def _elu(layer: ELU, x: Edge) -> Edge:
    """Return max(x, 0) + α (exp(min(x, 0)) - 1), as Where is slow in ONNX Runtime."""
    return x.add("Max", 0.0) + layer.alpha * expm1(x.add("Min", 0.0))


def _gelu(layer: GELU, x: Edge) -> Edge:
    """Return x (1 + erf(x / √2)) / 2 in float32: 7 times faster than the series of the layer.

    The difference is of the size of float32's rounding of x, like that of PyTorch, and so the largest
    relative one is far left of 0, where y is tiny. ONNX Runtime has no Erf in float64.
    """
    if layer.approximate == "tanh" or x.dtype == "float64":
        return formula(layer, {}, x)
    t = (x * math.sqrt(0.5)).add("Erf")
    return 0.5 * x * (t + 1.0)


_FORMULAS: dict[type[Layer], Callable[[Any, Edge], Edge]] = {
    **dict.fromkeys((HardSwish, Mish, Sigmoid, SiLU, Softplus, Softsign), _formula),
    ELU: _elu,
    GELU: _gelu,
    LeakyReLU: _leaky_relu,
    ReLU: lambda layer, x: x.add("Relu"),
    ReLU6: lambda layer, x: x.add("Clip", 0.0, 6.0),
    Tanh: lambda layer, x: x.add("Tanh"),
}


@converts(*_FORMULAS, any_layout=True)
def _elementwise(graph: Graph, layer: Layer, params: Tree, state: Tree, x: Value) -> Value:
    return replace(x, name=_FORMULAS[type(layer)](layer, Edge(graph, x.name)).name)


@converts(PReLU, any_layout=True)
def _prelu(graph: Graph, layer: PReLU, params: Tree, state: Tree, x: Value) -> Value:
    return replace(x, name=graph.add("PRelu", x.name, graph.per_channel(params["a"], x, "a")))


@converts(Softmax)
def _softmax(graph: Graph, layer: Softmax, params: Tree, state: Tree, x: Value) -> Value:
    return replace(x, name=graph.add("Softmax", x.name, axis=-1))
