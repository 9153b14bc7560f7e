"""Examples of other shapes than those of training, such as sequences of another length."""

from typing import Any

from backends import HostArray, Shape, Tree, tree
from multinn.host.shapes_only import ShapesOnly
from multinn.host.trees import map_entries, shape_of
from multinn.layers import Layer


def output_shape_for(model: Layer, trained: Any, inputs: Tree, name: str) -> Any:
    """Return the shape of one output for examples of other shapes than those of training.

    The examples may have other lengths than in training, such as longer sequences, if they have as many
    axes, and the model would have parameters of the same shapes for them.

    Args:
        model: the model.
        trained: the shape of one input in training.
        inputs: (examples, ...) arrays, as many as in training.
        name: the name of the inputs, for the message.

    Raises:
        ValueError: the model cannot take such examples with its parameters.

    >>> import numpy as np
    >>> from multinn import LSTM
    >>> output_shape_for(LSTM(8, return_sequences=True), (20, 3), np.zeros((1, 50, 3)), "x")
    (50, 8)
    """
    differing = []

    def compare(array: HostArray, entry: str, expected: Shape) -> None:
        if array.shape[1:] != expected:
            differing.append((entry, expected, array.shape[1:]))

    map_entries(compare, inputs, name, trained)
    # The message names the first array with another number of axes, or else the first that differs.
    entry, expected, got = min(differing, key=lambda each: len(each[1]) == len(each[2]))
    try:
        if len(got) != len(expected):
            raise ValueError("the number of axes differs")
        return _output_shape(model, trained, shape_of(inputs))
    except ValueError as error:
        raise ValueError(
            f"{entry}: expected examples of shape {expected}, as in training, got {got}: {error}; "
            "give the same features, or make a new trainer"
        ) from None


def _output_shape(model: Layer, trained: Any, given: Any) -> Any:
    """Return the shape of an output for inputs of the given shape.

    Raises:
        ValueError: a layer cannot take such inputs, or would need parameters of other shapes.
    """
    params, _ = model.init(ShapesOnly(), trained)
    needed, output_shape = model.init(ShapesOnly(), given)
    pairs = zip(tree.leaves_with_paths(params), tree.leaves(needed), strict=True)
    for (path, leaf), other in pairs:
        if leaf.shape != other.shape:
            raise ValueError(
                f"{_layer_of(model, path)} would need the parameter {path} of shape {other.shape}, not "
                f"{leaf.shape}"
            )
    return output_shape


def _layer_of(model: Any, path: str) -> str:
    """Return the class of the innermost layer with the parameter of this path, such as "0.W"."""
    for index in path.split("."):
        if not index.isdigit() or not hasattr(model, "children"):
            break
        model = model.children[int(index)]
    return type(model).__name__
