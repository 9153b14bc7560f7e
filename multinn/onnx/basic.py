"""Basic layers, embeddings and positions as ONNX operators."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from backends import HostArray, Tree, get_backend
from multinn.layers import (
    ChannelsLast,
    Columns,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Identity,
    Masking,
    PositionalEncoding,
    PositionEmbedding,
    Rescale,
    Select,
    SpatialDropout,
)
from multinn.onnx.graph import Graph, Value, Values
from multinn.onnx.registry import converts


def dense(graph: Graph, params: Tree, x: Value) -> Value:
    """Add y = x W + b, or x W if there is no b."""
    y = graph.add("MatMul", x.name, graph.constant(params["W"], "W"))
    if "b" in params:
        y = graph.add("Add", y, graph.constant(params["b"], "b"))
    return replace(x, name=y, shape=(*x.shape[:-1], params["W"].shape[1]))


@converts(Dense)
def _dense(graph: Graph, layer: Dense, params: Tree, state: Tree, x: Value) -> Value:
    return dense(graph, params, x)


@converts(Dropout, SpatialDropout, Identity, any_layout=True, takes_mask=True)
def _identity(graph: Graph, layer: Dropout, params: Tree, state: Tree, x: Value) -> Value:
    return x


@converts(Rescale, any_layout=True)
def _rescale(graph: Graph, layer: Rescale, params: Tree, state: Tree, x: Value) -> Value:
    y = graph.add("Mul", x.name, graph.constant(layer.scale, "scale"))
    if layer.offset:
        y = graph.add("Add", y, graph.constant(layer.offset, "offset"))
    return replace(x, name=y)


@converts(Flatten)
def _flatten(graph: Graph, layer: Flatten, params: Tree, state: Tree, x: Value) -> Value:
    return replace(x, name=graph.add("Flatten", x.name, axis=1), shape=(math.prod(x.shape),))


@converts(Select)
def _select(graph: Graph, layer: Select, params: Tree, state: Tree, x: Any) -> Values:
    y: Values = x[layer.entry]
    return y


@converts(Columns)
def _columns(graph: Graph, layer: Columns, params: Tree, state: Tree, x: Value) -> Value:
    y = graph.add("Gather", x.name, graph.integers(layer.columns, "columns"), axis=-1)
    return replace(x, name=y, shape=(*x.shape[:-1], len(layer.columns)))


@converts(ChannelsLast)
def _channels_last(graph: Graph, layer: ChannelsLast, params: Tree, state: Tree, x: Value) -> Value:
    channels, height, width = x.shape
    return replace(x, shape=(height, width, channels), channels_first=True)


@converts(Embedding)
def _embedding(graph: Graph, layer: Embedding, params: Tree, state: Tree, x: Value) -> Value:
    ids = graph.cast(x.name, "int64")
    # Gather counts negative ids from the end. This one it refuses.
    none = graph.integers(layer.vocabulary_size, "none")
    negative = graph.add("Less", ids, graph.integers(0, "zero"))
    ids = graph.add("Where", negative, none, ids)
    y = graph.add("Gather", graph.constant(params["W"], "W"), ids, axis=0)
    mask = None
    if layer.padding_id is not None:
        mask = graph.add("Not", graph.add("Equal", ids, graph.integers(layer.padding_id, "padding_id")))
    return Value(y, (*x.shape, layer.dimension), mask)


@converts(Masking)
def _masking(graph: Graph, layer: Masking, params: Tree, state: Tree, x: Value) -> Value:
    counted = graph.add("Not", graph.add("Equal", x.name, graph.constant(layer.padding, "padding")))
    if len(x.shape) > 1:
        axes = tuple(range(2, len(x.shape) + 1))
        ones = graph.cast(counted, graph.dtype)
        counted = graph.cast(graph.add("ReduceMax", ones, axes=axes, keepdims=0), "bool")
    return replace(x, mask=counted)


@converts(PositionEmbedding)
def _position_embedding(
    graph: Graph, layer: PositionEmbedding, params: Tree, state: Tree, x: Value
) -> Value:
    return replace(x, name=graph.add("Add", x.name, graph.constant(params["P"][: x.shape[0]], "P")))


@converts(PositionalEncoding)
def _positional_encoding(
    graph: Graph, layer: PositionalEncoding, params: Tree, state: Tree, x: Value
) -> Value:
    positions: HostArray = layer.forward(get_backend("numpy"), {}, np.zeros((1, *x.shape)))[0]
    return replace(x, name=graph.add("Add", x.name, graph.constant(positions[0], "P")))
