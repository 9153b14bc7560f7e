"""Recurrent layers and pooling over time as ONNX operators."""

import math

import numpy as np

from backends import HostArray, Tree
from multinn.exchange.rules import gates_in_order, second_bias
from multinn.layers import GRU, LSTM, GlobalAveragePool1D, GlobalMaxPool1D, SimpleRNN
from multinn.layers.sequences.recurrent import Recurrent
from multinn.onnx.graph import Graph, Value
from multinn.onnx.registry import converts

# The order of ONNX's gates, by the indices of ours.
_GRU_GATES = (1, 0, 2)  # z r n, while ours are r z n
_LSTM_GATES = (0, 3, 1, 2)  # i o f g, while ours are i f g o


@converts(SimpleRNN, takes_mask=True)
def _simple_rnn(graph: Graph, layer: SimpleRNN, params: Tree, state: Tree, x: Value) -> Value:
    activation = "Tanh" if layer.activation == "tanh" else "Relu"
    return _recurrent(graph, "RNN", layer, params, (0,), x, activations=[activation])


@converts(GRU, takes_mask=True)
def _gru(graph: Graph, layer: GRU, params: Tree, state: Tree, x: Value) -> Value:
    after = int(layer.reset_after)
    return _recurrent(graph, "GRU", layer, params, _GRU_GATES, x, linear_before_reset=after)


@converts(LSTM, takes_mask=True)
def _lstm(graph: Graph, layer: LSTM, params: Tree, state: Tree, x: Value) -> Value:
    return _recurrent(graph, "LSTM", layer, params, _LSTM_GATES, x)


def _recurrent(
    graph: Graph,
    operator: str,
    layer: Recurrent,
    params: Tree,
    gates: tuple[int, ...],
    x: Value,
    **attributes: object,
) -> Value:
    """Add a recurrent operator, of inputs (time, batch, ...) and outputs (time, 1, batch, units)."""
    time, units = x.shape[0], layer.units
    attributes |= {"hidden_size": units, "direction": "reverse" if layer.go_backwards else "forward"}
    weights = _weights(graph, params, gates)
    if x.mask is None:
        steps = graph.add("Transpose", x.name, perm=(1, 0, 2))
        Y, last = graph.add_many(operator, steps, *weights, outputs=2, **attributes)
        if not layer.return_sequences:
            return Value(graph.add("Squeeze", last, graph.integers([0], "axes")), (units,))
        states = graph.add("Squeeze", Y, graph.integers([1], "axes"))
        return Value(graph.add("Transpose", states, perm=(1, 0, 2)), (time, units))
    ones = graph.cast(x.mask, "int64")
    lengths = graph.cast(graph.add("ReduceSum", ones, graph.integers([1], "axes"), keepdims=0), "int32")
    steps = graph.add("Transpose", _unmasked_first(graph, x, ones), perm=(1, 0, 2))
    Y = graph.add(operator, steps, *weights, lengths, **attributes)
    states = graph.add("Transpose", graph.add("Squeeze", Y, graph.integers([1], "axes")), perm=(1, 0, 2))
    return _spread(graph, layer, states, ones, x)


def _weights(graph: Graph, params: Tree, gates: tuple[int, ...]) -> list[str]:
    """Add W, R and the two biases, each (1, gates · units, ...): our W, U, b and perhaps c."""

    def in_order(parameter: HostArray) -> HostArray:
        return gates_in_order(parameter, gates).T[None]

    biases = np.concatenate([in_order(params["b"]), in_order(second_bias(params))], axis=-1)
    return [
        graph.constant(in_order(params["W"]), "W"),
        graph.constant(in_order(params["U"]), "R"),
        graph.constant(biases, "B"),
    ]


def _unmasked_first(graph: Graph, x: Value, ones: str) -> str:
    """Return x with the unmasked steps before the masked ones, both in their old order.

    ONNX has lengths instead of masks. As a masked step does not change the state, its position does not
    matter for the states.
    """
    time = x.shape[0]
    ranks = graph.integers(np.arange(time, 0, -1)[None], "ranks")
    scores = graph.add("Add", graph.add("Mul", ones, graph.integers(time, "time")), ranks)
    # Some runtimes lack TopK for integers.
    scores = graph.cast(scores, "float32")
    _, order = graph.add_many("TopK", scores, graph.integers([time], "k"), outputs=2, axis=1)
    return _rows(graph, x.name, order)


def _spread(graph: Graph, layer: Recurrent, states: str, ones: str, x: Value) -> Value:
    """Return the outputs at all steps, or at the last, from the states of the unmasked steps.

    Forwards, step t has the state of the last unmasked step up to t. With a 0 before all states, its
    index is the number of unmasked steps up to t. Backwards, step t has the state of the next unmasked
    step from t on. With a 0 after all states, its index is the number of unmasked steps before t.
    """
    time, units = x.shape[0], layer.units
    pads = [0, 0, 0, 0, 1, 0] if layer.go_backwards else [0, 1, 0, 0, 0, 0]
    padded = graph.add("Pad", states, graph.integers(pads, "pads"))
    sums = graph.add("CumSum", ones, graph.integers(1, "axis"), exclusive=int(layer.go_backwards))
    if layer.return_sequences:
        return Value(_rows(graph, padded, sums), (time, units), x.mask)
    last = 0 if layer.go_backwards else time - 1
    step = graph.add("Gather", sums, graph.integers([last], "last"), axis=1)
    y = graph.add("Squeeze", _rows(graph, padded, step), graph.integers([1], "axes"))
    return Value(y, (units,))


def _rows(graph: Graph, x: str, steps: str) -> str:
    """Return the given steps (batch, ...) of each example of x (batch, time, ...)."""
    indices = graph.add("Unsqueeze", steps, graph.integers([2], "axes"))
    return graph.add("GatherND", x, indices, batch_dims=1)


@converts(GlobalAveragePool1D, any_layout=True, takes_mask=True)
def _average(graph: Graph, layer: GlobalAveragePool1D, params: Tree, state: Tree, x: Value) -> Value:
    if x.mask is None:
        axis = 2 if x.channels_first else 1
        return Value(graph.add("ReduceMean", x.name, axes=[axis], keepdims=0), x.shape[1:])
    x = graph.with_channels_last(x)
    ones = graph.cast(graph.expanded_mask(x), graph.dtype)
    axes = graph.integers([1], "axes")
    total = graph.add("ReduceSum", graph.with_zero_padding(x).name, axes, keepdims=0)
    count = graph.add("Max", graph.add("ReduceSum", ones, axes, keepdims=0), graph.constant(1.0))
    return Value(graph.add("Div", total, count), x.shape[1:])


@converts(GlobalMaxPool1D, any_layout=True, takes_mask=True)
def _max(graph: Graph, layer: GlobalMaxPool1D, params: Tree, state: Tree, x: Value) -> Value:
    if x.mask is None:
        axis = 2 if x.channels_first else 1
        return Value(graph.add("ReduceMax", x.name, axes=[axis], keepdims=0), x.shape[1:])
    x = graph.with_channels_last(x)
    mask = graph.expanded_mask(x)
    counted = graph.add("Where", mask, x.name, graph.constant(-math.inf))
    largest = graph.add("ReduceMax", counted, axes=[1], keepdims=0)
    nothing = graph.add("Equal", largest, graph.constant(-math.inf))
    return Value(graph.add("Where", nothing, graph.constant(0.0), largest), x.shape[1:])
