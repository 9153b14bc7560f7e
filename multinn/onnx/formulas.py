"""Formulas of layers as ONNX operators: an export computes what the layer computes.

Many operators of runtimes, such as LayerNormalization, Sigmoid or Elu, are faster than exact: they lose
digits far from 0 or near it. So the formula of a layer, which is written against the namespace of a
backend, runs here on edges of a graph, and each function adds an operator that no runtime approximates.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from backends import Backend, Shape, Tree, tree
from multinn.layers import Layer
from multinn.onnx.graph import Graph


@dataclass(frozen=True, eq=False)
class Edge:
    """An edge of a graph, with the arithmetic of an array.

    Attributes:
        graph: the graph.
        name: the name of the edge.
        shape: the shape without the batch, or () if the formula does not ask for it.
    """

    graph: Graph
    name: str
    shape: Shape = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the graph."""
        return np.dtype(self.graph.dtype)

    def add(self, operator: str, *others: "Edge | float", **attributes: Any) -> "Edge":
        """Add an operator of this edge and others, and return its output."""
        graph = self.graph
        names = [each.name if isinstance(each, Edge) else graph.constant(each) for each in others]
        return replace(self, name=graph.add(operator, self.name, *names, **attributes))

    def __neg__(self) -> "Edge":
        return self.add("Neg")

    def __add__(self, other: "Edge | float") -> "Edge":
        return self.add("Add", other)

    __radd__ = __add__

    def __sub__(self, other: "Edge | float") -> "Edge":
        return self.add("Sub", other)

    def __rsub__(self, other: float) -> "Edge":
        return Edge(self.graph, self.graph.constant(other)).add("Sub", self)

    def __mul__(self, other: "Edge | float") -> "Edge":
        return self.add("Mul", other)

    __rmul__ = __mul__

    def __matmul__(self, other: "Edge | float") -> "Edge":
        return self.add("MatMul", other)

    def __truediv__(self, other: "Edge | float") -> "Edge":
        return self.add("Div", other)

    def __rtruediv__(self, other: float) -> "Edge":
        return Edge(self.graph, self.graph.constant(other)).add("Div", self)

    def __ge__(self, other: "Edge | float") -> "Edge":
        return self.add("GreaterOrEqual", other)


def _function(operator: str) -> Callable[..., Edge]:
    return lambda x, *others: x.add(operator, *others)


def _mean(x: Edge, axis: int | tuple[int, ...], keepdims: bool) -> Edge:
    axes = axis if isinstance(axis, tuple) else (axis,)
    return x.add("ReduceMean", axes=axes, keepdims=int(keepdims))


def _astype(x: Edge, dtype: np.dtype[Any]) -> Edge:
    return x.add("Cast", to=dtype)


def expm1(x: Edge) -> Edge:
    """Return exp(x) - 1 = tanh(x / 2) (exp(x) + 1), without cancellation near 0."""
    return (0.5 * x).add("Tanh") * (x.add("Exp") + 1.0)


def _log1p(x: Edge) -> Edge:
    """Return log(1 + x) for finite x: with the rounded sum w = 1 + x, log(w) + (x - (w - 1)) / w.

    1 + x = w + r with r = x - (w - 1), which is exact, and log(w + r) = log(w) + r / w + O(r²).
    """
    w = 1.0 + x
    return w.add("Log") + (x - (w - 1.0)) / w


_XP = SimpleNamespace(
    abs=_function("Abs"),
    astype=_astype,
    exp=_function("Exp"),
    finfo=np.finfo,
    log1p=_log1p,
    maximum=_function("Max"),
    mean=_mean,
    minimum=_function("Min"),
    sqrt=_function("Sqrt"),
    tanh=_function("Tanh"),
)


def _sum_of_columns(x: Edge) -> Edge:
    product: Edge = x @ np.ones((x.shape[-1], 1), x.dtype)
    return product


# enough of a backend for the formulas
BACKEND = cast(Backend, SimpleNamespace(xp=_XP, sum_of_columns=_sum_of_columns))


def formula(layer: Layer, params: Tree, x: Edge) -> Edge:
    """Add the operators of a layer's forward pass, and return its output.

    Args:
        layer: a layer whose forward pass has only the functions of this file.
        params: its parameters, in shapes that broadcast to x.
        x: its input.
    """
    edges = tree.map_with_paths(lambda name, leaf: Edge(x.graph, x.graph.constant(leaf, name)), params)
    y: Edge = layer.forward(BACKEND, edges, x)[0]
    return y
