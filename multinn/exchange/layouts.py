"""Parameters whose order differs in PyTorch, as it has the channels of images first."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backends import HostArray, Shape, Tree, tree
from multinn.exchange.rules import Path, Place
from multinn.host.shapes_only import ShapesOnly
from multinn.host.trees import map_shapes
from multinn.layers import (
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    ChannelsLast,
    Columns,
    Concatenate,
    Container,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    Dense,
    Embedding,
    Flatten,
    GroupNorm,
    Identity,
    Layer,
    LayerNorm,
    MaxPool1D,
    MaxPool2D,
    MultiHeadAttention,
    Parallel,
    PReLU,
    RMSNorm,
    Select,
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
    ConvTranspose1D,
    ConvTranspose2D,
    GroupNorm,
    MaxPool1D,
    MaxPool2D,
    PReLU,
)
_CHANNELS_LAST = (Embedding, MultiHeadAttention, Recurrent)


@dataclass(frozen=True)
class Order:
    """A pair of inverse functions between the parameters of a layer in our order and in PyTorch's."""

    to_theirs: Callable[[Tree], Tree]
    to_ours: Callable[[Tree], Tree]


@dataclass(frozen=True)
class _Flow:
    """The input of a layer; several inputs are a tuple or a dict of flows.

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


def orders_of_layers(model: Layer, input_shape: Any) -> dict[Path, Order]:
    """Return the orders of Dense after Flatten of images, and of LayerNorm over images, by their paths.

    Raises:
        ValueError: a model with such layers has no input_shape; the next layer with parameters after
            Flatten is not Dense; branches have the channels at different places; or LayerNorm is over
            axes of images that PyTorch does not have last.
    """
    if not _depends_on_shape(model):
        return {}
    if input_shape is None:
        raise ValueError(
            "exchange: expected the input_shape of a model with Flatten, or with LayerNorm over several "
            "axes, as PyTorch has images in another order, with the channels first, got None"
        )
    orders: dict[Path, Order] = {}
    _follow(model, (), map_shapes(lambda shape: _Flow(shape, len(shape) == 3), input_shape), orders)
    return orders


def _depends_on_shape(layer: Layer) -> bool:
    if isinstance(layer, Container):
        return any(map(_depends_on_shape, layer.children))
    return isinstance(layer, Flatten) or (isinstance(layer, LayerNorm | RMSNorm) and layer.axes > 1)


def _follow(layer: Layer, path: Path, flow: Any, orders: dict[Path, Order]) -> Any:
    """Return the flow after a layer, and add the order of each layer whose order differs."""
    if isinstance(layer, Identity):
        return flow
    if isinstance(layer, Select):
        return flow[layer.entry]
    if isinstance(layer, Sequential):
        for index, child in enumerate(layer.layers):
            flow = _follow(child, (*path, index), flow, orders)
        return flow
    params, shape = layer.init(ShapesOnly(), tree.map(lambda own: own.shape, flow))
    if isinstance(layer, Container):
        return _follow_branches(layer, path, flow, shape, orders)
    flows = tree.leaves(flow)
    flow = next((own for own in flows if own.rows is not None), flows[0])
    if isinstance(layer, Flatten):
        return _Flow(shape, channels_first=False, rows=_flattened(flow))
    if isinstance(layer, Dense) and flow.rows is not None:
        orders[path] = _order_of_rows(flow.rows)
        return _Flow(shape, channels_first=False)
    if isinstance(layer, LayerNorm | RMSNorm) and layer.axes > 1 and flow.channels_first:
        orders[path] = _order_of_channels(layer, path, len(flow.shape))
    if flow.rows is not None and (tree.leaves(params) or isinstance(layer, Columns)):
        raise _not_in_one_order(layer, path)
    if isinstance(layer, _CHANNELS_FIRST + _CHANNELS_LAST):
        flow = replace(flow, channels_first=isinstance(layer, _CHANNELS_FIRST), decided=True)
    return replace(flow, shape=shape)


def _order_of_rows(rows: HostArray) -> Order:
    """Return the order of a Dense whose row rows[i] belongs to column i of PyTorch's."""
    inverse = np.argsort(rows)
    return Order(lambda own: own | {"W": own["W"][rows]}, lambda own: own | {"W": own["W"][inverse]})


def _order_of_channels(layer: LayerNorm | RMSNorm, path: Path, axes: int) -> Order:
    """Return the order of a normalization over all axes, of which PyTorch has the channels first."""
    if layer.axes < axes:
        raise ValueError(
            f"{Place(layer, path)}: expected axes={axes}, all axes of an example, or axes=1, as PyTorch "
            f"has the channels first, and so other last axes, got axes={layer.axes}"
        )
    return Order(
        lambda own: {name: np.moveaxis(values, -1, 0) for name, values in own.items()},
        lambda own: {name: np.moveaxis(values, 0, -1) for name, values in own.items()},
    )


def _follow_branches(
    layer: Container, path: Path, flow: Any, shape: Any, orders: dict[Path, Order]
) -> Any:
    """Return the flow after branches; branches that fix the place of the channels decide for all."""
    start = tree.map(lambda own: replace(own, decided=False), flow)
    ends = [_follow(child, (*path, i), start, orders) for i, child in enumerate(layer.children)]
    if isinstance(layer, Parallel):
        return tuple(ends) if layer.names is None else dict(zip(layer.names, ends, strict=True))
    if any(end.rows is not None for end in ends):
        if not isinstance(layer, Concatenate):
            raise _not_in_one_order(layer, path)
        return _Flow(shape, channels_first=False, rows=_joined_rows(ends))
    with_channels = [end for end in ends if len(end.shape) > 1]
    needed = {end.channels_first for end in with_channels if end.decided}
    if len(needed) > 1:
        raise ValueError(
            f"{Place(layer, path)}: expected branches whose outputs have the channels at the same place "
            "in PyTorch, as Flatten depends on it, got first and last; exchange each branch separately"
        )
    channels_first = any(needed or (end.channels_first for end in with_channels))
    was_decided = any(own.decided for own in tree.leaves(flow))
    return _Flow(shape, channels_first, decided=was_decided or bool(needed))


def _joined_rows(ends: list[_Flow]) -> HostArray:
    """Return the rows of the concatenation of flat outputs."""
    rows, start = [], 0
    for end in ends:
        rows.append(start + (np.arange(end.shape[0]) if end.rows is None else end.rows))
        start += end.shape[0]
    return np.concatenate(rows)


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
