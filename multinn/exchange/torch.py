"""Weights in the form of PyTorch's ``state_dict``."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from backends import HostArray, Tree, tree
from multinn.exchange.layouts import Order, orders_of_layers
from multinn.exchange.rules import (
    Path,
    Place,
    Rule,
    check_model,
    exported,
    in_one_dtype,
    initial_trees,
    places,
    rule_of,
    with_replaced,
)
from multinn.exchange.torch_rules import RULES
from multinn.host.checks import check_shape
from multinn.host.text import shorten
from multinn.layers import (
    Bidirectional,
    Container,
    Dropout,
    Layer,
    Parallel,
    Sequential,
    TransformerBlock,
)
from multinn.layers.base import check_takes
from multinn.layers.sequences.recurrent import Recurrent


def to_state_dict(
    model: Layer, params: Tree, layer_state: Tree = None, input_shape: Any = None
) -> dict[str, HostArray]:
    """Return the weights of a model with the names and in the form of PyTorch.

    Names are those of a `torch.nn.Sequential` with the same layers at the same places, such as
    "0.weight"; those of a single layer are "weight" and so on. Parallel layers are numbered like
    layers in a row, as in `torch.nn.ModuleList`; those of a dict have their keys, as in
    `torch.nn.ModuleDict`, such as "1.price.weight". `TransformerBlock` is
    `torch.nn.TransformerEncoderLayer`, or with cross_attention `torch.nn.TransformerDecoderLayer`. The
    attention of PyTorch has a bias for keys, which has no effect: it is 0. PyTorch has the channels of
    images first, and so flattens images in another order: the rows of the first Dense after Flatten
    are permuted, and so are the axes of LayerNorm(axes=3). Before ``load_state_dict``, convert the
    arrays by ``torch.from_numpy``.

    A Sequential of at least two recurrent layers of one kind and width, with nothing but Dropout between
    them, is one `torch.nn.RNN`, `GRU` or `LSTM` of so many layers, such as `torch.nn.LSTM(3, 8,
    num_layers=2, dropout=0.1, batch_first=True)` for Sequential([LSTM(8, return_sequences=True),
    Dropout(0.1), LSTM(8, return_sequences=True)]). All but the last must return sequences. With
    Bidirectional around each, it is bidirectional=True.

    Args:
        model: the model.
        params: its parameters, a tree of arrays that NumPy can read.
        layer_state: the state of its layers, a tree of such arrays; None if it has none.
        input_shape: the shape of one example, without the batch, or a tuple or a dict of shapes for
            several inputs; needed if the model has Flatten, or LayerNorm over several axes.

    Raises:
        TypeError: the model is no layer.
        ValueError: a layer has no counterpart in PyTorch, input_shape is missing, or the parameters or
            the state do not fit the model.
    """
    check_model(model)
    if input_shape is not None:
        input_shape = check_shape(input_shape)
        check_takes(model, input_shape)
    return {
        part.name(key): np.ascontiguousarray(values).reshape(np.shape(values))
        for part in _parts_of(model, params, layer_state, input_shape)
        for key, values in part.weights.items()
    }


def from_state_dict(model: Layer, state_dict: Mapping[str, Any], input_shape: Any) -> tuple[Tree, Tree]:
    """Return the parameters of a model, and the state of its layers, from weights of PyTorch.

    Names and forms are those of `to_state_dict`; the recurrent layers of a Sequential may also be
    numbered like other layers. The bias of attention keys has no effect and is skipped. PyTorch does not
    save the weights of running averages (see `BatchNorm`). They become 0, so the next training step
    replaces the averages. All results have one dtype: float64 if one of the entries has it, else
    float32. `Trainer.initialize` takes both results.

    Args:
        model: the model.
        state_dict: NumPy arrays or tensors, by name.
        input_shape: the shape of one example, without the batch, or a tuple or a dict of shapes for
            several inputs.

    Raises:
        TypeError: an argument, or one of the entries, has another type.
        ValueError: a layer has no counterpart in PyTorch, or an entry is missing, unknown or of another
            shape; the message names it and the layer.
    """
    check_model(model)
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            "state_dict: expected a dict of arrays by name, as module.state_dict() returns it, got a "
            f"{type(state_dict).__name__}"
        )
    given, dtype = in_one_dtype(state_dict)
    params, layer_state = initial_trees(model, input_shape, dtype)
    parts = list(_parts_of(model, params, layer_state, input_shape))
    new_params, new_state = {}, {}
    for part in parts:
        place = part.place
        weights = {key: _taken(given, part, key) for key in part.weights}
        own, statistics = part.rule.from_theirs(place.layer, weights)
        own = own if part.order is None else part.order.to_ours(own)
        new_params[place.path] = tree.map(np.array, own)
        new_state[place.path] = place.own_state(layer_state) | statistics
    if given:
        raise _unknown(model, min(given, key=str), parts)
    return with_replaced(params, new_params), with_replaced(layer_state, new_state)


class _Part(NamedTuple):
    """A layer with parameters, as a module of PyTorch.

    Attributes:
        place: the layer.
        rule: the rule for it.
        order: the order of its parameters, if it differs.
        names: functions from the names of its weights to their names in the ``state_dict``: that which
            is written, and others that are read, too.
        weights: the weights in PyTorch's form.
    """

    place: Place
    rule: Rule
    order: Order | None
    names: tuple[Callable[[str], str], ...]
    weights: dict[str, HostArray]

    def name(self, key: str) -> str:
        return self.names[0](key)


def _parts_of(model: Layer, params: Tree, layer_state: Tree, input_shape: Any) -> Iterator[_Part]:
    found = list(places(model, params))
    orders = orders_of_layers(model, input_shape)
    for place in found:
        rule, order = rule_of(place, RULES, "PyTorch"), orders.get(place.path)
        names = tuple(name_of(model, place, stacks=stacks) for stacks in (True, False))
        own, state = (
            tree.map(np.asarray, each) for each in (place.own(params), place.own_state(layer_state))
        )
        own = own if order is None else order.to_theirs(own)
        yield _Part(place, rule, order, names, exported(place, rule, own, state))


def _taken(given: dict[str, HostArray], part: _Part, key: str) -> HostArray:
    """Take the entry of a weight out of those that are given, and check its shape."""
    like, name = part.weights[key], next((n(key) for n in part.names if n(key) in given), None)
    if name is None:
        if key == "num_batches_tracked":  # older files lack it, and it is not used
            return like
        others = shorten(", ".join(map(str, given)), 200) or "none"
        raise ValueError(
            f"{part.name(key)} of {part.place}: expected an array of shape {like.shape}, got no such "
            f"entry; the entries that are left are {others}"
        )
    values = given.pop(name)
    if values.shape != like.shape:
        raise ValueError(f"{name} of {part.place}: expected shape {like.shape}, got {values.shape}")
    return values


def _unknown(model: Layer, name: str, parts: list[_Part]) -> ValueError:
    """Return the error for an entry that belongs to no weight; the name may lead to a layer."""
    layer: Layer = model
    path: Path = ()
    for part in str(name).split("."):
        if not isinstance(layer, Container) or part not in (names := _names_of_children(layer)):
            break
        path = (*path, names.index(part))
        layer = layer.children[path[-1]]
    own = [part for part in parts if part.place.path[: len(path)] == path]
    known = [part.name(key) for part in own for key in part.weights]
    return ValueError(
        f"{name} of {Place(layer, path)}: expected no such entry; it has "
        + (", ".join(known) or "no entries")
    )


# The parts of torch.nn.TransformerEncoderLayer, and of TransformerDecoderLayer for a block with
# cross_attention, by their paths in TransformerBlock.
_NORMALIZED_FIRST: dict[Path, str] = {
    (0, 1, 0): "norm1",
    (0, 1, 1): "self_attn",
    (1, 1, 0): "norm2",
    (1, 1, 1): "linear1",
    (1, 1, 3): "linear2",
}
_NORMALIZED_LAST: dict[Path, str] = {
    (0, 1, 0): "self_attn",
    (1,): "norm1",
    (2, 1, 0): "linear1",
    (2, 1, 2): "linear2",
    (3,): "norm2",
}
_DECODER_NORMALIZED_FIRST: dict[Path, str] = {
    (0, 0, 1, 1, 0): "norm1",
    (0, 0, 1, 1, 1): "self_attn",
    (1, 1, 0, 0, 1): "norm2",
    (1, 1, 1): "multihead_attn",
    (2, 1, 0): "norm3",
    (2, 1, 1): "linear1",
    (2, 1, 3): "linear2",
}
_DECODER_NORMALIZED_LAST: dict[Path, str] = {
    (0, 0, 1, 1, 0): "self_attn",
    (0, 0, 2): "norm1",
    (1, 1, 0): "multihead_attn",
    (2,): "norm2",
    (3, 1, 0): "linear1",
    (3, 1, 2): "linear2",
    (4,): "norm3",
}
_PARTS = {  # by cross_attention and pre_normalization
    (False, True): _NORMALIZED_FIRST,
    (False, False): _NORMALIZED_LAST,
    (True, True): _DECODER_NORMALIZED_FIRST,
    (True, False): _DECODER_NORMALIZED_LAST,
}


def name_of(model: Layer, place: Place, *, stacks: bool = True) -> Callable[[str], str]:
    """Return the function from the names of a layer's weights to their names in the ``state_dict``.

    Args:
        model: the model.
        place: the layer.
        stacks: whether recurrent layers in a row can be one module, or each is one.

    Raises:
        ValueError: PyTorch has no such layer, or puts its outputs in another order.
    """
    parts, end = _parts(model, place, place.path, stacks)
    return lambda key: ".".join([*parts, f"{key}{end}"])


def _parts(layer: Layer, place: Place, path: Path, stacks: bool) -> tuple[list[str], str]:
    """Return the names on the path from a layer to a place, and the suffix of the last name."""
    if isinstance(layer, Recurrent):
        return [], "_l0"
    if stacks and isinstance(layer, Sequential) and _is_one_module(layer):
        _, end = _parts(layer.children[path[0]], place, path[1:], stacks)
        number = sum(not isinstance(each, Dropout) for each in layer.children[: path[0]])
        return [], end.replace("0", str(number))
    if isinstance(layer, Bidirectional):
        child = layer.children[path[0]]
        assert child == place.layer
        if layer.layer.go_backwards and layer.merge == "concatenate":
            raise ValueError(
                f"{place}: expected Bidirectional of a layer with go_backwards=False, as PyTorch puts "
                "the forward outputs first, got go_backwards=True; change it, or use merge='sum'"
            )
        return [], "_l0_reverse" if getattr(child, "go_backwards", False) else "_l0"
    if isinstance(layer, TransformerBlock):
        parts = _PARTS[layer.cross_attention, layer.pre_normalization]
        if path not in parts:
            kind = "Decoder" if layer.cross_attention else "Encoder"
            raise ValueError(
                f"{place}: expected a layer without weights, as in torch.nn.Transformer{kind}Layer"
            )
        return [parts[path]], ""
    if isinstance(layer, Container):
        names, end = _parts(layer.children[path[0]], place, path[1:], stacks)
        return [_names_of_children(layer)[path[0]], *names], end
    return [], ""


def _names_of_children(layer: Container) -> list[str]:
    """Return the names of the layers in a container, which are numbers unless it gives names."""
    names = layer.names if isinstance(layer, Parallel) else None
    return list(names or map(str, range(len(layer.children))))


def _is_one_module(model: Sequential) -> bool:
    """Return whether all layers are one recurrent module of PyTorch, with so many layers."""
    layers = [each for each in model.layers if not isinstance(each, Dropout)]
    kinds = {_kind_of_recurrent(each) for each in layers}
    return (
        len(layers) > 1
        and len(kinds) == 1
        and None not in kinds
        and layers[0] is model.layers[0]
        and layers[-1] is model.layers[-1]
    )


def _kind_of_recurrent(layer: Layer) -> tuple[Any, ...] | None:
    """Return what the layers of a module have in common, or None for another layer."""
    if isinstance(layer, Bidirectional):
        return (Bidirectional, _kind_of_recurrent(layer.layer)) if layer.merge == "concatenate" else None
    if isinstance(layer, Recurrent) and not layer.go_backwards:
        return type(layer), layer.units, getattr(layer, "activation", None)
    return None
