"""How the weights of a layer are those of another library's layer of the same shape."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import HostArray, Shape, Tree

Weights = Mapping[str, HostArray]


@dataclass(frozen=True)
class Rule:
    """A pair of functions that undo each other.

    Attributes:
        give: (layer, parameters, state) -> weights by name, in the order of the other library.
        take: (layer, weights by name) -> parameters, and what of the state they say.
    """

    give: Callable[[Any, Tree, Tree], dict[str, HostArray]]
    take: Callable[[Any, Weights], tuple[dict[str, HostArray], dict[str, HostArray]]]


def renamed(names: Mapping[str, str], axes: Mapping[str, Shape] | None = None) -> Rule:
    """Return the rule for weights with other names, and some with their axes in another order.

    Args:
        names: theirs, by ours, in their order; what the layer does not have, such as b, is left out.
        axes: for some of our names, the order of our axes that is theirs.
    """
    orders = axes or {}

    def give(layer: Any, params: Tree, state: Tree) -> dict[str, HostArray]:
        own = {**params, **(state or {})}
        return {
            theirs: np.transpose(own[ours], orders.get(ours))
            if ours in orders
            else np.asarray(own[ours])
            for ours, theirs in names.items()
            if ours in own
        }

    def take(layer: Any, weights: Weights) -> tuple[dict[str, HostArray], dict[str, HostArray]]:
        params: dict[str, HostArray] = {}
        state: dict[str, HostArray] = {}
        for ours, theirs in names.items():
            if theirs in weights:
                values = weights[theirs]
                if ours in orders:
                    values = np.transpose(values, np.argsort(orders[ours]))
                (state if ours in ("mean", "variance") else params)[ours] = values
        return params, state

    return Rule(give, take)


def gates_in_order(values: HostArray, order: tuple[int, ...], axis: int = -1) -> HostArray:
    """Return what has a part for each gate with the parts in another order."""
    parts = np.split(np.asarray(values), len(order), axis=axis)
    return np.concatenate([parts[gate] for gate in order], axis=axis)
