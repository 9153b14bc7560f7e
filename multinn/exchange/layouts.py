"""In what order PyTorch has the features that Flatten makes of images, whose channels it has first."""

from dataclasses import dataclass, replace

import numpy as np

from backends import tree
from multinn.exchange.places import Path, Place
from multinn.layers import (
    AveragePool1D,
    AveragePool2D,
    ChannelsLast,
    Container,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Embedding,
    Flatten,
    Layer,
    MaxPool1D,
    MaxPool2D,
    MultiHeadAttention,
    Sequential,
)
from multinn.layers.base import HostArray, Shape
from multinn.layers.recurrent import Recurrent

_CHANNELS_FIRST = (
    AveragePool1D,
    AveragePool2D,
    ChannelsLast,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    MaxPool1D,
    MaxPool2D,
)
_CHANNELS_LAST = (Embedding, MultiHeadAttention, Recurrent)


@dataclass(frozen=True)
class _Flow:
    """What goes into a layer.

    Attributes:
        shape: without the batch, as multinn has it.
        channels_first: whether PyTorch has it with the channels first.
        rows: which of our features each of PyTorch's is, None where they are in one order.
    """

    shape: Shape
    channels_first: bool
    rows: HostArray | None = None


def rows_of_flat_images(model: Layer, input_shape: Shape | None) -> dict[Path, HostArray]:
    """Return, for each Dense after Flatten by its path, which row of our W each column of PyTorch's is.

    Raises:
        ValueError: there is Flatten, and no input_shape; or another layer with parameters follows.
    """
    if not _has_flatten(model):
        return {}
    if input_shape is None:
        raise ValueError(
            "exchange: expected the input_shape of a model with Flatten, which PyTorch does in another "
            "order where channels come first, got None"
        )
    rows: dict[Path, HostArray] = {}
    _follow(model, (), _Flow(tuple(input_shape), len(input_shape) == 3), rows)
    return rows


def _has_flatten(layer: Layer) -> bool:
    if isinstance(layer, Container):
        return any(map(_has_flatten, layer.children))
    return isinstance(layer, Flatten)


def _follow(layer: Layer, path: Path, flow: _Flow, rows: dict[Path, HostArray]) -> _Flow:
    """Return what comes out of a layer, and add to the rows."""
    if isinstance(layer, Sequential):
        for index, child in enumerate(layer.layers):
            flow = _follow(child, (*path, index), flow, rows)
        return flow
    params, shape = layer.init(np.random.default_rng(0), flow.shape)
    if isinstance(layer, Container):
        return _follow_branches(layer, path, flow, shape, rows)
    if isinstance(layer, Flatten):
        return _Flow(shape, channels_first=False, rows=_flattened(flow))
    if isinstance(layer, Dense) and flow.rows is not None:
        rows[path] = flow.rows
        return _Flow(shape, channels_first=False)
    if flow.rows is not None and tree.leaves(params):
        raise _not_in_one_order(layer, path)
    channels_first = isinstance(layer, _CHANNELS_FIRST) or (
        flow.channels_first and not isinstance(layer, _CHANNELS_LAST)
    )
    return replace(flow, shape=shape, channels_first=channels_first)


def _follow_branches(
    layer: Container, path: Path, flow: _Flow, shape: Shape, rows: dict[Path, HostArray]
) -> _Flow:
    ends = [_follow(child, (*path, i), flow, rows) for i, child in enumerate(layer.children)]
    if any(end.rows is not None for end in ends):
        raise _not_in_one_order(layer, path)
    return _Flow(shape, channels_first=ends[0].channels_first)


def _flattened(flow: _Flow) -> HostArray | None:
    """Return the rows after Flatten: our features, counted, with the channels first."""
    if not flow.channels_first or len(flow.shape) < 2:
        return flow.rows
    ours = np.arange(np.prod(flow.shape)).reshape(flow.shape)
    return np.moveaxis(ours, -1, 0).ravel()


def _not_in_one_order(layer: Layer, path: Path) -> ValueError:
    return ValueError(
        f"{Place(layer, path)}: expected Dense as the first layer with parameters after Flatten of "
        "images, which PyTorch flattens in another order"
    )
