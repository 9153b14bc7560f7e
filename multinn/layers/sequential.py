"""Layers one after another."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn import random
from multinn.layers.base import Layer, Shape
from multinn.random import Key


@dataclass(frozen=True)
class Sequential(Layer):
    """y = f_k(... f_2(f_1(x))): layers one after another, itself a layer.

    The chain rule, from the last layer to the first: the dx of a layer is the dy of the one before.
    Parameters, caches and gradients are tuples with one entry a layer.

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
        if isinstance(layers, Layer):
            raise TypeError(f"Sequential: expected a list of layers, got the layer {layers!r}")
        object.__setattr__(self, "layers", tuple(layers))
        if not self.layers:
            raise ValueError("Sequential: expected at least one layer, got none")
        for index, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential: expected a layer at index {index}, got {layer!r}")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw the parameters of each layer, in order, and return the shape of the last output."""
        params = []
        shape = input_shape
        for index, layer in enumerate(self.layers):
            try:
                layer_params, shape = layer.init(generator, shape)
            except ValueError as error:
                raise ValueError(f"layer {index} of Sequential: {error}") from error
            params.append(layer_params)
        return tuple(params), shape

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return the output of the last layer, and the caches of all."""
        caches = []
        for index, layer in enumerate(self.layers):
            layer_key = None if key is None else random.child(key, index)
            x, cache = layer.forward(backend, params[index], x, layer_key)
            caches.append(cache)
        return x, tuple(caches)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return the dx of the first layer, and the gradients of all."""
        return self._backward_to(0, backend, params, cache, dy)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return the gradients of all layers, going back no further than the first with parameters."""
        first = next((index for index, part in enumerate(params) if tree.leaves(part)), None)
        if first is None:
            return params
        dy, gradients = self._backward_to(first + 1, backend, params, cache, dy)
        own = self.layers[first].parameter_gradients(backend, params[first], cache[first], dy)
        return (*params[:first], own, *gradients)

    def _backward_to(
        self, first: int, backend: Backend, params: Tree, cache: Tree, dy: Array
    ) -> tuple[Array, Tree]:
        """Return the dx of layer ``first``, and the gradients of that layer and all after it."""
        gradients = []
        for index in reversed(range(first, len(self.layers))):
            dy, own = self.layers[index].backward(backend, params[index], cache[index], dy)
            gradients.append(own)
        return dy, tuple(reversed(gradients))
