"""Normalizations as ONNX operators."""

from dataclasses import replace

import numpy as np

from backends import Tree
from multinn.layers import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from multinn.onnx.graph import Graph, Value
from multinn.onnx.registry import converts


@converts(BatchNorm, any_layout=True, takes_mask=True)
def _batch_norm(graph: Graph, layer: BatchNorm, params: Tree, state: Tree, x: Value) -> Value:
    if state is None:
        raise ValueError(
            "BatchNorm: expected the state of a trained model, which has its running statistics, got "
            "none; pass layer_state"
        )
    x = graph.with_channels_first(x)
    names = ("gamma", "beta", "mean", "variance")
    constants = [graph.constant((params | state)[name], name) for name in names]
    y = graph.add("BatchNormalization", x.name, *constants, epsilon=layer.epsilon)
    return _zero_padding(graph, replace(x, name=y))


@converts(LayerNorm)
def _layer_norm(graph: Graph, layer: LayerNorm, params: Tree, state: Tree, x: Value) -> Value:
    gamma, beta = (graph.constant(params[name], name) for name in ("gamma", "beta"))
    y = graph.add("LayerNormalization", x.name, gamma, beta, axis=-layer.axes, epsilon=layer.epsilon)
    return replace(x, name=y)


@converts(RMSNorm)
def _rms_norm(graph: Graph, layer: RMSNorm, params: Tree, state: Tree, x: Value) -> Value:
    axes = list(range(-layer.axes, 0))
    square = graph.add("ReduceMean", graph.add("Mul", x.name, x.name), axes=axes, keepdims=1)
    z = graph.add("Div", x.name, _root(graph, square, layer.epsilon))
    return replace(x, name=graph.add("Mul", z, graph.constant(params["gamma"], "gamma")))


@converts(GroupNorm, any_layout=True, takes_mask=True)
def _group_norm(graph: Graph, layer: GroupNorm, params: Tree, state: Tree, x: Value) -> Value:
    """Normalize x as (batch, groups, channels of a group, first axis of places, other places)."""
    mask = None
    if x.mask is not None:
        mask = graph.cast(graph.reshape(x.mask, (1, 1, x.shape[0], 1)), graph.dtype)
    x = graph.with_channels_first(x)
    *places, channels = x.shape
    first, others = ([*places, 1])[0], int(np.prod(places[1:]))
    grouped = graph.reshape(x.name, (layer.groups, channels // layer.groups, first, others))
    numbers = channels // layer.groups * others
    difference = graph.add("Sub", grouped, _mean(graph, grouped, mask, numbers))
    variance = _mean(graph, graph.add("Mul", difference, difference), mask, numbers)
    z = graph.add("Div", difference, _root(graph, variance, layer.epsilon))
    z = graph.reshape(z, (channels, *places))
    y = graph.add("Mul", z, graph.per_channel(params["gamma"], x, "gamma"))
    y = graph.add("Add", y, graph.per_channel(params["beta"], x, "beta"))
    return _zero_padding(graph, replace(x, name=y))


def _zero_padding(graph: Graph, x: Value) -> Value:
    """Return the value with 0 where its mask is False."""
    if x.mask is None:
        return x
    x = graph.with_channels_last(x)
    zero = graph.constant(0.0, "zero")
    return replace(x, name=graph.add("Where", graph.expanded_mask(x), x.name, zero))


def _root(graph: Graph, square: str, epsilon: float) -> str:
    return graph.add("Sqrt", graph.add("Add", square, graph.constant(epsilon, "epsilon")))


def _mean(graph: Graph, x: str, mask: str | None, numbers: int) -> str:
    """Return the means of the groups.

    Args:
        graph: the graph.
        x: (batch, groups, channels of a group, time, others).
        mask: (batch, 1, 1, time, 1) zeros and ones, or None.
        numbers: how many numbers of a group each time step has.
    """
    if mask is None:
        return graph.add("ReduceMean", x, axes=[2, 3, 4], keepdims=1)
    axes = graph.integers([2, 3, 4], "axes")
    total = graph.add("ReduceSum", graph.add("Mul", x, mask), axes, keepdims=1)
    steps = graph.add("ReduceSum", mask, axes, keepdims=1)
    count = graph.add("Mul", graph.add("Max", steps, graph.constant(1.0)), graph.constant(numbers))
    return graph.add("Div", total, count)
