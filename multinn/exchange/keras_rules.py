"""Rules that convert the weights of layers to and from Keras', in the order of ``get_weights``."""

import numpy as np

from backends import HostArray, Tree
from multinn.exchange.rules import (
    Rule,
    Weights,
    gates_in_order,
    merged_biases,
    query_factor,
    renamed,
    second_bias,
)
from multinn.layers import (
    GRU,
    LSTM,
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
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
_RECURRENT = renamed({"W": "kernel", "U": "recurrent_kernel", "b": "bias"})
_GRU_GATES = (1, 0, 2)  # z r n, while ours are r z n; the order is its own inverse
_PROJECTIONS = ("query", "key", "value", "output")


def _gru_to_keras(layer: GRU, params: Tree, state: Tree) -> dict[str, HostArray]:
    bias = np.stack([params["b"], second_bias(params)]) if layer.reset_after else params["b"]
    weights = {"kernel": params["W"], "recurrent_kernel": params["U"], "bias": bias}
    return {name: gates_in_order(values, _GRU_GATES) for name, values in weights.items()}


def _gru_from_keras(layer: GRU, weights: Weights) -> tuple[Tree, Tree]:
    names = ("kernel", "recurrent_kernel", "bias")
    W, U, bias = (gates_in_order(weights[name], _GRU_GATES) for name in names)
    return {"W": W, "U": U} | (merged_biases(layer, *bias) if layer.reset_after else {"b": bias}), {}


def _attention_to_keras(layer: MultiHeadAttention, params: Tree, state: Tree) -> dict[str, HostArray]:
    """Return kernels (features, heads, d), for the output (heads, d, features), and biases."""
    weights = {}
    factor = query_factor(layer, params["query"]["W"].shape[1])
    params = {**params, "query": {name: factor * own for name, own in params["query"].items()}}
    for name in _PROJECTIONS:
        W, last = np.asarray(params[name]["W"]), name == "output"
        shape = (layer.heads, -1, W.shape[1]) if last else (len(W), layer.heads, -1)
        weights[f"{name} kernel"] = W.reshape(shape)
        if layer.use_bias:
            b = np.asarray(params[name].get("b", np.zeros(W.shape[1], W.dtype)))
            weights[f"{name} bias"] = b if last else b.reshape(layer.heads, -1)
    return weights


def _attention_from_keras(layer: MultiHeadAttention, weights: Weights) -> tuple[Tree, Tree]:
    params = {}
    for name in _PROJECTIONS:
        kernel, last = weights[f"{name} kernel"], name == "output"
        shape = (-1, kernel.shape[2]) if last else (len(kernel), -1)
        params[name] = {"W": kernel.reshape(shape)}
        if layer.use_bias and name != "key":
            params[name]["b"] = weights[f"{name} bias"].ravel()
    factor = query_factor(layer, params["query"]["W"].shape[1])
    params["query"] = {name: own / factor for name, own in params["query"].items()}
    return params, {}


RULES: dict[type[Layer], Rule] = {
    BatchNorm: renamed(_SCALE_AND_SHIFT | _RUNNING),
    Conv1D: _KERNEL_AND_BIAS,
    Conv2D: _KERNEL_AND_BIAS,
    ConvTranspose1D: _KERNEL_AND_BIAS,
    ConvTranspose2D: _KERNEL_AND_BIAS,
    Dense: _KERNEL_AND_BIAS,
    Embedding: renamed({"W": "embeddings"}),
    GRU: Rule(_gru_to_keras, _gru_from_keras),
    GroupNorm: renamed(_SCALE_AND_SHIFT),
    LSTM: _RECURRENT,
    LayerNorm: renamed(_SCALE_AND_SHIFT),
    MultiHeadAttention: Rule(_attention_to_keras, _attention_from_keras),
    PReLU: renamed({"a": "alpha"}),
    RMSNorm: renamed({"gamma": "scale"}),
    SimpleRNN: _RECURRENT,
}
