"""Which layers of a model have weights, and where."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import HostArray, Tree, tree
from multinn.layers import Container, Layer

Path = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """A layer with parameters in a model.

    Attributes:
        layer: the layer.
        path: which entries of the parameters of the model, from the outside in, lead to its own.
    """

    layer: Layer
    path: Path

    def own(self, of_all: Tree) -> Tree:
        """Return what belongs to the layer, of a tree that has an entry for each."""
        for index in self.path:
            of_all = None if of_all is None else of_all[index]
        return of_all

    def __str__(self) -> str:
        name = type(self.layer).__name__
        return f"{name}, layer {'.'.join(map(str, self.path))}" if self.path else name


def places(layer: Layer, params: Tree, path: Path = ()) -> Iterator[Place]:
    """Yield the layers with parameters in the order of the model, without those made of layers."""
    if isinstance(layer, Container):
        for index, (child, own) in enumerate(zip(layer.children, params, strict=True)):
            yield from places(child, own, (*path, index))
    elif tree.leaves(params):
        yield Place(layer, path)


def drawn(model: Layer, input_shape: Any) -> tuple[Tree, Tree]:
    """Return parameters and a state as the model draws them, for their shapes."""
    params, _ = model.init(np.random.default_rng(0), tuple(input_shape))
    return params, model.init_state(params)


def replaced(of_all: Tree, by_path: Mapping[Path, Tree], path: Path = ()) -> Tree:
    """Return a tree with an entry for each layer, some of which are replaced.

    Args:
        of_all: the tree.
        by_path: the new entries, by their paths.
        path: that of the tree itself.
    """
    if path in by_path:
        return by_path[path]
    if isinstance(of_all, tuple):
        return tuple(replaced(own, by_path, (*path, index)) for index, own in enumerate(of_all))
    return of_all


def array(values: Any) -> HostArray:
    """Return an array of NumPy, of one or of a tensor on any device."""
    if hasattr(values, "detach"):  # of PyTorch: a tensor with a gradient, or on a GPU
        values = values.detach().cpu()
    return np.asarray(values.numpy() if hasattr(values, "numpy") else values)
