"""The layers of a model that have weights, and rules that convert them to and from another library."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import HostArray, Shape, Tree, tree
from multinn.layers import GRU, Container, Layer

Path = tuple[int, ...]
Weights = Mapping[str, HostArray]


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
        """Return the entry of the layer in a tree with one for each layer, or None for None."""
        for index in self.path:
            of_all = None if of_all is None else of_all[index]
        return of_all

    def __str__(self) -> str:
        name = type(self.layer).__name__
        return f"{name}, layer {'.'.join(map(str, self.path))}" if self.path else name


def places(layer: Layer, params: Tree, path: Path = ()) -> Iterator[Place]:
    """Yield the layers with parameters in the order of the model; containers yield their children."""
    if isinstance(layer, Container):
        for index, (child, own) in enumerate(zip(layer.children, params, strict=True)):
            yield from places(child, own, (*path, index))
    elif tree.leaves(params):
        yield Place(layer, path)


def initial_trees(model: Layer, input_shape: Any) -> tuple[Tree, Tree]:
    """Return initial parameters and layer states of a model, for their structure and shapes."""
    params, _ = model.init(np.random.default_rng(0), tuple(input_shape))
    return params, model.init_state(params)


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


def as_array(values: Any) -> HostArray:
    """Return a NumPy array, from an array or from a tensor on any device."""
    if hasattr(values, "detach"):  # of PyTorch: a tensor with a gradient, or on a GPU
        values = values.detach().cpu()
    return np.asarray(values.numpy() if hasattr(values, "numpy") else values)


@dataclass(frozen=True)
class Rule:
    """A pair of inverse functions between our weights of a layer and those of another library.

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


def renamed(names: Mapping[str, str], axes: Mapping[str, Shape] | None = None) -> Rule:
    """Return the rule for weights with other names, some of which have their axes in another order.

    Args:
        names: the library's names by ours, in its order; weights that the layer lacks are skipped.
        axes: for some of our names, the order of our axes in the other library.
    """
    orders = axes or {}

    def to_theirs(layer: Any, params: Tree, state: Tree) -> dict[str, HostArray]:
        if "mean" in names and state is None:
            raise ValueError(
                "BatchNorm: expected a layer_state, which has the running statistics, got None"
            )
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
