"""In what order PyTorch has the features that Flatten makes of images, whose channels it has first."""

from dataclasses import dataclass, replace

import numpy as np

from backends import HostArray, Shape, tree
from multinn.exchange.places import Path, Place
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
    """What goes into a layer.

    Attributes:
        shape: without the batch, as multinn has it.
        channels_first: whether PyTorch has it with the channels first.
        rows: which of our features each of PyTorch's is, None where they are in one order.
        decided: whether a layer needs the channels there, since branches parted or the model began.
    """

    shape: Shape
    channels_first: bool
    rows: HostArray | None = None
    decided: bool = False


def rows_of_flat_images(model: Layer, input_shape: Shape | None) -> dict[Path, HostArray]:
    """Return, for each Dense after Flatten by its path, which row of our W each column of PyTorch's is.

    Raises:
        ValueError: there is Flatten, and no input_shape; another layer with parameters follows; or
            branches have the channels at different places.
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
    if isinstance(layer, _CHANNELS_FIRST + _CHANNELS_LAST):
        flow = replace(flow, channels_first=isinstance(layer, _CHANNELS_FIRST), decided=True)
    return replace(flow, shape=shape)


def _follow_branches(
    layer: Container, path: Path, flow: _Flow, shape: Shape, rows: dict[Path, HostArray]
) -> _Flow:
    """Return what comes out of branches, with the channels where those that need them somewhere do."""
    parted = replace(flow, decided=False)
    ends = [_follow(child, (*path, i), parted, rows) for i, child in enumerate(layer.children)]
    if any(end.rows is not None for end in ends):
        raise _not_in_one_order(layer, path)
    needed = {end.channels_first for end in ends if end.decided and len(end.shape) > 1}
    if len(needed) > 1 and not isinstance(layer, Parallel):
        raise ValueError(
            f"{Place(layer, path)}: expected branches that PyTorch runs all with the channels first, or "
            "all with the channels last, as Flatten depends on it, got both; exchange the weights of "
            "the branches one by one"
        )
    channels_first = any(needed) if needed else flow.channels_first
    return _Flow(shape, channels_first, decided=flow.decided or bool(needed))


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
