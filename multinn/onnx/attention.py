"""Attention as ONNX operators: matrix products and softmax."""

import math
from functools import partial, reduce

import numpy as np

from backends import HostArray, Tree, get_backend
from multinn.layers import MultiHeadAttention, RelativePositionBias
from multinn.onnx.basic import dense
from multinn.onnx.graph import Graph, Value, Values
from multinn.onnx.registry import converts


@converts(MultiHeadAttention, takes_mask=True)
def _attention(graph: Graph, layer: MultiHeadAttention, params: Tree, state: Tree, x: Values) -> Value:
    values = [graph.with_channels_last(_value(each)) for each in (x if isinstance(x, tuple) else (x, x))]
    X, C, *bias = values
    C = graph.with_zero_padding(C)
    Q, K, V = (
        _split(graph, dense(graph, params[name], value), layer.heads)
        for name, value in (("query", X), ("key", C), ("value", C))
    )
    size = params["query"]["W"].shape[1] // layer.heads
    scale = 1.0 / math.sqrt(size) if layer.scale is None else layer.scale
    Q = graph.add("Mul", Q, graph.constant(scale, "scale"))
    S = graph.add("MatMul", Q, graph.add("Transpose", K, perm=(0, 1, 3, 2)))
    P = _weights(graph, layer, S, C, *bias)
    heads = graph.add("Transpose", graph.add("MatMul", P, V), perm=(0, 2, 1, 3))
    shape = (X.shape[0], params["value"]["W"].shape[1])
    A = Value(graph.reshape(heads, shape), shape, X.mask)
    return dense(graph, params["output"], A)


@converts(RelativePositionBias, takes_mask=True)
def _relative_position_bias(
    graph: Graph, layer: RelativePositionBias, params: Tree, state: Tree, x: Value
) -> Value:
    B: HostArray = layer.forward(get_backend("numpy"), params, np.zeros((1, *x.shape)))[0][0]
    batch = graph.add("Shape", x.name, start=0, end=1)
    shape = graph.add("Concat", batch, graph.integers(B.shape, "shape"), axis=0)
    return Value(graph.add("Expand", graph.constant(B, "B"), shape), B.shape)


def _value(x: Values) -> Value:
    assert isinstance(x, Value)
    return x


def _weights(
    graph: Graph, layer: MultiHeadAttention, S: str, context: Value, bias: Value | None = None
) -> str:
    """Add P = softmax(S + B) over the visible steps; P is 0 where no step is visible."""
    if context.mask is None and bias is None and not layer.causal:
        return graph.add("Softmax", S, axis=-1)
    time, visible = context.shape[0], []
    lowest = graph.constant(0.25 * float(np.finfo(graph.dtype).min), "lowest")
    if context.mask is not None:
        visible.append(graph.cast(graph.reshape(context.mask, (1, 1, time)), graph.dtype))
    if layer.causal:
        visible.append(graph.constant(np.tri(time), "earlier"))
    if bias is not None:
        B = bias.name if len(bias.shape) == 3 else graph.reshape(bias.name, (1, *bias.shape))
        visible.append(graph.cast(graph.add("GreaterOrEqual", B, lowest), graph.dtype))
        S = graph.add("Add", S, graph.add("Max", B, lowest))
    seen = reduce(partial(graph.add, "Mul"), visible)
    hidden = graph.add("Sub", graph.constant(1.0), seen)
    S = graph.add("Add", S, graph.add("Mul", hidden, lowest))
    return graph.add("Mul", graph.add("Softmax", S, axis=-1), seen)


def _split(graph: Graph, x: Value, heads: int) -> str:
    """Return x (batch, time, heads · d) as (batch, heads, time, d)."""
    time, size = x.shape
    heads_last = graph.reshape(x.name, (time, heads, size // heads))
    return graph.add("Transpose", heads_last, perm=(0, 2, 1, 3))
