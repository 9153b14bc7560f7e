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
    """Compare the output, where the projections only choose: keys and values are parts of the context.

    A head of the keys that belongs to several heads of the queries is chosen several times.
    """
    queries, keys, values = v.inputs[:3]
    require(queries.dtype == np.float32, "numbers of 16 bits")
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
    size, value_size = X.shape[-1] // heads, V.shape[-1] // of_keys
    chosen = np.repeat(np.eye(of_keys), heads // of_keys, axis=1)
    features = heads * max(size, value_size)  # the outputs have as many as the queries
    X = np.pad(X, ((0, 0), (0, 0), (0, features - X.shape[-1])))
    weights = {
        "query": np.eye(features, heads * size),
        "key": np.pad(np.kron(chosen, np.eye(size)), ((0, V.shape[-1]), (0, 0))),
        "value": np.pad(np.kron(chosen, np.eye(value_size)), ((K.shape[-1], 0), (0, 0))),
        "output": np.eye(heads * value_size, features),
    }
    params = {name: {"W": W.astype(np.float32)} for name, W in weights.items()}
    scale = v.get("scale") if "scale" in v.attributes else None
    is_causal, is_square = bool(v.get("is_causal")), X.shape[1] == K.shape[1]
    causal = is_causal and is_square and v.input(6) is None
    layer = MultiHeadAttention(
        heads, size, causal=causal, use_bias=False, scale=scale, value_size=value_size
    )
    masks = [] if v.input(3) is None else [_additive(v.inputs[3], K.shape[1])]
    visible = _visible(v, X.shape[1], K.shape[1], past, causal=is_causal and not causal)
    if not visible.all():
        masks.append(_additive(visible[:, None], K.shape[1]))
    x: Any = (X, np.concatenate([K, V], axis=-1))
    if masks:
        x += (np.array(np.broadcast_to(sum(masks), (len(X), heads, X.shape[1], K.shape[1]))),)
    y = run(layer, x, params)[..., : heads * value_size]
    return [y if queries.ndim == 3 else y.reshape(*y.shape[:2], heads, value_size).swapaxes(1, 2)]


def _visible(v: Vector, time: int, context: int, past: int, *, causal: bool) -> HostArray:
    """Return booleans (batch or 1, time, context): causality, a window, and lengths of stored keys.

    Args:
        v: the vector.
        time: the number of queries.
        context: the number of keys.
        past: how many keys are before the first query.
        causal: whether later keys are hidden.
    """
    lengths = np.array([context]) if v.input(6) is None else v.inputs[6]
    offset = np.array([past]) if v.input(6) is None else lengths - time
    keys = np.arange(context)
    distance = keys - (offset[:, None] + np.arange(time))[..., None]
    left, right = v.get("left_window_size", -1), v.get("right_window_size", -1)
    visible: HostArray = np.broadcast_to(keys < lengths[:, None, None], distance.shape)
    if causal:
        visible = visible & (distance <= 0)
    if left >= 0:
        visible = visible & (distance >= -left)
    return visible & (distance <= right) if right >= 0 else visible


def _heads_last(x: HostArray) -> HostArray:
    """Return (batch, heads, time, size) as (batch, time, heads · size)."""
    return x if x.ndim == 3 else x.swapaxes(1, 2).reshape(len(x), x.shape[2], -1)


def _additive(mask: HostArray, context: int) -> HostArray:
    """Return an additive mask: -∞ where a mask of booleans is False, and for steps that it lacks."""
    if mask.dtype == bool:
        mask = np.where(mask, 0.0, -math.inf)
    lacking = [(0, 0)] * (mask.ndim - 1) + [(0, context - mask.shape[-1])]
    return np.pad(mask.astype(np.float32), lacking, constant_values=-math.inf)
