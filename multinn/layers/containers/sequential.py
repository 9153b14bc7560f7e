"""The base class of containers, which are layers made of layers, and Sequential."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, overload

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree, tree
from multinn import random
from multinn.descriptions.types import check_type
from multinn.layers.base import Layer, Masked, check_takes, mask_of, values_of
from multinn.random import Key


class Container(Layer):
    """A layer made of layers: parameters, state and gradients are tuples with one entry per child.

    A subclass returns its `children` and implements `forward_with_state`.

    An index gives a child: ``model[i]`` has the parameters ``params[i]``. `len` counts the children, and
    a loop goes through them.
    """

    takes_mask: ClassVar[bool] = True
    takes_tuple: ClassVar[bool] = True

    @property
    @abstractmethod
    def children(self) -> Sequence[Layer]:
        """The layers inside."""

    def __getitem__(self, index: int) -> Layer:
        return self.children[index]

    def __len__(self) -> int:
        return len(self.children)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.children)

    @abstractmethod
    def child_caches(self, cache: Tree) -> Sequence[Tree]:
        """Return the caches of the children, which are part of the container's cache."""

    def init_state(self, params: Tree) -> Tree:
        """Return the initial states of the children."""
        return tuple(child.init_state(own) for child, own in zip(self.children, params, strict=True))

    def next_state(self, backend: Backend, state: Tree, cache: Tree) -> Tree:
        """Return the states of the children after a training step."""
        caches = self.child_caches(cache)
        return tuple(
            child.next_state(backend, *own)
            for child, *own in zip(self.children, state, caches, strict=True)
        )

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return the output and the cache, for children that need no state."""
        return self.forward_with_state(backend, params, None, x, key)

    @abstractmethod
    def forward_with_state(
        self, backend: Backend, params: Tree, state: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return the output, and a cache that contains the caches of the children."""

    def forward_child(
        self, index: int, backend: Backend, params: Tree, state: Tree, x: Array, key: Key | None
    ) -> tuple[Array, Tree]:
        """Return the output and the cache of one child.

        Args:
            index: the index of the child.
            backend: the backend of the arrays.
            params: the parameters of the container.
            state: the state of the container, or None.
            x: the input of the child.
            key: the key of the container, or None.
        """
        child = self.children[index]
        own_state = None if state is None else state[index]
        own_key = None if key is None else random.child(key, index)
        if not isinstance(x, Masked) or child.takes_mask:
            return child.forward_with_state(backend, params[index], own_state, x, own_key)
        check_keeps_steps(child)
        y, cache = child.forward_with_state(backend, params[index], own_state, x.values, own_key)
        values, own_mask = values_of(y), mask_of(y)
        if values.shape[:2] != x.mask.shape:
            raise ValueError(
                f"{type(child).__name__}: expected no mask, or outputs that begin with (batch, time) "
                f"{tuple(x.mask.shape)}, as the inputs, got shape {tuple(values.shape)}"
            )
        mask = x.mask if own_mask is None else backend.xp.logical_and(x.mask, own_mask)
        return Masked(values, mask), cache


def init_child(
    place: str, child: Layer, generator: np.random.Generator, input_shape: Shape
) -> tuple[Tree, Shape]:
    """Return the parameters and the output shape of one child.

    Args:
        place: where the child is, for error messages.
        child: the layer.
        generator: as in `init`.
        input_shape: as in `init`; a tuple or a dict of shapes if the input is one of arrays.

    Raises:
        ValueError: the layer cannot take inputs of this shape.
    """
    try:
        check_takes(child, input_shape)
        return child.init(generator, input_shape)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def check_keeps_steps(layer: Layer) -> None:
    """Raise ValueError if the layer would mix padding into steps that count."""
    if layer.mixes_steps:
        raise ValueError(
            f"{type(layer).__name__}: expected no mask, as padding would mix with steps that count; use "
            "layers that leave padding out: recurrent layers, attention, Conv1D, pooling over all steps"
        )


def _checks_inputs(layer: Layer) -> bool:
    """Return whether a layer, or one in it, looks at the numbers of the examples."""
    if type(layer).check_inputs is Layer.check_inputs:
        return False
    return not isinstance(layer, Container) or any(map(_checks_inputs, layer.children))


def layers_of(owner: str, name: str, layers: Any) -> tuple[Layer, ...]:
    """Return the layers as a tuple.

    Args:
        owner: the name of the class, for messages.
        name: the name of the argument, for messages.
        layers: an iterable of layers.

    Raises:
        TypeError: ``layers`` is no list of layers.
        ValueError: ``layers`` is empty.
    """
    if not isinstance(layers, Iterable) or isinstance(layers, str | Layer):
        raise TypeError(f"{owner}: expected {name}: a list of layers, got {layers!r}")
    checked: tuple[Layer, ...] = tuple(layers)
    if not checked:
        raise ValueError(f"{owner}: expected {name}: at least one layer, got none")
    for index, layer in enumerate(checked):
        check_type(owner, f"{name}[{index}]", layer, Layer)
    return checked


@dataclass(frozen=True)
class Sequential(Container):
    """y = f_k(... f_2(f_1(x))): layers in sequence.

    By the chain rule, from the last layer to the first, dx of a layer is dy of the layer before it.
    Parameters, caches and gradients are tuples with one entry per layer. A slice is a Sequential of some
    of the layers.

    Attributes:
        layers: the layers in order, at least one.

    Raises:
        TypeError: something in ``layers`` is no layer.
        ValueError: ``layers`` is empty.

    >>> from multinn import Dense, ReLU
    >>> params, shape = Sequential([Dense(3), ReLU(), Dense(2)]).init(np.random.default_rng(0), (4,))
    >>> shape, params[0]["W"].shape, params[1]
    ((2,), (4, 3), {})
    >>> model = Sequential([Dense(3), ReLU(), Dense(2)])
    >>> model[1], len(model[:-1])
    (ReLU(), 2)
    """

    layers: tuple[Layer, ...]

    def __init__(self, layers: Iterable[Layer]) -> None:
        object.__setattr__(self, "layers", layers_of("Sequential", "layers", layers))

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> "Sequential": ...
    def __getitem__(self, index: int | slice) -> "Layer | Sequential":
        """Return a layer, or some of the layers as a Sequential.

        Raises:
            IndexError: there is no such layer.
            ValueError: the slice has no layers.
        """
        return Sequential(self.layers[index]) if isinstance(index, slice) else self.layers[index]

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
        chosen_by = ""
        for index, layer in enumerate(self.layers):
            try:
                layer.check_inputs(inputs)
            except ValueError as error:
                raise ValueError(f"{chosen_by}{error}") from None
            if not any(map(_checks_inputs, self.layers[index + 1 :])):
                break  # to choose or to join the values would copy all of them
            kept = layer.kept_values(inputs)
            if kept is None:
                break
            chosen_by += "" if kept is inputs else f"{layer!r}: "
            inputs = kept

    def kept_values(self, inputs: Any) -> Any:
        """Return what the last layer passes on; None if a layer keeps no values."""
        for layer in self.layers:
            inputs = None if inputs is None else layer.kept_values(inputs)
        return inputs

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
