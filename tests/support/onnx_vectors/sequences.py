"""Recurrent layers and attention for the vectors of ONNX."""

import math
from typing import Any

import numpy as np

from backends import HostArray, Tree
from multinn import GRU, LSTM, Bidirectional, Layer, MultiHeadAttention, SimpleRNN
from multinn.exchange.rules import gates_in_order, merged_biases
from tests.support.onnx_vectors.base import Outputs, Run, Vector, builds, require

# Our gates in the order of ONNX's: r z n of z r h; i f g o of i o f c.
_RECURRENT: dict[str, tuple[Any, tuple[int, ...]]] = {
    "RNN": (SimpleRNN, (0,)),
    "GRU": (GRU, (1, 0, 2)),
    "LSTM": (LSTM, (0, 2, 3, 1)),
}


@builds(*_RECURRENT)
def _recurrent(v: Vector, run: Run) -> Outputs:
    """Compare the states h; the last memory c of an LSTM is no output."""
    kind, gates = _RECURRENT[v.operator]
    require(v.input(7) is None, "peepholes")
    x, batch_first, direction = v.inputs[0], v.get("layout", 0), v.get("direction", "forward")
    x = x if batch_first else np.swapaxes(x, 0, 1)
    options = {"go_backwards": direction == "reverse"}
    if v.operator == "GRU" and not v.get("linear_before_reset"):
        options["reset_after"] = False
    layer = kind(v.get("hidden_size"), **options)
    params = [_recurrent_params(v, layer, index, gates) for index in range(len(v.inputs[1]))]
    both = direction == "bidirectional"
    y, last = (
        run(Bidirectional(own) if both else own, x, tuple(params) if both else params[0])
        for own in (kind(layer.units, return_sequences=True, **options), layer)
    )
    # (batch, time, directions, units) and (batch, directions, units)
    y, last = (each.reshape(*each.shape[:-1], len(params), layer.units) for each in (y, last))
    return [y, last] if batch_first else [y.transpose(1, 2, 0, 3), last.transpose(1, 0, 2)]


def _recurrent_params(v: Vector, layer: Layer, index: int, gates: tuple[int, ...]) -> Tree:
    W, R = (gates_in_order(each[index].T, gates) for each in v.inputs[1:3])
    B = np.zeros(2 * W.shape[1], W.dtype) if v.input(3) is None else v.inputs[3][index]
    first, second = (gates_in_order(bias, gates) for bias in np.split(B, 2))
    if v.get("linear_before_reset"):
        return {"W": W, "U": R, **merged_biases(layer, first, second)}
    return {"W": W, "U": R, "b": first + second}


@builds("Attention")
def _attention(v: Vector, run: Run) -> Outputs:
    """Compare the output, where the projections only choose: keys and values are halves of the context.

    A head of the keys that belongs to several heads of the queries is chosen several times.
    """
    queries, keys, values = v.inputs[:3]
    require(queries.dtype == np.float32, "numbers of 16 bits")
    require(not any(_is_window(name, v.get(name)) for name in v.attributes), "a window")
    require(v.input(6) is None, "lengths of stored keys")
    require(not v.get("softcap"), "a bound of the logits")
    require(v.get("softmax_precision", 1) == 1, "a softmax in another precision")
    heads, of_keys = (
        v.get(name, each.shape[1]) for name, each in (("q_num_heads", queries), ("kv_num_heads", keys))
    )
    X, K, V = (_heads_last(each) for each in (queries, keys, values))
    past = 0
    if v.input(4) is not None:
        past = v.inputs[4].shape[2]
        K, V = (
            np.concatenate([_heads_last(before), each], axis=1)
            for before, each in zip(v.inputs[4:6], (K, V), strict=True)
        )
    size = X.shape[-1] // heads
    require(V.shape[-1] == K.shape[-1], "values of another size than keys")
    chosen = np.kron(np.repeat(np.eye(of_keys), heads // of_keys, axis=1), np.eye(size))
    nothing, every = np.zeros_like(chosen), np.eye(heads * size)
    weights = {
        "query": every,
        "key": np.concatenate([chosen, nothing]),
        "value": np.concatenate([nothing, chosen]),
        "output": every,
    }
    params = {name: {"W": W.astype(np.float32)} for name, W in weights.items()}
    options = {"scale": v.get("scale")} if "scale" in v.attributes else {}
    square = X.shape[1] == K.shape[1]
    layer = MultiHeadAttention(
        heads, size, causal=bool(v.get("is_causal")) and square, use_bias=False, **options
    )
    masks = [] if v.input(3) is None else [_additive(v.inputs[3], K.shape[1])]
    if v.get("is_causal") and not square:
        masks.append(_additive(np.tri(X.shape[1], K.shape[1], past, dtype=bool), K.shape[1]))
    x: Any = (X, np.concatenate([K, V], axis=-1))
    if masks:
        shape = (len(X), heads, X.shape[1], K.shape[1])
        x += (np.array(np.broadcast_to(sum(masks), shape)),)
    y = run(layer, x, params)
    return [y if queries.ndim == 3 else y.reshape(*y.shape[:2], heads, size).swapaxes(1, 2)]


def _is_window(name: str, value: Any) -> bool:
    return name.endswith("window_size") and value != -1


def _heads_last(x: HostArray) -> HostArray:
    """Return (batch, heads, time, size) as (batch, time, heads · size)."""
    return x if x.ndim == 3 else x.swapaxes(1, 2).reshape(len(x), x.shape[2], -1)


def _additive(mask: HostArray, context: int) -> HostArray:
    """Return an additive mask: -∞ where a mask of booleans is False, and for steps that it lacks."""
    if mask.dtype == bool:
        mask = np.where(mask, 0.0, -math.inf)
    lacking = [(0, 0)] * (mask.ndim - 1) + [(0, context - mask.shape[-1])]
    return np.pad(mask.astype(np.float32), lacking, constant_values=-math.inf)
