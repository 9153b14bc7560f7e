"""The weights of a layer and those of Keras', in the order of ``get_weights``."""

import numpy as np

from backends import HostArray, Tree
from multinn.exchange.rules import Rule, Weights, gates_in_order, renamed
from multinn.layers import (
    GRU,
    LSTM,
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Embedding,
    GroupNorm,
    Layer,
    LayerNorm,
    MultiHeadAttention,
    PReLU,
    RMSNorm,
    SimpleRNN,
)

_KERNEL_AND_BIAS = renamed({"W": "kernel", "b": "bias"})
_SCALE_AND_SHIFT = {"gamma": "gamma", "beta": "beta"}
_RUNNING = {"mean": "moving_mean", "variance": "moving_variance"}
_BATCH_NORM = renamed(_SCALE_AND_SHIFT | _RUNNING)
_RECURRENT = renamed({"W": "kernel", "U": "recurrent_kernel", "b": "bias"})
_GRU_GATES = (1, 0, 2)  # z r n, ours are r z n; the same order brings them back
_PROJECTIONS = ("query", "key", "value", "output")


def _give_batch_norm(layer: BatchNorm, params: Tree, state: Tree) -> dict[str, HostArray]:
    if state is None:
        raise ValueError(
            "BatchNorm: expected the state of the layers, which has its statistics, got none"
        )
    return _BATCH_NORM.give(layer, params, state)


def _give_gru(layer: GRU, params: Tree, state: Tree) -> dict[str, HostArray]:
    second = np.zeros_like(params["b"])
    second[-layer.units :] = params["c"]
    return {
        "kernel": gates_in_order(params["W"], _GRU_GATES),
        "recurrent_kernel": gates_in_order(params["U"], _GRU_GATES),
        "bias": gates_in_order(np.stack([params["b"], second]), _GRU_GATES),
    }


def _take_gru(layer: GRU, weights: Weights) -> tuple[Tree, Tree]:
    """Return W, U, the sum of the biases as b and, of the candidate, what must not be added up as c."""
    first, second = gates_in_order(weights["bias"], _GRU_GATES)
    b = first + second
    b[-layer.units :] = first[-layer.units :]
    W, U = (gates_in_order(weights[name], _GRU_GATES) for name in ("kernel", "recurrent_kernel"))
    return {"W": W, "U": U, "b": b, "c": second[-layer.units :]}, {}


def _give_attention(layer: MultiHeadAttention, params: Tree, state: Tree) -> dict[str, HostArray]:
    """Return kernels (features, heads, d), biases (heads, d); of the output (heads, d, features)."""
    weights = {}
    for name in _PROJECTIONS:
        W, last = np.asarray(params[name]["W"]), name == "output"
        shape = (layer.heads, -1, W.shape[1]) if last else (len(W), layer.heads, -1)
        weights[f"{name} kernel"] = W.reshape(shape)
        if layer.use_bias:
            b = np.asarray(params[name].get("b", np.zeros(W.shape[1], W.dtype)))
            weights[f"{name} bias"] = b if last else b.reshape(layer.heads, -1)
    return weights


def _take_attention(layer: MultiHeadAttention, weights: Weights) -> tuple[Tree, Tree]:
    params = {}
    for name in _PROJECTIONS:
        kernel, last = weights[f"{name} kernel"], name == "output"
        shape = (-1, kernel.shape[2]) if last else (len(kernel), -1)
        params[name] = {"W": kernel.reshape(shape)}
        if layer.use_bias and name != "key":
            params[name]["b"] = weights[f"{name} bias"].ravel()
    return params, {}


RULES: dict[type[Layer], Rule] = {
    BatchNorm: Rule(_give_batch_norm, _BATCH_NORM.take),
    Conv1D: _KERNEL_AND_BIAS,
    Conv2D: _KERNEL_AND_BIAS,
    ConvTranspose2D: _KERNEL_AND_BIAS,
    Dense: _KERNEL_AND_BIAS,
    Embedding: renamed({"W": "embeddings"}),
    GRU: Rule(_give_gru, _take_gru),
    GroupNorm: renamed(_SCALE_AND_SHIFT),
    LSTM: _RECURRENT,
    LayerNorm: renamed(_SCALE_AND_SHIFT),
    MultiHeadAttention: Rule(_give_attention, _take_attention),
    PReLU: renamed({"a": "alpha"}),
    RMSNorm: renamed({"gamma": "scale"}),
    SimpleRNN: _RECURRENT,
}
