"""Convolution and pooling as ONNX operators, which have the channels first."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backends import Shape, Tree, get_backend
from multinn.layers import (
    AveragePool1D,
    AveragePool2D,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
)
from multinn.layers.images.geometry import Geometry, Pair
from multinn.onnx.graph import Graph, Value
from multinn.onnx.registry import converts


@converts(Conv2D, any_layout=True)
@converts(Conv1D, any_layout=True, takes_mask=True)
def _convolution(graph: Graph, layer: Conv1D | Conv2D, params: Tree, state: Tree, x: Value) -> Value:
    geometry, axes = layer._geometry, len(x.shape) - 1
    x = graph.with_channels_first(graph.with_zero_padding(x))
    y = graph.add(
        "Conv",
        x.name,
        *_weights(graph, params),
        **_windows(geometry, x.shape[:-1], axes),
        dilations=geometry.dilation[-axes:],
        group=layer.groups,
    )
    return replace(x, name=y, shape=(*_count(geometry, x.shape[:-1]), layer.filters))


@converts(ConvTranspose1D, ConvTranspose2D, any_layout=True)
def _convolution_transpose(
    graph: Graph, layer: ConvTranspose1D | ConvTranspose2D, params: Tree, state: Tree, x: Value
) -> Value:
    geometry, places, axes = layer._geometry, _as_image(x.shape[:-1]), len(x.shape) - 1
    shape = layer._output_shape(places)
    x = graph.with_channels_first(x)
    margins = geometry.margins(shape)
    lengths = zip(shape, places, geometry.stride, margins, geometry.extent, strict=True)
    extra = [length - (n - 1) * s + sum(m) - e for length, n, s, m, e in lengths]
    y = graph.add(
        "ConvTranspose",
        x.name,
        *_weights(graph, params),
        **_windows(geometry, shape, axes),
        dilations=geometry.dilation[-axes:],
        group=layer.groups,
        output_padding=extra[-axes:],
    )
    return replace(x, name=y, shape=(*shape[-axes:], layer.filters))


@converts(MaxPool1D, MaxPool2D, any_layout=True)
def _max_pool(graph: Graph, layer: MaxPool1D | MaxPool2D, params: Tree, state: Tree, x: Value) -> Value:
    geometry, axes = layer._geometry, len(x.shape) - 1
    margins = geometry.margins(_as_image(x.shape[:-1]))[-axes:]
    if any(max(margin) >= k for margin, k in zip(margins, geometry.size[-axes:], strict=True)):
        # With dilation, the padding may be as large as pool_size, which ONNX Runtime refuses.
        x = _padded(graph, x, margins)
        geometry = replace(geometry, padding="valid", ceil_mode=False)
    return _pool(graph, "MaxPool", geometry, x, dilations=geometry.dilation[-axes:])


def _padded(graph: Graph, x: Value, margins: Sequence[Pair]) -> Value:
    """Add a padding of -∞ around each image or sequence."""
    x = graph.with_channels_first(x)
    pads = [0, 0, *(before for before, _ in margins), 0, 0, *(after for _, after in margins)]
    y = graph.add("Pad", x.name, graph.integers(pads, "pads"), graph.constant(-math.inf, "padding"))
    shape = [n + sum(margin) for n, margin in zip(x.shape, margins, strict=False)]
    return replace(x, name=y, shape=(*shape, x.shape[-1]))


@converts(AveragePool1D, AveragePool2D, any_layout=True)
def _average_pool(
    graph: Graph, layer: AveragePool1D | AveragePool2D, params: Tree, state: Tree, x: Value
) -> Value:
    geometry, counts = layer._geometry, layer.count_padding
    if geometry.dilation == (1, 1) and not (geometry.ceil_mode and counts):
        return _pool(graph, "AveragePool", geometry, x, count_include_pad=int(counts))
    return _average_by_convolution(graph, layer, x)


def _average_by_convolution(graph: Graph, layer: AveragePool1D | AveragePool2D, x: Value) -> Value:
    """Add sums of windows as a convolution, times 1 / n, for what AveragePool of this opset lacks.

    It has no dilation, and with ``count_include_pad`` it would count all the explicit padding, also
    what ceil mode adds.
    """
    geometry, axes, channels = layer._geometry, len(x.shape) - 1, x.shape[-1]
    ones = graph.constant(np.ones((channels, 1, *geometry.size[-axes:])), "ones")
    sums = _pool(graph, "Conv", geometry, x, ones, dilations=geometry.dilation[-axes:], group=channels)
    planes = np.ones((1, *_as_image(x.shape[:-1]), 1))
    share = np.asarray(layer._share(get_backend("numpy:eager"), planes))
    share = np.reshape(share, (1, 1, *sums.shape[:-1]) if share.ndim else ())
    return replace(sums, name=graph.add("Mul", sums.name, graph.constant(share, "share")))


@converts(GlobalAveragePool2D, any_layout=True)
def _global_average_pool(
    graph: Graph, layer: GlobalAveragePool2D, params: Tree, state: Tree, x: Value
) -> Value:
    return _reduced(graph, "ReduceMean", x)


@converts(GlobalMaxPool2D, any_layout=True)
def _global_max_pool(graph: Graph, layer: GlobalMaxPool2D, params: Tree, state: Tree, x: Value) -> Value:
    return _reduced(graph, "ReduceMax", x)


def _reduced(graph: Graph, operator: str, x: Value) -> Value:
    axes = (2, 3) if x.channels_first else (1, 2)
    return Value(graph.add(operator, x.name, axes=axes, keepdims=0), x.shape[2:])


def _pool(
    graph: Graph, operator: str, geometry: Geometry, x: Value, *inputs: str, **attributes: Any
) -> Value:
    x = graph.with_channels_first(x)
    windows = _windows(geometry, x.shape[:-1], axes=len(x.shape) - 1)
    y = graph.add(operator, x.name, *inputs, **windows, **attributes)
    return replace(x, name=y, shape=(*_count(geometry, x.shape[:-1]), x.shape[-1]))


def _weights(graph: Graph, params: Tree) -> list[str]:
    """Add W (k, k, one, other) as (other, one, k, k), as both convolutions need it, and b."""
    W = graph.constant(np.moveaxis(params["W"], (-1, -2), (0, 1)), "W")
    return [W, graph.constant(params["b"], "b")] if "b" in params else [W]


def _windows(geometry: Geometry, places: Shape, axes: int) -> dict[str, Any]:
    """Return the attributes of the windows; ``axes`` is 1 for sequences and 2 for images."""
    margins = geometry.margins(_as_image(places))[-axes:]
    return {
        "kernel_shape": geometry.size[-axes:],
        "strides": geometry.stride[-axes:],
        "pads": [before for before, _ in margins] + [after for _, after in margins],
    }


def _count(geometry: Geometry, places: Shape) -> Shape:
    return geometry.count(_as_image(places))[-len(places) :]


def _as_image(places: Shape) -> Shape:
    return (1,) * (2 - len(places)) + places
