"""Containers as parts of an ONNX graph."""

from dataclasses import replace
from functools import reduce

from backends import Tree
from multinn.layers import (
    Add,
    Bidirectional,
    Concatenate,
    Container,
    Parallel,
    Residual,
    Sequential,
    TransformerBlock,
)
from multinn.onnx.graph import Graph, Value, Values
from multinn.onnx.registry import convert_child, converts


@converts(Sequential, TransformerBlock, any_layout=True, takes_mask=True)
def _sequential(graph: Graph, layer: Sequential, params: Tree, state: Tree, x: Values) -> Values:
    for index, child in enumerate(layer.layers):
        x = convert_child(graph, index, child, params, state, x)
    return x


@converts(Parallel, any_layout=True, takes_mask=True)
def _parallel(graph: Graph, layer: Parallel, params: Tree, state: Tree, x: Values) -> Values:
    outputs = _outputs(graph, layer, params, state, x)
    return tuple(outputs) if layer.names is None else dict(zip(layer.names, outputs, strict=True))


@converts(Add, Residual, any_layout=True, takes_mask=True)
def _add(graph: Graph, layer: Container, params: Tree, state: Tree, x: Values) -> Value:
    return _sum(graph, _branches(graph, layer, params, state, x))


@converts(Concatenate, any_layout=True, takes_mask=True)
def _concatenate(graph: Graph, layer: Concatenate, params: Tree, state: Tree, x: Values) -> Value:
    return _joined(graph, _branches(graph, layer, params, state, x), layer.axis)


@converts(Bidirectional, any_layout=True, takes_mask=True)
def _bidirectional(graph: Graph, layer: Bidirectional, params: Tree, state: Tree, x: Value) -> Value:
    outputs = _branches(graph, layer, params, state, x)
    return _sum(graph, outputs) if layer.merge == "sum" else _joined(graph, outputs, -1)


def _outputs(graph: Graph, layer: Container, params: Tree, state: Tree, x: Values) -> list[Values]:
    return [
        convert_child(graph, index, child, params, state, x)
        for index, child in enumerate(layer.children)
    ]


def _branches(graph: Graph, layer: Container, params: Tree, state: Tree, x: Values) -> list[Value]:
    """Return the outputs of the branches, all with the channels at the same axis."""
    values = [y for y in _outputs(graph, layer, params, state, x) if isinstance(y, Value)]
    if all(y.channels_first for y in values):
        return values
    return [graph.with_channels_last(y) for y in values]


def _sum(graph: Graph, values: list[Value]) -> Value:
    y, mask = values[0].name, values[0].mask
    for other in values[1:]:
        y, mask = graph.add("Add", y, other.name), graph.both(mask, other.mask)
    return replace(values[0], name=y, mask=mask)


def _joined(graph: Graph, values: list[Value], axis: int) -> Value:
    """Concatenate values along an axis, numbered as in `Concatenate`: the batch is axis 0."""
    axes = len(values[0].shape) + 1
    axis %= axes
    names = [y.name for y in values]
    onnx_axis = axis
    if values[0].channels_first:
        onnx_axis = 1 if axis == axes - 1 else axis + 1
    shape = list(values[0].shape)
    shape[axis - 1] = sum(y.shape[axis - 1] for y in values)
    mask = _joined_masks(graph, values) if axis == 1 else reduce(graph.both, [y.mask for y in values])
    y = graph.add("Concat", *names, axis=onnx_axis)
    return replace(values[0], name=y, shape=tuple(shape), mask=mask)


def _joined_masks(graph: Graph, values: list[Value]) -> str | None:
    """Concatenate the masks along time, True for a value without one; None if no value has a mask."""
    if all(y.mask is None for y in values):
        return None
    return graph.add("Concat", *(y.mask or _mask_of_ones(graph, y) for y in values), axis=1)


def _mask_of_ones(graph: Graph, y: Value) -> str:
    """Return a mask (batch, time) that is True everywhere."""
    batch = graph.add("Shape", y.name, start=0, end=1)
    shape = graph.add("Concat", batch, graph.integers([y.shape[0]], "time"), axis=0)
    return graph.add("Expand", graph.cast(graph.integers(1, "one"), "bool"), shape)
