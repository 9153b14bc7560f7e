"""Weights as in ``get_weights`` of Keras."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from backends import HostArray, Shape, Tree, tree
from multinn.exchange.keras_rules import RULES
from multinn.exchange.places import Place, array, drawn, places, replaced
from multinn.exchange.rules import Rule
from multinn.layers import Layer


def to_keras_weights(model: Layer, params: Tree, layer_state: Tree = None) -> list[HostArray]:
    """Return the weights of a model in the order and form of ``get_weights`` of Keras.

    They are for ``set_weights`` of the same layer of Keras, or of `keras.Sequential` of the same layers
    in the same order. Keras' GRU has to have its default, reset_after. Its attention has a bias for
    keys, which changes nothing: it is 0. The slopes of PReLU are (channels,), as Keras has them for
    features; for images, it wants (1, 1, channels), with shared_axes=[1, 2]. With go_backwards and
    return_sequences, a recurrent layer of Keras returns the last step first; ours keeps the order of
    time, so that its outputs are those of Keras reversed along time.

    Args:
        model: the model.
        params: its parameters, a tree of arrays that NumPy can read.
        layer_state: the state of its layers, likewise; None where it has none.

    Raises:
        ValueError: a layer has no counterpart in Keras.
    """
    params, layer_state = tree.map(np.asarray, params), tree.map(np.asarray, layer_state)
    return [
        np.ascontiguousarray(values)
        for place in places(model, params)
        for values in _rule(place).give(place.layer, place.own(params), place.own(layer_state)).values()
    ]


def from_keras_weights(model: Layer, weights: Sequence[Any], input_shape: Shape) -> tuple[Tree, Tree]:
    """Return the parameters of a model, and the state of its layers, from ``get_weights`` of Keras.

    Order and forms are those of `to_keras_weights`, and what it says of go_backwards holds. The bias of
    the keys of attention is left out, as it changes nothing. The weights of running statistics are not
    known, so they are 0: at inference, they are not needed, and training begins the averages anew.

    Args:
        model: the model.
        weights: arrays.
        input_shape: the shape of one example, without the batch.

    Raises:
        ValueError: a layer has no counterpart in Keras, there are too few or too many arrays, or one has
            another shape; the message names it.
    """
    params, layer_state = drawn(model, input_shape)
    given = [array(values) for values in weights]
    new_params, new_state = {}, {}
    rest = iter(enumerate(given))
    for place in places(model, params):
        rule = _rule(place)
        expected = rule.give(place.layer, place.own(params), place.own(layer_state))
        parts = list(islice(rest, len(expected)))
        if len(parts) < len(expected):
            raise ValueError(f"exchange: expected more than {len(given)} arrays, {place} has none left")
        named = {}
        for (name, like), (index, values) in zip(expected.items(), parts, strict=True):
            named[name] = _fitting(values, like, f"weights[{index}], {name} of {place}")
        own, statistics = rule.take(place.layer, named)
        new_params[place.path] = tree.map(np.array, own)
        new_state[place.path] = place.own(layer_state) | statistics
    if next(rest, None) is not None:
        count = len(to_keras_weights(model, params, layer_state))
        raise ValueError(f"exchange: expected {count} arrays, as the model has, got {len(given)}")
    return replaced(params, new_params), replaced(layer_state, new_state)


def _fitting(values: HostArray, like: HostArray, name: str) -> HostArray:
    """Return values of that shape; of a slope for each channel, Keras has axes of length 1 before."""
    leading = values.shape[: values.ndim - like.ndim]
    if values.shape[len(leading) :] != like.shape or any(length != 1 for length in leading):
        raise ValueError(f"{name}: expected shape {like.shape}, got {values.shape}")
    return values.reshape(like.shape)


def _rule(place: Place) -> Rule:
    if type(place.layer) not in RULES:
        raise ValueError(f"{place}: expected a layer that Keras has too, it has no such weights")
    return RULES[type(place.layer)]
