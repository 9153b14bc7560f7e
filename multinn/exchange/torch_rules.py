"""The weights of a layer and those of PyTorch's."""

import numpy as np

from backends import HostArray, Tree
from multinn.exchange.rules import Rule, Weights, renamed
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
from multinn.layers.sequences.recurrent import Recurrent

_WEIGHT_AND_BIAS = {"W": "weight", "b": "bias"}
_SCALE_AND_SHIFT = {"gamma": "weight", "beta": "bias"}
_RUNNING = {"mean": "running_mean", "variance": "running_var"}
_BATCH_NORM = renamed(_SCALE_AND_SHIFT | _RUNNING)


def _give_batch_norm(layer: BatchNorm, params: Tree, state: Tree) -> dict[str, HostArray]:
    if state is None:
        raise ValueError(
            "BatchNorm: expected the state of the layers, which has its statistics, got none"
        )
    return _BATCH_NORM.give(layer, params, state) | {"num_batches_tracked": np.array(0)}


def _give_recurrent(layer: Recurrent, params: Tree, state: Tree) -> dict[str, HostArray]:
    """Return W and U transposed, b as the first bias, and as the second c after zeros."""
    second = np.zeros_like(params["b"])
    if "c" in params:  # is added to h U of the last gate alone
        second[-layer.units :] = params["c"]
    return {
        "weight_ih_l0": params["W"].T,
        "weight_hh_l0": params["U"].T,
        "bias_ih_l0": params["b"],
        "bias_hh_l0": second,
    }


def _take_recurrent(layer: Recurrent, weights: Weights) -> tuple[Tree, Tree]:
    """Return W, U, the sum of the biases as b and, of a GRU, what must not be added up as c."""
    first, second = weights["bias_ih_l0"], weights["bias_hh_l0"]
    params = {"W": weights["weight_ih_l0"].T, "U": weights["weight_hh_l0"].T, "b": first + second}
    if isinstance(layer, GRU):
        params["b"][-layer.units :] = first[-layer.units :]
        params["c"] = second[-layer.units :]
    return params, {}


def _give_attention(layer: MultiHeadAttention, params: Tree, state: Tree) -> dict[str, HostArray]:
    matrices = [params[name]["W"].T for name in ("query", "key", "value")]
    features = params["output"]["W"].shape[1]
    if len(matrices[0]) != features:
        raise ValueError(
            f"MultiHeadAttention: expected heads of size features / heads, as PyTorch has them, got "
            f"key_size {layer.key_size} for {features} features"
        )
    if matrices[1].shape[1] == features:
        weights = {"in_proj_weight": np.concatenate(matrices)}
    else:
        weights = dict(zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), matrices, strict=True))
    if layer.use_bias:
        query, value = params["query"]["b"], params["value"]["b"]
        weights["in_proj_bias"] = np.concatenate([query, np.zeros_like(query), value])
    weights["out_proj.weight"] = params["output"]["W"].T
    if layer.use_bias:
        weights["out_proj.bias"] = params["output"]["b"]
    return weights


def _take_attention(layer: MultiHeadAttention, weights: Weights) -> tuple[Tree, Tree]:
    if "in_proj_weight" in weights:
        matrices = np.split(weights["in_proj_weight"], 3)
    else:
        matrices = [weights[f"{name}_proj_weight"] for name in "qkv"]
    matrices.append(weights["out_proj.weight"])
    names = ("query", "key", "value", "output")
    params = {name: {"W": W.T} for name, W in zip(names, matrices, strict=True)}
    if layer.use_bias:
        query, _, value = np.split(weights["in_proj_bias"], 3)
        for name, b in (("query", query), ("value", value), ("output", weights["out_proj.bias"])):
            params[name]["b"] = b
    return params, {}


_RECURRENT = Rule(_give_recurrent, _take_recurrent)

RULES: dict[type[Layer], Rule] = {
    BatchNorm: Rule(_give_batch_norm, _BATCH_NORM.take),
    Conv1D: renamed(_WEIGHT_AND_BIAS, {"W": (2, 1, 0)}),
    Conv2D: renamed(_WEIGHT_AND_BIAS, {"W": (3, 2, 0, 1)}),
    ConvTranspose2D: renamed(_WEIGHT_AND_BIAS, {"W": (3, 2, 0, 1)}),
    Dense: renamed(_WEIGHT_AND_BIAS, {"W": (1, 0)}),
    Embedding: renamed({"W": "weight"}),
    GRU: _RECURRENT,
    GroupNorm: renamed(_SCALE_AND_SHIFT),
    LSTM: _RECURRENT,
    LayerNorm: renamed(_SCALE_AND_SHIFT),
    MultiHeadAttention: Rule(_give_attention, _take_attention),
    PReLU: renamed({"a": "weight"}),
    RMSNorm: renamed({"gamma": "weight"}),
    SimpleRNN: _RECURRENT,
}
