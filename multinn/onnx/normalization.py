"""Normalizations as ONNX operators."""

import math
from dataclasses import replace

import numpy as np

from backends import Tree
from multinn.layers import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from multinn.layers.normalization import moments
from multinn.onnx.formulas import BACKEND, Edge, formula
from multinn.onnx.graph import Graph, Value
from multinn.onnx.registry import converts


@converts(BatchNorm, any_layout=True, takes_mask=True)
def _batch_norm(graph: Graph, layer: BatchNorm, params: Tree, state: Tree, x: Value) -> Value:
    """Subtract the mean first: runtimes compute γ x / s - γ mean / s, which loses digits far from 0.

    ONNX Runtime makes one operator of a convolution and both of these.
    """
    if state is None:
        raise ValueError(
            "BatchNorm: expected the state of a trained model, which has its running statistics, got "
            "none; pass layer_state"
        )
    x = graph.with_channels_first(x)
    difference = graph.add("Add", x.name, graph.per_channel(-state["mean"], x, "minus_mean"))
    # The epsilon is no attribute, since these are float32.
    square = np.add(state["variance"], layer.epsilon, dtype=np.float64)
    values = {**params, "mean": np.zeros_like(state["mean"]), "variance": square}
    constants = [graph.constant(values[name], name) for name in ("gamma", "beta", "mean", "variance")]
    y = graph.add("BatchNormalization", difference, *constants, epsilon=0.0)
    return graph.with_zero_padding(replace(x, name=y))


@converts(LayerNorm, RMSNorm)
def _over_last_axes(
    graph: Graph, layer: LayerNorm | RMSNorm, params: Tree, state: Tree, x: Value
) -> Value:
    return replace(x, name=formula(layer, params, Edge(graph, x.name, x.shape)).name)


@converts(GroupNorm, any_layout=True, takes_mask=True)
def _group_norm(graph: Graph, layer: GroupNorm, params: Tree, state: Tree, x: Value) -> Value:
    """Normalize x as (batch, groups, channels of a group, first axis of places, other places)."""
    mask = None
    if x.mask is not None:
        mask = Edge(graph, graph.reshape(x.mask, (1, 1, x.shape[0], 1)))
    x = graph.with_channels_first(graph.with_zero_padding(x))
    *places, channels = x.shape
    first, others = ([*places, 1])[0], math.prod(places[1:])
    of_group = channels // layer.groups
    grouped = Edge(graph, graph.reshape(x.name, (layer.groups, of_group, first, others)))

    def mean(values: Edge) -> Edge:
        return _mean(values, mask, of_group * others)

    z, _ = moments.standardized(BACKEND, grouped, mean, layer.epsilon)
    name = graph.reshape(z.name, (channels, *places))
    name = graph.add("Mul", name, graph.per_channel(params["gamma"], x, "gamma"))
    name = graph.add("Add", name, graph.per_channel(params["beta"], x, "beta"))
    return graph.with_zero_padding(replace(x, name=name))


def _mean(x: Edge, mask: Edge | None, numbers: int) -> Edge:
    """Return the means of the groups.

    Args:
        x: (batch, groups, channels of a group, time, others).
        mask: (batch, 1, 1, time, 1) booleans, or None.
        numbers: how many numbers of a group each time step has.
    """
    if mask is None:
        return x.add("ReduceMean", axes=[2, 3, 4], keepdims=1)
    axes = Edge(x.graph, x.graph.integers([2, 3, 4], "axes"))
    steps = mask.add("Cast", to=x.dtype).add("ReduceSum", axes, keepdims=1).add("Max", 1.0)
    return mask.add("Where", x, 0.0).add("ReduceSum", axes, keepdims=1) / (steps * float(numbers))
