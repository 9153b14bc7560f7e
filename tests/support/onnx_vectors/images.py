"""Convolution, pooling and normalizations for the vectors of ONNX."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from backends import HostArray
from multinn import (
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    GroupNorm,
    LayerNorm,
    MaxPool1D,
    MaxPool2D,
    RMSNorm,
)
from tests.support.onnx_vectors.base import (
    Outputs,
    Run,
    Vector,
    builds,
    channels_first,
    channels_last,
    require,
)


def _per_axis(values: Sequence[int]) -> Any:
    """Return the hyperparameter of a layer of sequences, an integer, or of images, a pair."""
    return values[0] if len(values) == 1 else tuple(values)


def _padding(v: Vector, x: HostArray, kernel: Sequence[int]) -> Any:
    """Return the padding; ONNX has all numbers before the axes first, then those after."""
    axes, rule = len(kernel), v.get("auto_pad", "NOTSET")
    if rule in ("VALID", "SAME_UPPER"):
        return "valid" if rule == "VALID" else "same"
    pads = v.get("pads", [0] * (2 * axes))
    margins = [(pads[axis], pads[axis + axes]) for axis in range(axes)]
    if rule == "SAME_LOWER":
        totals = _missing(v, x, kernel)
        margins = [(total - total // 2, total // 2) for total in totals]
    return _per_axis(margins)


def _missing(v: Vector, x: HostArray, kernel: Sequence[int]) -> list[int]:
    """Return the total padding along each axis for ceil(length / stride) windows."""
    strides, dilations = (v.get(name, [1] * len(kernel)) for name in ("strides", "dilations"))
    lengths = zip(x.shape[2:], kernel, strides, dilations, strict=True)
    return [max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0) for n, k, s, d in lengths]


@builds("Conv")
def _convolution(v: Vector, run: Run) -> Outputs:
    x, W = v.inputs[:2]
    kernel = W.shape[2:]
    layer = (Conv1D if len(kernel) == 1 else Conv2D)(
        W.shape[0],
        _per_axis(kernel),
        _per_axis(v.get("strides", [1] * len(kernel))),
        _padding(v, x, kernel),
        _per_axis(v.get("dilations", [1] * len(kernel))),
        v.get("group", 1),
        use_bias=v.input(2) is not None,
    )
    params = {"W": np.moveaxis(W, (0, 1), (-1, -2))}
    if layer.use_bias:
        params["b"] = v.inputs[2]
    return [channels_first(run(layer, channels_last(x), params))]


@builds("ConvTranspose")
def _convolution_transpose(v: Vector, run: Run) -> Outputs:
    x, W = v.inputs
    kernel, groups = W.shape[2:], v.get("group", 1)
    require(len(kernel) < 3, "three axes")
    extra, strides = (
        v.get(name, [d] * len(kernel)) for name, d in (("output_padding", 0), ("strides", 1))
    )
    if "output_shape" in v.attributes:
        lengths = zip(x.shape[2:], kernel, strides, v.get("output_shape"), strict=True)
        extra = [n - ((length - 1) * s + k) for length, k, s, n in lengths]
    layer = (ConvTranspose1D if len(kernel) == 1 else ConvTranspose2D)(
        W.shape[1] * groups,
        _per_axis(kernel),
        _per_axis(strides),
        _padding(v, x, kernel),
        _per_axis(extra),
        _per_axis(v.get("dilations", [1] * len(kernel))),
        groups,
        use_bias=False,
    )
    return [channels_first(run(layer, channels_last(x), {"W": np.moveaxis(W, (0, 1), (-1, -2))}))]


@builds("MaxPool", "AveragePool")
def _pool(v: Vector, run: Run) -> Outputs:
    """Compare the maxima or means; the indices of the maxima are no output."""
    (x,) = v.inputs
    kernel = v.get("kernel_shape")
    require(len(kernel) < 3, "three axes")
    pools = ((MaxPool1D, MaxPool2D), (AveragePool1D, AveragePool2D))
    options: dict[str, Any] = {
        "dilation": _per_axis(v.get("dilations", [1] * len(kernel))),
        "ceil_mode": bool(v.get("ceil_mode", 0)),
    }
    if v.operator == "AveragePool":
        options["count_padding"] = bool(v.get("count_include_pad", 0))
    kind: Any = pools[v.operator == "AveragePool"][len(kernel) - 1]
    strides = _per_axis(v.get("strides", [1] * len(kernel)))
    layer = kind(_per_axis(kernel), strides, _padding(v, x, kernel), **options)
    return [channels_first(run(layer, channels_last(x.astype(np.float32))))]


@builds("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(v: Vector, run: Run) -> Outputs:
    layer = GlobalAveragePool2D() if v.operator == "GlobalAveragePool" else GlobalMaxPool2D()
    return [run(layer, channels_last(v.inputs[0]))[:, :, None, None]]


@builds("BatchNormalization")
def _batch_norm(v: Vector, run: Run) -> Outputs:
    """Compare the output; our running variance has the factor n / (n - 1), as PyTorch's has."""
    x, gamma, beta, mean, variance = v.inputs
    layer, zeros = BatchNorm(epsilon=v.get("epsilon", 1e-5)), np.zeros_like(mean)
    state = {"mean": mean, "mean_weight": zeros, "variance": variance, "variance_weight": zeros}
    training = bool(v.get("training_mode", 0))
    params = {"gamma": gamma, "beta": beta}
    return [channels_first(run(layer, channels_last(x), params, state=state, training=training))]


@builds("InstanceNormalization", "GroupNormalization")
def _group_norm(v: Vector, run: Run) -> Outputs:
    x, gamma, beta = v.inputs
    layer = GroupNorm(v.get("num_groups", len(gamma)), v.get("epsilon", 1e-5))
    return [channels_first(run(layer, channels_last(x), {"gamma": gamma, "beta": beta}))]


@builds("LayerNormalization", "RMSNormalization")
def _layer_norm(v: Vector, run: Run) -> Outputs:
    """Compare the output; the mean is no output. Axes before the normalized ones are the batch."""
    x, *parameters = v.inputs
    axes = -(v.get("axis", -1) % x.ndim) + x.ndim
    kind: Any = LayerNorm if v.operator == "LayerNormalization" else RMSNorm
    layer = kind(v.get("epsilon", 1e-5), axes)
    params = dict(zip(("gamma", "beta"), parameters, strict=False))
    return [run(layer, x.reshape(-1, *x.shape[x.ndim - axes :]), params).reshape(x.shape)]
