"""Parameters whose order differs in PyTorch, as it has the channels of images first."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from backends import HostArray, Shape, Tree, tree
from multinn.exchange.rules import Path, Place
from multinn.layers import (
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    ChannelsLast,
    Container,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    Dense,
    Embedding,
    Flatten,
    GroupNorm,
    Layer,
    LayerNorm,
    MaxPool1D,
    MaxPool2D,
    MultiHeadAttention,
    Parallel,
    PReLU,
    RMSNorm,
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


def orders_of_layers(model: Layer, input_shape: Shape | None) -> dict[Path, Order]:
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
    _follow(model, (), _Flow(tuple(input_shape), len(input_shape) == 3), orders)
    return orders


def _depends_on_shape(layer: Layer) -> bool:
    if isinstance(layer, Container):
        return any(map(_depends_on_shape, layer.children))
    return isinstance(layer, Flatten) or (isinstance(layer, LayerNorm | RMSNorm) and layer.axes > 1)


def _follow(layer: Layer, path: Path, flow: _Flow, orders: dict[Path, Order]) -> _Flow:
    """Return the flow after a layer, and add the order of each layer whose order differs."""
    if isinstance(layer, Sequential):
        for index, child in enumerate(layer.layers):
            flow = _follow(child, (*path, index), flow, orders)
        return flow
    params, shape = layer.init(np.random.default_rng(0), flow.shape)
    if isinstance(layer, Container):
        return _follow_branches(layer, path, flow, shape, orders)
    if isinstance(layer, Flatten):
        return _Flow(shape, channels_first=False, rows=_flattened(flow))
    if isinstance(layer, Dense) and flow.rows is not None:
        orders[path] = _order_of_rows(flow.rows)
        return _Flow(shape, channels_first=False)
    if isinstance(layer, LayerNorm | RMSNorm) and layer.axes > 1 and flow.channels_first:
        orders[path] = _order_of_channels(layer, path, len(flow.shape))
    if flow.rows is not None and tree.leaves(params):
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
    layer: Container, path: Path, flow: _Flow, shape: Shape, orders: dict[Path, Order]
) -> _Flow:
    """Return the flow after branches; branches that fix the place of the channels decide for all."""
    start = replace(flow, decided=False)
    ends = [_follow(child, (*path, i), start, orders) for i, child in enumerate(layer.children)]
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
