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
from multinn.onnx.graph import Graph, Value
from multinn.onnx.registry import converts

_OPERATORS: dict[type[Layer], str] = {ReLU: "Relu", Sigmoid: "Sigmoid", Tanh: "Tanh"}
_GELU_SCALE = math.sqrt(2.0 / math.pi)
_GELU_CUBIC = 0.044715


def _operator(graph: Graph, layer: Any, x: str) -> str:
    return graph.add(_OPERATORS[type(layer)], x)


def _softplus(graph: Graph, layer: Softplus | Mish, x: str) -> str:
    return graph.add_in_float32("Softplus", x)


def _softsign(graph: Graph, layer: Softsign, x: str) -> str:
    return graph.add_in_float32("Softsign", x)


def _relu6(graph: Graph, layer: ReLU6, x: str) -> str:
    return graph.add("Clip", x, graph.constant(0.0), graph.constant(6.0))


def _leaky_relu(graph: Graph, layer: LeakyReLU, x: str) -> str:
    return graph.add("LeakyRelu", x, alpha=layer.negative_slope)


def _elu(graph: Graph, layer: ELU, x: str) -> str:
    return graph.add_in_float32("Elu", x, alpha=layer.alpha)


def _silu(graph: Graph, layer: SiLU, x: str) -> str:
    """Return x σ(x), or x / (1 + exp(-x)) in float64.

    In float64, some versions of ONNX Runtime, such as 1.23, fuse x σ(x) into an operator that they have
    only in float32.
    """
    if graph.dtype == "float64":
        exponential = graph.add("Exp", graph.add("Neg", x))
        return graph.add("Div", x, graph.add("Add", exponential, graph.constant(1.0)))
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def _mish(graph: Graph, layer: Mish, x: str) -> str:
    return graph.add("Mul", x, graph.add("Tanh", _softplus(graph, layer, x)))


def _hard_swish(graph: Graph, layer: HardSwish, x: str) -> str:
    shifted = graph.add("Add", x, graph.constant(3.0))
    clipped = graph.add("Clip", shifted, graph.constant(0.0), graph.constant(6.0))
    return graph.add("Mul", x, graph.add("Div", clipped, graph.constant(6.0)))


def _gelu(graph: Graph, layer: GELU, x: str) -> str:
    """Return x (1 + t) / 2 with t = erf(x / √2), or t = tanh(u) if approximate."""
    if layer.approximate == "none":
        t = graph.add_in_float32("Erf", graph.add("Mul", x, graph.constant(math.sqrt(0.5))))
    else:
        cubic = graph.add("Mul", graph.add("Mul", x, x), graph.constant(_GELU_CUBIC))
        factor = graph.add("Add", cubic, graph.constant(1.0))
        u = graph.add("Mul", graph.add("Mul", x, factor), graph.constant(_GELU_SCALE))
        t = graph.add("Tanh", u)
    half = graph.add("Mul", x, graph.constant(0.5))
    return graph.add("Mul", half, graph.add("Add", t, graph.constant(1.0)))


_FORMULAS: dict[type[Layer], Callable[[Graph, Any, str], str]] = {
    **dict.fromkeys(_OPERATORS, _operator),
    ELU: _elu,
    GELU: _gelu,
    HardSwish: _hard_swish,
    LeakyReLU: _leaky_relu,
    Mish: _mish,
    ReLU6: _relu6,
    SiLU: _silu,
    Softplus: _softplus,
    Softsign: _softsign,
}


@converts(*_FORMULAS, any_layout=True)
def _elementwise(graph: Graph, layer: Layer, params: Tree, state: Tree, x: Value) -> Value:
    return replace(x, name=_FORMULAS[type(layer)](graph, layer, x.name))


@converts(PReLU, any_layout=True)
def _prelu(graph: Graph, layer: PReLU, params: Tree, state: Tree, x: Value) -> Value:
    return replace(x, name=graph.add("PRelu", x.name, graph.per_channel(params["a"], x, "a")))


@converts(Softmax)
def _softmax(graph: Graph, layer: Softmax, params: Tree, state: Tree, x: Value) -> Value:
    return replace(x, name=graph.add("Softmax", x.name, axis=-1))
