"""The layers of a model that have weights, and rules that convert them to and from another library."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import HostArray, Shape, Tree, tree
from multinn.host.checks import as_host_array, check_shape
from multinn.host.shapes_only import ShapesOnly
from multinn.host.text import shorten
from multinn.layers import GRU, Container, Layer, MultiHeadAttention
from multinn.layers.base import check_takes

Path = tuple[int, ...]
Weights = Mapping[str, HostArray]
DType = np.dtype[Any]


@dataclass(frozen=True)
class Place:
    """A layer with parameters, and its place in a model.

    Attributes:
        layer: the layer.
        path: the indices that lead from the parameters of the model to those of the layer.
    """

    layer: Layer
    path: Path

    def own(self, of_all: Tree) -> Tree:
        """Return the entry of the layer in the parameters of the model."""
        for index in self.path:
            of_all = of_all[index]
        return of_all

    def own_state(self, layer_state: Tree) -> Tree:
        """Return the state of the layer in the state of the model, or None for None.

        Raises:
            ValueError: the state has no such entry.
        """
        try:
            own = None if layer_state is None else self.own(layer_state)
        except (IndexError, KeyError, TypeError) as error:
            raise self._lacks_state(layer_state) from error
        if not isinstance(own, dict | None):
            raise self._lacks_state(layer_state)
        return own

    def _lacks_state(self, layer_state: Tree) -> ValueError:
        return ValueError(
            f"layer_state: expected a tree with an entry for {self}, as `init_state` returns, got "
            f"{_brief(layer_state)}"
        )

    def __str__(self) -> str:
        name = type(self.layer).__name__
        return f"{name}, layer {'.'.join(map(str, self.path))}" if self.path else name


def places(layer: Layer, params: Tree, path: Path = ()) -> Iterator[Place]:
    """Yield the layers with parameters in the order of the model; containers yield their children.

    Raises:
        ValueError: the parameters have another structure than those of the model.
    """
    if isinstance(layer, Container):
        count = len(layer.children)
        if not isinstance(params, tuple | list) or len(params) != count:
            raise ValueError(
                f"params: expected a tuple of {count} entries, one for each part of "
                f"{Place(layer, path)}, as `init` draws them, got {_brief(params)}"
            )
        for index, (child, own) in enumerate(zip(layer.children, params, strict=True)):
            yield from places(child, own, (*path, index))
    elif not isinstance(params, dict):
        raise ValueError(
            f"params: expected a dict of the arrays of {Place(layer, path)}, as `init` draws them, got "
            f"{_brief(params)}"
        )
    elif tree.leaves(params):
        yield Place(layer, path)


def check_model(model: Layer) -> None:
    """Raise TypeError unless the model is a layer."""
    if not isinstance(model, Layer):
        raise TypeError(f"model: expected a layer, such as Sequential, got {_brief(model)}")


def initial_trees(model: Layer, input_shape: Any, dtype: DType) -> tuple[Tree, Tree]:
    """Return initial parameters and layer states of a model, for their structure, shapes and dtype."""
    input_shape = check_shape(input_shape)
    check_takes(model, input_shape)
    drawn, _ = model.init(ShapesOnly(), input_shape)
    params = tree.map(lambda leaf: leaf.astype(dtype), drawn)
    return params, model.init_state(params)


def _brief(value: Any) -> str:
    return shorten(" ".join(repr(value).split()), 60)


def with_replaced(of_all: Tree, by_path: Mapping[Path, Tree], path: Path = ()) -> Tree:
    """Return a tree with an entry for each layer, in which some entries are replaced.

    Args:
        of_all: the tree.
        by_path: the new entries, by their paths.
        path: the path of the tree itself.
    """
    if path in by_path:
        return by_path[path]
    if isinstance(of_all, tuple):
        return tuple(with_replaced(own, by_path, (*path, index)) for index, own in enumerate(of_all))
    return of_all


def in_one_dtype(arrays: Mapping[Any, Any]) -> tuple[dict[Any, HostArray], DType]:
    """Return arrays or tensors as NumPy arrays of one dtype, and that: float64 if any of them has it.

    Otherwise it is float32, which holds all numbers of float16 and bfloat16.

    Args:
        arrays: the arrays, by what names them in errors.

    Raises:
        TypeError: an entry is no array of numbers.
    """
    read = {name: _as_array(str(name), values) for name, values in arrays.items()}
    is_double = any(values.dtype.kind == "f" and values.dtype.itemsize > 4 for values in read.values())
    dtype = np.dtype(np.float64 if is_double else np.float32)
    return {name: values.astype(dtype) for name, values in read.items()}, dtype


def _as_array(name: str, values: Any) -> HostArray:
    if hasattr(values, "detach"):  # of PyTorch: a tensor with a gradient, or on a GPU
        values = values.detach().cpu()
        # NumPy has no bfloat16.
        values = values.float() if values.is_floating_point() and values.element_size() < 4 else values
    array = as_host_array(values.numpy() if hasattr(values, "numpy") else values, name)
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected an array of numbers, got {_brief(values)}")
    return array


@dataclass(frozen=True)
class Rule:
    """A pair of inverse functions between our weights of a layer and those of another library.

    Both raise ValueError, without the name of the layer, where the library has no such layer.

    Attributes:
        to_theirs: (layer, parameters, state) -> weights by name, in the other library's order.
        from_theirs: (layer, weights by name) -> the parameters, and the entries of the state.
    """

    to_theirs: Callable[[Any, Tree, Tree], dict[str, HostArray]]
    from_theirs: Callable[[Any, Weights], tuple[dict[str, HostArray], dict[str, HostArray]]]


def rule_of(place: Place, rules: Mapping[type[Layer], Rule], library: str) -> Rule:
    """Return the rule for a layer, or raise ValueError if the library has no such layer."""
    if type(place.layer) not in rules:
        raise ValueError(
            f"{place}: expected a layer that {library} has, too; exchange the other layers separately"
        )
    return rules[type(place.layer)]


def exported(place: Place, rule: Rule, params: Tree, state: Tree) -> dict[str, HostArray]:
    """Return the weights of a layer in the other library's form, or raise ValueError with its name."""
    try:
        return rule.to_theirs(place.layer, params, state)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def renamed(names: Mapping[str, str], axes: Mapping[str, Shape] | None = None) -> Rule:
    """Return the rule for weights with other names, some of which have their axes in another order.

    Args:
        names: the library's names by ours, in its order; weights that the layer lacks are skipped.
        axes: for some of our names, the order of our axes in the other library.
    """
    orders = axes or {}

    def to_theirs(layer: Any, params: Tree, state: Tree) -> dict[str, HostArray]:
        if "mean" in names and not state:
            raise ValueError(f"expected a layer_state, which has the running statistics, got {state}")
        own = {**params, **(state or {})}
        return {
            theirs: np.transpose(own[ours], orders.get(ours))
            if ours in orders
            else np.asarray(own[ours])
            for ours, theirs in names.items()
            if ours in own
        }

    def from_theirs(layer: Any, weights: Weights) -> tuple[dict[str, HostArray], dict[str, HostArray]]:
        params: dict[str, HostArray] = {}
        state: dict[str, HostArray] = {}
        for ours, theirs in names.items():
            if theirs in weights:
                values = weights[theirs]
                if ours in orders:
                    values = np.transpose(values, np.argsort(orders[ours]))
                (state if ours in ("mean", "variance") else params)[ours] = values
        return params, state

    return Rule(to_theirs, from_theirs)


