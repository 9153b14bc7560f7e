"""Attention as ONNX operators: matrix products and softmax."""

import math

import numpy as np

from backends import Tree
from multinn.layers import MultiHeadAttention
from multinn.onnx.basic import dense
from multinn.onnx.graph import Graph, Value, Values
from multinn.onnx.registry import converts


@converts(MultiHeadAttention, takes_mask=True)
def _attention(graph: Graph, layer: MultiHeadAttention, params: Tree, state: Tree, x: Values) -> Value:
    queries, context = x if isinstance(x, tuple) else (x, x)
    assert isinstance(queries, Value)
    assert isinstance(context, Value)
    X, C = graph.with_channels_last(queries), graph.with_channels_last(context)
    size = params["query"]["W"].shape[1] // layer.heads
    Q, K, V = (
        _split(graph, dense(graph, params[name], value), layer.heads, size)
        for name, value in (("query", X), ("key", C), ("value", C))
    )
    Q = graph.add("Mul", Q, graph.constant(1.0 / math.sqrt(size), "scale"))
    S = graph.add("MatMul", Q, graph.add("Transpose", K, perm=(0, 1, 3, 2)))
    P = _weights(graph, layer, S, C)
    heads = graph.add("Transpose", graph.add("MatMul", P, V), perm=(0, 2, 1, 3))
    shape = (X.shape[0], layer.heads * size)
    A = Value(graph.reshape(heads, shape), shape, X.mask)
    return dense(graph, params["output"], A)


def _weights(graph: Graph, layer: MultiHeadAttention, S: str, context: Value) -> str:
    """Add P = softmax(S) over the visible steps; P is 0 where no step is visible."""
    time = context.shape[0]
    visible = None
    if context.mask is not None:
        visible = graph.cast(graph.reshape(context.mask, (1, 1, time)), graph.dtype)
    if layer.causal:
        earlier = graph.constant(np.tri(time), "earlier")
        visible = earlier if visible is None else graph.add("Mul", visible, earlier)
    if visible is None:
        return graph.add("Softmax", S, axis=-1)
    lowest = 0.25 * float(np.finfo(graph.dtype).min)
    hidden = graph.add("Sub", graph.constant(1.0), visible)
    S = graph.add("Add", S, graph.add("Mul", hidden, graph.constant(lowest, "lowest")))
    return graph.add("Mul", graph.add("Softmax", S, axis=-1), visible)


def _split(graph: Graph, x: Value, heads: int, size: int) -> str:
    """Return x (batch, time, heads · d) as (batch, heads, time, d)."""
    return graph.add("Transpose", graph.reshape(x.name, (x.shape[0], heads, size)), perm=(0, 2, 1, 3))
