"""Rules that convert the weights of layers to and from PyTorch's."""

import numpy as np

from backends import HostArray, Tree
from multinn.exchange.rules import Rule, Weights, merged_biases, query_factor, renamed, second_bias
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
from multinn.layers.sequences.recurrent import Recurrent

_WEIGHT_AND_BIAS = {"W": "weight", "b": "bias"}
_SCALE_AND_SHIFT = {"gamma": "weight", "beta": "bias"}
_RUNNING = {"mean": "running_mean", "variance": "running_var"}
_BATCH_NORM = renamed(_SCALE_AND_SHIFT | _RUNNING)


def _batch_norm_to_torch(layer: BatchNorm, params: Tree, state: Tree) -> dict[str, HostArray]:
    return _BATCH_NORM.to_theirs(layer, params, state) | {"num_batches_tracked": np.array(0)}


def _recurrent_to_torch(layer: Recurrent, params: Tree, state: Tree) -> dict[str, HostArray]:
    """Return the weights by their names without the number of the layer, such as _l0."""
    if isinstance(layer, GRU) and not layer.reset_after:
        raise ValueError("expected reset_after=True, as in torch.nn.GRU, got reset_after=False")
    return {
        "weight_ih": params["W"].T,
        "weight_hh": params["U"].T,
        "bias_ih": params["b"],
        "bias_hh": second_bias(params),
    }


def _recurrent_from_torch(layer: Recurrent, weights: Weights) -> tuple[Tree, Tree]:
    biases = merged_biases(layer, weights["bias_ih"], weights["bias_hh"])
    return {"W": weights["weight_ih"].T, "U": weights["weight_hh"].T, **biases}, {}


def _attention_to_torch(layer: MultiHeadAttention, params: Tree, state: Tree) -> dict[str, HostArray]:
    matrices = [params[name]["W"].T for name in ("query", "key", "value")]
    factor = query_factor(layer, len(matrices[0]))
    matrices[0] = matrices[0] * factor
    features = params["output"]["W"].shape[1]
    if {len(matrix) for matrix in matrices} != {features}:
        raise ValueError(
            "expected heads of size features / heads, as PyTorch has them, got key_size "
            f"{layer.key_size} and value_size {layer.value_size} for {features} features"
        )
    if matrices[1].shape[1] == features:
        weights = {"in_proj_weight": np.concatenate(matrices)}
    else:
        weights = dict(zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), matrices, strict=True))
    if layer.use_bias:
        query, value = params["query"]["b"] * factor, params["value"]["b"]
        weights["in_proj_bias"] = np.concatenate([query, np.zeros_like(query), value])
    weights["out_proj.weight"] = params["output"]["W"].T
    if layer.use_bias:
        weights["out_proj.bias"] = params["output"]["b"]
    return weights


def _attention_from_torch(layer: MultiHeadAttention, weights: Weights) -> tuple[Tree, Tree]:
    if "in_proj_weight" in weights:
        matrices = np.split(weights["in_proj_weight"], 3)
    else:
        matrices = [weights[f"{name}_proj_weight"] for name in "qkv"]
    factor = query_factor(layer, len(matrices[0]))
    matrices = [matrices[0] / factor, *matrices[1:], weights["out_proj.weight"]]
    names = ("query", "key", "value", "output")
    params = {name: {"W": W.T} for name, W in zip(names, matrices, strict=True)}
    if layer.use_bias:
        query, _, value = np.split(weights["in_proj_bias"], 3)
        biases = {"query": query / factor, "value": value, "output": weights["out_proj.bias"]}
        for name, b in biases.items():
            params[name]["b"] = b
    return params, {}


_RECURRENT = Rule(_recurrent_to_torch, _recurrent_from_torch)

RULES: dict[type[Layer], Rule] = {
    BatchNorm: Rule(_batch_norm_to_torch, _BATCH_NORM.from_theirs),
    Conv1D: renamed(_WEIGHT_AND_BIAS, {"W": (2, 1, 0)}),
    Conv2D: renamed(_WEIGHT_AND_BIAS, {"W": (3, 2, 0, 1)}),
    ConvTranspose1D: renamed(_WEIGHT_AND_BIAS, {"W": (2, 1, 0)}),
    ConvTranspose2D: renamed(_WEIGHT_AND_BIAS, {"W": (3, 2, 0, 1)}),
    Dense: renamed(_WEIGHT_AND_BIAS, {"W": (1, 0)}),
    Embedding: renamed({"W": "weight"}),
    GRU: _RECURRENT,
    GroupNorm: renamed(_SCALE_AND_SHIFT),
    LSTM: _RECURRENT,
    LayerNorm: renamed(_SCALE_AND_SHIFT),
    MultiHeadAttention: Rule(_attention_to_torch, _attention_from_torch),
    PReLU: renamed({"a": "weight"}),
    RMSNorm: renamed({"gamma": "weight"}),
    SimpleRNN: _RECURRENT,
}
