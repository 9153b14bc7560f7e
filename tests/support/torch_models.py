"""Models of this library as functions of PyTorch, with the same weights."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from multinn import layers
from multinn.layers import Container, Layer

Weights = Mapping[str, Tensor]
Path = tuple[int, ...]


def run(layer: Layer, weights: Mapping[Path, Weights], x: Any, path: Path = ()) -> Any:
    """Return the outputs of a layer at inference, with the channels last as here.

    Args:
        layer: the layer.
        weights: for the path of each layer with parameters, its entries of `to_state_dict`.
        x: the inputs.
        path: the indices that lead from the model to the layer.
    """
    if not isinstance(layer, Container):
        return PEERS[type(layer)](layer, x, weights.get(path, {}))
    if isinstance(layer, layers.Sequential):
        for index, child in enumerate(layer.layers):
            x = run(child, weights, x, (*path, index))
        return x
    outputs = [run(child, weights, x, (*path, i)) for i, child in enumerate(layer.children)]
    if isinstance(layer, layers.Parallel):
        return tuple(outputs) if layer.names is None else dict(zip(layer.names, outputs, strict=True))
    if isinstance(layer, layers.Concatenate):
        return torch.cat(outputs, layer.axis)
    if isinstance(layer, layers.Bidirectional) and layer.merge == "concatenate":
        return torch.cat(outputs, -1)
    return sum(outputs)


def has_peer(layer: Layer) -> bool:
    """Return whether PyTorch has the layer, with these hyperparameters."""
    if isinstance(layer, Container):
        return all(map(has_peer, layer.children))
    if isinstance(layer, layers.MultiHeadAttention):
        return layer.key_size is None and layer.value_size is None
    if isinstance(layer, layers.Embedding):
        return layer.padding_id is None  # else there is a mask
    if isinstance(layer, layers.GRU):
        return layer.reset_after
    if isinstance(layer, layers.ConvTranspose1D | layers.ConvTranspose2D):
        return layer.padding != "same"
    if isinstance(layer, layers.AveragePool1D | layers.AveragePool2D):
        return layer.dilation in (1, (1, 1))
    return type(layer) in PEERS


def _channels_first(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return function(x.movedim(-1, 1)).movedim(1, -1)


def _recurrent(layer: Any, x: Tensor, weights: Weights) -> Tensor:
    kinds = {layers.SimpleRNN: nn.RNN, layers.GRU: nn.GRU, layers.LSTM: nn.LSTM}
    options = {"nonlinearity": layer.activation} if isinstance(layer, layers.SimpleRNN) else {}
    module = kinds[type(layer)](x.shape[-1], layer.units, batch_first=True, **options)
    y: Tensor = functional_call(module, dict(weights), x.flip(1) if layer.go_backwards else x)[0]
    if not layer.return_sequences:
        return y[:, -1]
    return y.flip(1) if layer.go_backwards else y


def _attention(layer: layers.MultiHeadAttention, x: Any, weights: Weights) -> Tensor:
    queries, context, *masks = x if isinstance(x, tuple) else (x, x)
    sizes = {"kdim": context.shape[-1], "vdim": context.shape[-1]}
    module = nn.MultiheadAttention(
        queries.shape[-1], layer.heads, bias=layer.use_bias, batch_first=True, **sizes
    )
    mask = torch.zeros(queries.shape[1], context.shape[1], dtype=queries.dtype)
    if layer.causal:
        mask = torch.full_like(mask, -math.inf).triu(1)
    for own in masks:  # (batch, time, time of the context)
        mask = mask + own.repeat_interleave(layer.heads, 0)
    arguments = (queries, context, context, None, False, mask)
    result: Tensor = functional_call(module, dict(weights), arguments)[0]
    return result


def _batch_norm(layer: layers.BatchNorm, x: Tensor, weights: Weights) -> Tensor:
    names = ("running_mean", "running_var", "weight", "bias")
    arguments = [weights[name] for name in names]
    return _channels_first(lambda x: functional.batch_norm(x, *arguments, eps=layer.epsilon), x)


def _group_norm(layer: layers.GroupNorm, x: Tensor, weights: Weights) -> Tensor:
    arguments = layer.groups, weights["weight"], weights["bias"], layer.epsilon
    return _channels_first(lambda x: functional.group_norm(x, *arguments), x)


def _each(value: Any, axes: int) -> Any:
    return (value,) * axes if isinstance(value, int) else value


def _margins(layer: Any, lengths: Sequence[int], size: Any) -> list[tuple[int, int]]:
    """Return the padding of a layer with windows of that size, without what ceil mode adds."""
    axes = len(lengths)
    if isinstance(layer.padding, int):
        return [(layer.padding, layer.padding)] * axes
    if not isinstance(layer.padding, str):
        return [layer.padding] if axes == 1 else list(layer.padding)
    margins = []
    geometry = [_each(v, axes) for v in (size, _stride(layer), getattr(layer, "dilation", 1))]
    for n, k, s, d in zip(lengths, *geometry, strict=True):
        extent = d * (k - 1) + 1
        same = max((math.ceil(n / s) - 1) * s + extent - n, 0)
        rules = {"valid": (0, 0), "same": (same // 2, same - same // 2), "causal": (extent - 1, 0)}
        margins.append(rules[layer.padding])
    return margins


def _padded(layer: Any, x: Tensor, size: Any, fill: float = 0.0) -> Tensor:
    """Return x (batch, channels, ...) with the padding of a layer with windows of that size."""
    margins = _margins(layer, x.shape[2:], size)
    ends = [end for margin in reversed(margins) for end in margin]  # the last axis first
    return functional.pad(x, ends, value=fill)


def _begun(layer: Any, x: Tensor, y: Tensor) -> Tensor:
    """Return the windows that begin before the end of x; in ceil mode, PyTorch takes padding for x."""
    margins = _margins(layer, x.shape[2:], layer.pool_size)
    strides = _each(_stride(layer), len(margins))
    for axis, ((before, _), stride) in enumerate(zip(margins, strides, strict=True), start=2):
        y = y.narrow(axis, 0, min(y.shape[axis], math.ceil((x.shape[axis] + before) / stride)))
    return y


def _stride(layer: Any) -> Any:
    return layer.pool_size if layer.stride is None else layer.stride


def _convolution(layer: Any, x: Tensor, weights: Weights) -> Tensor:
    convolve: Any = functional.conv1d if isinstance(layer, layers.Conv1D) else functional.conv2d
    arguments = weights["weight"], weights.get("bias"), layer.stride, 0, layer.dilation, layer.groups
    return _channels_first(lambda x: convolve(_padded(layer, x, layer.kernel_size), *arguments), x)


def _transposed(layer: Any, x: Tensor, weights: Weights) -> Tensor:
    convolve: Any = functional.conv_transpose1d if x.ndim == 3 else functional.conv_transpose2d
    padding = [before for before, _ in _margins(layer, x.shape[1:-1], layer.kernel_size)]
    options = (layer.stride, padding, layer.output_padding, layer.groups, layer.dilation)
    arguments = weights["weight"], weights.get("bias"), *options
    return _channels_first(lambda x: convolve(x, *arguments), x)


def _max_pool(layer: Any, x: Tensor, weights: Weights) -> Tensor:
    pool: Any = functional.max_pool1d if x.ndim == 3 else functional.max_pool2d
    size = layer.pool_size

    def largest(x: Tensor) -> Tensor:
        padded = _padded(layer, x, size, -math.inf)
        y = pool(padded, size, _stride(layer), 0, layer.dilation, ceil_mode=layer.ceil_mode)
        return _begun(layer, x, y)

    return _channels_first(largest, x)


def _average_pool(layer: Any, x: Tensor, weights: Weights) -> Tensor:
    pool: Any = functional.avg_pool1d if x.ndim == 3 else functional.avg_pool2d
    size, options = layer.pool_size, {"stride": _stride(layer), "ceil_mode": layer.ceil_mode}

    def average(x: Tensor) -> Tensor:
        counted = _padded(layer, torch.ones_like(x), size, float(layer.count_padding))
        y = pool(_padded(layer, x, size), size, **options) / pool(counted, size, **options)
        return _begun(layer, x, y)

    return _channels_first(average, x)


def _activation(module: nn.Module) -> Callable[[Any, Tensor, Weights], Tensor]:
    return lambda layer, x, weights: module(x)


PEERS: dict[type[Layer], Callable[[Any, Any, Weights], Tensor]] = {
    layers.AveragePool1D: _average_pool,
    layers.AveragePool2D: _average_pool,
    layers.BatchNorm: _batch_norm,
    layers.ChannelsLast: lambda layer, x, weights: x.movedim(1, -1),
    layers.Columns: lambda layer, x, weights: x[..., list(layer.columns)],
    layers.Conv1D: _convolution,
    layers.Conv2D: _convolution,
    layers.ConvTranspose1D: _transposed,
    layers.ConvTranspose2D: _transposed,
    layers.Dense: lambda layer, x, weights: functional.linear(x, weights["weight"], weights.get("bias")),
    layers.Dropout: lambda layer, x, weights: x,
    layers.ELU: lambda layer, x, weights: functional.elu(x, layer.alpha),
    layers.Embedding: lambda layer, x, weights: functional.embedding(
        x, weights["weight"], layer.padding_id
    ),
    layers.Flatten: lambda layer, x, weights: x.flatten(1),
    layers.GELU: lambda layer, x, weights: functional.gelu(x, approximate=layer.approximate),
    layers.GRU: _recurrent,
    layers.GlobalAveragePool1D: lambda layer, x, weights: x.mean(1),
    layers.GlobalAveragePool2D: lambda layer, x, weights: x.mean((1, 2)),
    layers.GlobalMaxPool1D: lambda layer, x, weights: x.amax(1),
    layers.GlobalMaxPool2D: lambda layer, x, weights: x.amax((1, 2)),
    layers.GroupNorm: _group_norm,
    layers.HardSwish: _activation(nn.Hardswish()),
    layers.Identity: lambda layer, x, weights: x,
    layers.LSTM: _recurrent,
    layers.LayerNorm: lambda layer, x, weights: functional.layer_norm(
        x, x.shape[-layer.axes :], weights["weight"], weights["bias"], layer.epsilon
    ),
    layers.LeakyReLU: lambda layer, x, weights: functional.leaky_relu(x, layer.negative_slope),
    layers.MaxPool1D: _max_pool,
    layers.MaxPool2D: _max_pool,
    layers.Mish: _activation(nn.Mish()),
    layers.MultiHeadAttention: _attention,
    layers.PReLU: lambda layer, x, weights: _channels_first(
        lambda x: functional.prelu(x, weights["weight"]), x
    ),
    layers.RMSNorm: lambda layer, x, weights: functional.rms_norm(
        x, x.shape[-layer.axes :], weights["weight"], layer.epsilon
    ),
    layers.ReLU: _activation(nn.ReLU()),
    layers.ReLU6: _activation(nn.ReLU6()),
    layers.Select: lambda layer, x, weights: x[layer.entry],
    layers.SiLU: _activation(nn.SiLU()),
    layers.Sigmoid: _activation(nn.Sigmoid()),
    layers.SimpleRNN: _recurrent,
    layers.Softmax: _activation(nn.Softmax(-1)),
    layers.Softplus: _activation(nn.Softplus()),
    layers.Softsign: _activation(nn.Softsign()),
    layers.SpatialDropout: lambda layer, x, weights: x,
    layers.Tanh: _activation(nn.Tanh()),
}
