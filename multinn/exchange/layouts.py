"""The order of the features after Flatten in PyTorch, where the channels of images come first."""

from dataclasses import dataclass, replace

import numpy as np

from backends import HostArray, Shape, tree
from multinn.exchange.rules import Path, Place
from multinn.layers import (
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    ChannelsLast,
    Container,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Embedding,
    Flatten,
    GroupNorm,
    Layer,
    MaxPool1D,
    MaxPool2D,
    MultiHeadAttention,
    Parallel,
    PReLU,
    Sequential,
)
from multinn.layers.sequences.recurrent import Recurrent

_CHANNELS_FIRST = (
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    ChannelsLast,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    GroupNorm,
    MaxPool1D,
    MaxPool2D,
    PReLU,
)
_CHANNELS_LAST = (Embedding, MultiHeadAttention, Recurrent)


@dataclass(frozen=True)
class _Flow:
    """The input of a layer.

    Attributes:
        shape: without the batch, in multinn's order.
        channels_first: whether PyTorch has the channels first.
        rows: the index of our feature for each of PyTorch's; None if they are in the same order.
        decided: whether a layer of the branch, or of the model, has fixed the place of the channels.
    """

    shape: Shape
    channels_first: bool
    rows: HostArray | None = None
    decided: bool = False


def rows_of_flat_images(model: Layer, input_shape: Shape | None) -> dict[Path, HostArray]:
    """Return the row of our W for each column of PyTorch's, by the path of each Dense after Flatten.

    Raises:
        ValueError: a model with Flatten has no input_shape; the next layer with parameters is not Dense;
            or branches have the channels at different places.
    """
    if not _has_flatten(model):
        return {}
    if input_shape is None:
        raise ValueError(
            "exchange: expected the input_shape of a model with Flatten, as PyTorch flattens images in "
            "another order, with the channels first, got None"
        )
    rows: dict[Path, HostArray] = {}
    _follow(model, (), _Flow(tuple(input_shape), len(input_shape) == 3), rows)
    return rows


def _has_flatten(layer: Layer) -> bool:
    if isinstance(layer, Container):
        return any(map(_has_flatten, layer.children))
    return isinstance(layer, Flatten)


def _follow(layer: Layer, path: Path, flow: _Flow, rows: dict[Path, HostArray]) -> _Flow:
    """Return the flow after a layer, and add the rows of each Dense after Flatten."""
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
    if isinstance(layer, _CHANNELS_FIRST + _CHANNELS_LAST):
        flow = replace(flow, channels_first=isinstance(layer, _CHANNELS_FIRST), decided=True)
    return replace(flow, shape=shape)


def _follow_branches(
    layer: Container, path: Path, flow: _Flow, shape: Shape, rows: dict[Path, HostArray]
) -> _Flow:
    """Return the flow after branches; branches that fix the place of the channels decide for all."""
    start = replace(flow, decided=False)
    ends = [_follow(child, (*path, i), start, rows) for i, child in enumerate(layer.children)]
    if any(end.rows is not None for end in ends):
        raise _not_in_one_order(layer, path)
    needed = {end.channels_first for end in ends if end.decided and len(end.shape) > 1}
    if len(needed) > 1 and not isinstance(layer, Parallel):
        raise ValueError(
            f"{Place(layer, path)}: expected branches whose outputs have the channels at the same place "
            "in PyTorch, as Flatten depends on it, got first and last; exchange each branch separately"
        )
    channels_first = any(needed) if needed else flow.channels_first
    return _Flow(shape, channels_first, decided=flow.decided or bool(needed))


def _flattened(flow: _Flow) -> HostArray | None:
    """Return the rows after Flatten: the indices of our features with the channels first."""
    if not flow.channels_first or len(flow.shape) < 2:
        return flow.rows
    ours = np.arange(np.prod(flow.shape)).reshape(flow.shape)
    return np.moveaxis(ours, -1, 0).ravel()


def _not_in_one_order(layer: Layer, path: Path) -> ValueError:
    return ValueError(
        f"{Place(layer, path)}: expected Dense as the first layer with parameters after Flatten of "
        "images, which PyTorch flattens in another order"
    )
