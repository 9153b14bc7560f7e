"""Weights in the form of Keras' ``get_weights``."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from backends import HostArray, Tree, tree
from multinn.exchange.keras_rules import RULES
from multinn.exchange.rules import (
    Place,
    check_model,
    exported,
    in_one_dtype,
    initial_trees,
    places,
    rule_of,
    with_replaced,
)
from multinn.layers import Layer


def to_keras_weights(model: Layer, params: Tree, layer_state: Tree = None) -> list[HostArray]:
    """Return the weights of a model in the order and form of Keras' ``get_weights``.

    Pass them to ``set_weights`` of the same layer of Keras, or of a `keras.Sequential` of the same
    layers in the same order. Branches follow one another. A functional model of Keras may have their
    layers in another order, so exchange the layers of such a model one by one.

    Keras' GRU must have the same reset_after. The attention of Keras has a bias for keys, which has no
    effect: it is 0. The slopes of PReLU are (channels,), as in Keras for features; for images, Keras
    needs (1, 1, channels), with shared_axes=[1, 2]. With go_backwards and return_sequences, a
    recurrent layer of Keras returns the last step first; ours keeps the order of time, so reverse its
    outputs along time to compare them. With return_sequences, the Bidirectional of Keras gives 0 at
    masked steps; ours keeps the states there, as a single recurrent layer does in both libraries. All
    steps that count are the same, and so are the last states.

    Args:
        model: the model.
        params: its parameters, a tree of arrays that NumPy can read.
        layer_state: the state of its layers, a tree of such arrays; None if it has none.

    Raises:
        TypeError: the model is no layer.
        ValueError: a layer has no counterpart in Keras, or the parameters or the state do not fit the
            model.
    """
    check_model(model)
    return [
        np.ascontiguousarray(values)
        for place in places(model, params)
        for values in _exported(place, params, layer_state).values()
    ]


def from_keras_weights(model: Layer, weights: Sequence[Any], input_shape: Any) -> tuple[Tree, Tree]:
    """Return the parameters of a model, and the state of its layers, from Keras' ``get_weights``.

    The arrays are as in `to_keras_weights`, whose note on go_backwards applies, too. The bias of
    attention keys has no effect and is skipped. Keras does not save the weights of running averages
    (see `BatchNorm`). They become 0, so the next training step replaces the averages. All results have
    one dtype: float64 if one of the arrays has it, else float32.

    Args:
        model: the model.
        weights: the arrays.
        input_shape: the shape of one example, without the batch, or a tuple or a dict of shapes for
            several inputs.

    Raises:
        TypeError: an argument, or one of the arrays, has another type.
        ValueError: a layer has no counterpart in Keras, there are too few or too many arrays, or one has
            another shape; the message names it.
    """
    check_model(model)
    if not isinstance(weights, list | tuple):
        raise TypeError(
            "weights: expected a list of arrays, as get_weights returns it, got a "
            f"{type(weights).__name__}"
        )
    read, dtype = in_one_dtype({f"weights[{index}]": values for index, values in enumerate(weights)})
    given = list(read.values())
    params, layer_state = initial_trees(model, input_shape, dtype)
    new_params, new_state = {}, {}
    rest = iter(enumerate(given))
    for place in places(model, params):
        expected = _exported(place, params, layer_state)
        parts = list(islice(rest, len(expected)))
        if len(parts) < len(expected):
            raise ValueError(
                f"weights: expected more arrays than {len(given)}, none is left for "
                f"{list(expected)[len(parts)]} of {place}"
            )
        named = {}
        for (name, like), (index, values) in zip(expected.items(), parts, strict=True):
            named[name] = _fitting(values, like, f"weights[{index}], {name} of {place}")
        own, statistics = rule_of(place, RULES, "Keras").from_theirs(place.layer, named)
        new_params[place.path] = tree.map(np.array, own)
        new_state[place.path] = place.own_state(layer_state) | statistics
    if (extra := next(rest, None)) is not None:
        raise ValueError(
            f"weights[{extra[0]}], of shape {extra[1].shape}: expected only {extra[0]} arrays, as the "
            f"model has, got {len(given)}"
        )
    return with_replaced(params, new_params), with_replaced(layer_state, new_state)


def _fitting(values: HostArray, like: HostArray, name: str) -> HostArray:
    """Return values in the shape of ``like``; PReLU in Keras may have leading axes of length 1."""
    leading = values.shape[: values.ndim - like.ndim]
    if values.shape[len(leading) :] != like.shape or any(length != 1 for length in leading):
        raise ValueError(f"{name}: expected shape {like.shape}, got {values.shape}")
    return values.reshape(like.shape)


def _exported(place: Place, params: Tree, layer_state: Tree) -> dict[str, HostArray]:
    own = tree.map(np.asarray, place.own(params)), tree.map(np.asarray, place.own_state(layer_state))
    return exported(place, rule_of(place, RULES, "Keras"), *own)
