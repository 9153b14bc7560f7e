"""Layers in sequence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree, tree
from multinn.layers.base import Layer
from multinn.layers.containers.base import Container, init_child, layers_of
from multinn.random import Key


@dataclass(frozen=True)
class Sequential(Container):
    """y = f_k(... f_2(f_1(x))): layers in sequence.

    By the chain rule, from the last layer to the first, dx of a layer is dy of the layer before it.
    Parameters, caches and gradients are tuples with one entry per layer.

    Attributes:
        layers: the layers in order, at least one.

    Raises:
        TypeError: something in ``layers`` is no layer.
        ValueError: ``layers`` is empty.

    >>> from multinn import Dense, ReLU
    >>> params, shape = Sequential([Dense(3), ReLU(), Dense(2)]).init(np.random.default_rng(0), (4,))
    >>> shape, params[0]["W"].shape, params[1]
    ((2,), (4, 3), {})
    """

    layers: tuple[Layer, ...]

    def __init__(self, layers: Iterable[Layer]) -> None:
        object.__setattr__(self, "layers", layers_of("Sequential", layers))

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw the parameters of each layer, in order, and return the shape of the last output."""
        params = []
        shape = input_shape
        for index, layer in enumerate(self.layers):
            layer_params, shape = init_child(f"layer {index} of Sequential", layer, generator, shape)
            params.append(layer_params)
        return tuple(params), shape

    @property
    def children(self) -> Sequence[Layer]:
        """The layers in order."""
        return self.layers

    def child_caches(self, cache: Tree) -> Sequence[Tree]:
        """Return the cache, a tuple of the layers' caches."""
        caches: tuple[Tree, ...] = cache
        return caches

    @property
    def keeps_values(self) -> bool:  # type: ignore[override]  # it depends on the layers
        """Whether all layers keep values."""
        return all(layer.keeps_values for layer in self.layers)

    def check_inputs(self, inputs: HostArray) -> None:
        """Check the examples in the first layer, and in the next as long as the values are kept."""
        for layer in self.layers:
            layer.check_inputs(inputs)
            if not layer.keeps_values:
                break

    def forward_with_state(
        self, backend: Backend, params: Tree, state: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return the output of the last layer, and the caches of all layers."""
        caches = []
        for index in range(len(self.layers)):
            x, cache = self.forward_child(index, backend, params, state, x, key)
            caches.append(cache)
        return x, tuple(caches)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx of the first layer, and the gradients of all layers."""
        gradients = list(params)
        for index in reversed(range(len(self.layers))):
            dy, gradients[index] = self.layers[index].backward(backend, params[index], cache[index], dy)
        return dy, tuple(gradients)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return the gradients of all layers. The first layer with parameters computes no dx."""
        first = next((index for index, part in enumerate(params) if tree.leaves(part)), None)
        if first is None:
            return params
        gradients = list(params)
        for index in reversed(range(first + 1, len(self.layers))):
            dy, gradients[index] = self.layers[index].backward(backend, params[index], cache[index], dy)
        layer = self.layers[first]
        gradients[first] = layer.parameter_gradients(backend, params[first], cache[first], dy)
        return tuple(gradients)