def gates_in_order(values: HostArray, order: tuple[int, ...]) -> HostArray:
    """Return an array whose last axis has a part for each gate, with the parts in another order."""
    parts = np.split(np.asarray(values), len(order), axis=-1)
    return np.concatenate([parts[gate] for gate in order], axis=-1)


def second_bias(params: Tree) -> HostArray:
    """Return the bias of h U, which other libraries have beside b: 0, but c for a GRU's last gate."""
    second: HostArray = np.zeros_like(params["b"])
    if "c" in params:
        second[-len(params["c"]) :] = params["c"]
    return second


def merged_biases(layer: Layer, first: HostArray, second: HostArray) -> dict[str, HostArray]:
    """Return b, the sum of both biases; for the last gate of a GRU, b is the first and c the second."""
    if not isinstance(layer, GRU):
        return {"b": first + second}
    sums = (first + second)[: -layer.units]
    return {"b": np.concatenate([sums, first[-layer.units :]]), "c": second[-layer.units :]}


def query_factor(layer: MultiHeadAttention, columns: int) -> float:
    """Return s √d, by which Wq and bq differ from those of a library that has the scale 1 / √d.

    Args:
        layer: the attention; s is its scale, and d the size of its heads.
        columns: the number of columns of Wq, heads d.
    """
    return 1.0 if layer.scale is None else layer.scale * math.sqrt(columns // layer.heads)
