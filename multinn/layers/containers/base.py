"""What layers that are made of layers have in common."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn import random
from multinn.layers.base import Layer
from multinn.layers.masked import Masked, mask_of, values_of
from multinn.random import Key


class Container(Layer):
    """A layer made of layers: parameters, state and gradients are tuples with one entry for each.

    A subclass says which they are, and implements `forward_with_state`.
    """

    takes_mask: ClassVar[bool] = True
    takes_tuple: ClassVar[bool] = True

    @property
    @abstractmethod
    def children(self) -> Sequence[Layer]:
        """The layers that it is made of."""

    @abstractmethod
    def child_caches(self, cache: Tree) -> Sequence[Tree]:
        """Return the caches of the layers, from that of the whole."""

    def init_state(self, params: Tree) -> Tree:
        """Return the first states of the layers."""
        return tuple(child.init_state(own) for child, own in zip(self.children, params, strict=True))

    def next_state(self, backend: Backend, state: Tree, cache: Tree) -> Tree:
        """Return the states of the layers after a training step."""
        caches = self.child_caches(cache)
        return tuple(
            child.next_state(backend, *own)
            for child, *own in zip(self.children, state, caches, strict=True)
        )

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return the output and the cache, for layers that need no state."""
        return self.forward_with_state(backend, params, None, x, key)

    @abstractmethod
    def forward_with_state(
        self, backend: Backend, params: Tree, state: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return the output, and a cache that holds those of the layers."""

    def forward_child(
        self, index: int, backend: Backend, params: Tree, state: Tree, x: Array, key: Key | None
    ) -> tuple[Array, Tree]:
        """Return the output and the cache of one of the layers.

        Args:
            index: which.
            backend: whose arrays the others are.
            params: of all.
            state: of all, or None.
            x: its input.
            key: that of the container.
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
                f"{type(child).__name__}: expected no mask, or to keep (batch, time) "
                f"{tuple(x.mask.shape)} as they are, got outputs of shape {tuple(values.shape)}"
            )
        mask = x.mask if own_mask is None else backend.xp.logical_and(x.mask, own_mask)
        return Masked(values, mask), cache


def init_child(
    place: str, child: Layer, generator: np.random.Generator, input_shape: Shape
) -> tuple[Tree, Shape]:
    """Return what the `init` of one of the layers returns.

    Args:
        place: of the layer, for the message of an error.
        child: the layer.
        generator: as in `init`.
        input_shape: as in `init`; a tuple of shapes where the input is a tuple of arrays.

    Raises:
        ValueError: the layer cannot take inputs of that shape.
    """
    try:
        if not child.takes_tuple and any(isinstance(length, tuple) for length in input_shape):
            raise ValueError(
                f"{type(child).__name__}: expected one array, got a tuple of arrays of the shapes "
                f"{input_shape}, without the batch; Add or Concatenate in the place of Parallel makes "
                "one of them"
            )
        return child.init(generator, input_shape)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def check_keeps_steps(layer: Layer) -> None:
    """Raise ValueError if a layer that gets no mask would mix padding into the steps that count."""
    if layer.mixes_steps:
        raise ValueError(
            f"{type(layer).__name__}: expected no mask, as padding would get into steps that count; "
            "recurrent layers, attention, Conv1D and pooling over all of time know how to leave it out"
        )


def layers_of(name: str, layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Return some layers as a tuple.

    Raises:
        TypeError: they are one layer, or something among them is none.
        ValueError: there are none.
    """
    if isinstance(layers, Layer):
        raise TypeError(f"{name}: expected a list of layers, got the layer {layers!r}")
    if not isinstance(layers, Iterable):
        raise TypeError(f"{name}: expected a list of layers, got {layers!r}")
    checked = tuple(layers)
    if not checked:
        raise ValueError(f"{name}: expected at least one layer, got none")
    for index, layer in enumerate(checked):
        if not isinstance(layer, Layer):
            raise TypeError(f"{name}: expected a layer at index {index}, got {layer!r}")
    return checked
