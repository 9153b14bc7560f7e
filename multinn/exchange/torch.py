"""Weights in the form of PyTorch's ``state_dict``."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backends import HostArray, Shape, Tree, tree
from multinn.exchange.layouts import rows_of_flat_images
from multinn.exchange.rules import Path, Place, as_array, initial_trees, places, rule_of, with_replaced
from multinn.exchange.torch_rules import RULES
from multinn.layers import Bidirectional, Container, Layer, TransformerBlock


def to_state_dict(
    model: Layer, params: Tree, layer_state: Tree = None, input_shape: Shape | None = None
) -> dict[str, HostArray]:
    """Return the weights of a model with the names and in the form of PyTorch.

    Names are those of a `torch.nn.Sequential` with the same layers at the same places, such as
    "0.weight"; those of a single layer are "weight" and so on. Parallel layers are numbered like layers
    in a row, as in `torch.nn.ModuleList`. `TransformerBlock` is `torch.nn.TransformerEncoderLayer`. The
    attention of PyTorch has a bias for keys, which has no effect: it is 0. PyTorch has the channels of
    images first, and so flattens images in another order: the rows of the first Dense after Flatten are
    permuted. Before ``load_state_dict``, convert the arrays by ``torch.from_numpy``.

    Args:
        model: the model.
        params: its parameters, a tree of arrays that NumPy can read.
        layer_state: the state of its layers, a tree of such arrays; None if it has none.
        input_shape: the shape of one example, without the batch; needed if the model has Flatten.

    Raises:
        ValueError: a layer has no counterpart in PyTorch, or input_shape is missing.
    """
    params, layer_state = tree.map(np.asarray, params), tree.map(np.asarray, layer_state)
    rows = rows_of_flat_images(model, input_shape)
    state_dict: dict[str, HostArray] = {}
    for place in places(model, params):
        rule, name = rule_of(place, RULES, "PyTorch"), name_of(model, place)
        own = place.own(params)
        if place.path in rows:
            own = own | {"W": own["W"][rows[place.path]]}
        for key, values in rule.to_theirs(place.layer, own, place.own(layer_state)).items():
            state_dict[name(key)] = np.ascontiguousarray(values).reshape(np.shape(values))
    return state_dict


def from_state_dict(
    model: Layer, state_dict: Mapping[str, Any], input_shape: Shape
) -> tuple[Tree, Tree]:
    """Return the parameters of a model, and the state of its layers, from weights of PyTorch.

    Names and forms are those of `to_state_dict`. The bias of attention keys has no effect and is
    skipped. PyTorch does not save the weights of running averages (see `BatchNorm`). They become 0, so
    the next training step replaces the averages.

    Args:
        model: the model.
        state_dict: NumPy arrays or tensors, by name.
        input_shape: the shape of one example, without the batch.

    Raises:
        ValueError: a layer has no counterpart in PyTorch, or an entry is missing, unknown or of another
            shape; the message names it.
    """
    params, layer_state = initial_trees(model, input_shape)
    expected = to_state_dict(model, params, layer_state, input_shape)
    given = {name: as_array(values) for name, values in state_dict.items()}
    _check(expected, given)
    rows = rows_of_flat_images(model, input_shape)
    new_params, new_state = {}, {}
    for place in places(model, params):
        rule, name = rule_of(place, RULES, "PyTorch"), name_of(model, place)
        keys = rule.to_theirs(place.layer, place.own(params), place.own(layer_state))
        weights = {key: given.get(name(key), values) for key, values in keys.items()}
        own, statistics = rule.from_theirs(place.layer, weights)
        if place.path in rows:
            own["W"] = own["W"][np.argsort(rows[place.path])]
        new_params[place.path] = tree.map(np.array, own)
        new_state[place.path] = place.own(layer_state) | statistics
    return with_replaced(params, new_params), with_replaced(layer_state, new_state)


def _check(expected: Mapping[str, HostArray], given: Mapping[str, HostArray]) -> None:
    for name, values in expected.items():
        if name not in given:
            if name.endswith("num_batches_tracked"):  # older files lack it, and it is not used
                continue
            raise ValueError(f"{name}: expected an array of shape {values.shape}, got no such entry")
        if given[name].shape != values.shape:
            raise ValueError(f"{name}: expected shape {values.shape}, got {given[name].shape}")
    unknown = sorted(given.keys() - expected.keys())
    if unknown:
        raise ValueError(
            f"{unknown[0]}: expected no such entry; the entries of the model are {', '.join(expected)}"
        )


# The parts of torch.nn.TransformerEncoderLayer, by their paths in TransformerBlock.
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


def name_of(model: Layer, place: Place) -> Callable[[str], str]:
    """Return the function from the names of a layer's weights to their names in the ``state_dict``.

    Raises:
        ValueError: PyTorch has no such layer, or puts its outputs in another order.
    """
    parts, end = _parts(model, place, place.path)
    return lambda key: ".".join([*parts, f"{key}{end}"])


def _parts(layer: Layer, place: Place, path: Path) -> tuple[list[str], str]:
    """Return the names on the path from a layer to a place, and the suffix of the last name."""
    if isinstance(layer, Bidirectional):
        child = layer.children[path[0]]
        assert child == place.layer
        if layer.layer.go_backwards and layer.merge == "concatenate":
            raise ValueError(
                f"{place}: expected Bidirectional of a layer with go_backwards=False, as PyTorch puts "
                "the forward outputs first, got go_backwards=True; change it, or use merge='sum'"
            )
        return [], "_reverse" if getattr(child, "go_backwards", False) else ""
    if isinstance(layer, TransformerBlock):
        parts = _NORMALIZED_FIRST if layer.pre_normalization else _NORMALIZED_LAST
        if path not in parts:
            raise ValueError(
                f"{place}: expected a layer without weights, as in torch.nn.TransformerEncoderLayer"
            )
        return [parts[path]], ""
    if isinstance(layer, Container):
        names, end = _parts(layer.children[path[0]], place, path[1:])
        return [str(path[0]), *names], end
    return [], ""
