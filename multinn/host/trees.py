"""Several inputs or outputs on the host: a dict or a tuple of arrays with one common first axis.

One array is a tree of one leaf, and so most functions here are no special case of anything.
"""

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

from backends import Shape, Tree, tree


def entries_of(values: Any, name: str = "x") -> Tree:
    """Return several arrays as a dict or a tuple; anything else as it is, but a list for a tuple.

    Raises:
        TypeError: a key of the mapping is not a string.
        ValueError: a dict or a tuple is empty.
    """
    if not is_tree(values):
        return list(values) if isinstance(values, tuple) else values
    if not isinstance(values, Mapping):
        if not values:
            raise ValueError(f"{name}: expected at least one array, got an empty tuple")
        return tuple(entries_of(value, f"{name}[{index}]") for index, value in enumerate(values))
    check_keys(values, name)
    return {key: entries_of(value, f"{name}[{key!r}]") for key, value in values.items()}


def check_keys(values: Mapping[Any, Any], name: str) -> None:
    """Raise TypeError unless all keys are strings, or ValueError if there are none."""
    if not values:
        raise ValueError(f"{name}: expected at least one entry, got an empty {type(values).__name__}")
    for key in values:
        if not isinstance(key, str):
            raise TypeError(f"{name}: expected strings as the keys of a dict, got {key!r}")


def is_tree(values: Any) -> bool:
    """Return whether these are several arrays: a mapping, or a tuple of arrays with a first axis.

    Other tuples, such as rows of numbers, are one array.
    """
    if isinstance(values, Mapping):
        return True
    return isinstance(values, tuple) and all(map(_is_entry, values))


def _is_entry(value: Any) -> bool:
    return bool(getattr(value, "shape", ())) or (is_tree(value) and bool(value))


def check_entries(values: Tree, expected: Any, name: str, like: str = "as in training") -> None:
    """Raise ValueError unless there are the expected entries.

    Args:
        values: an array, or a dict or a tuple of arrays.
        expected: a shape, or a dict or a tuple of shapes.
        name: the name of the values, for messages.
        like: where the expectation comes from.
    """
    names = entry_names(values)
    if names != entry_names(expected):
        raise ValueError(
            f"{name}: expected {entries_text(expected)}, {like}, got {entries_text(values)}"
        )
    for index in names or ():
        check_entries(values[index], expected[index], f"{name}[{index!r}]", like)


def entry_names(values: Any) -> Any:
    """Return the keys of a dict, the indices of a tuple, or None for one array or the shape of one."""
    if isinstance(values, Mapping):
        return values.keys()
    is_several = isinstance(values, tuple) and not all(isinstance(each, Integral) for each in values)
    return range(len(values)) if is_several else None


def entries_text(values: Any) -> str:
    """Return which entries several arrays, or their shapes, have, for messages.

    >>> entries_text({"age": (1,), "image": (8, 8)}), entries_text(((1,), (8, 8))), entries_text((8, 8))
    ("a dict with the keys 'age', 'image'", 'a tuple of 2', 'one array')
    """
    names = entry_names(values)
    if names is None:
        return "one array"
    if isinstance(names, range):
        return f"a tuple of {len(names)}"
    return f"a dict with the keys {', '.join(map(repr, names))}"


def map_entries(function: Callable[..., Any], values: Tree, name: str, *others: Tree) -> Tree:
    """Apply a function to each array, its name, such as x['age'], and the entries of others there."""
    if isinstance(values, dict):
        return {
            key: map_entries(function, value, f"{name}[{key!r}]", *[other[key] for other in others])
            for key, value in values.items()
        }
    if isinstance(values, tuple):
        return tuple(
            map_entries(function, value, f"{name}[{index}]", *[other[index] for other in others])
            for index, value in enumerate(values)
        )
    return function(values, name, *others)


def count_of(values: Tree) -> int:
    """Return the length of the first axis, the number of examples."""
    return int(tree.leaves(values)[0].shape[0])


def rows_of(values: Tree, rows: Any) -> Tree:
    """Return some rows of each array: a slice, or indices."""
    return tree.map(lambda leaf: leaf[rows], values)


def shape_of(values: Tree) -> Any:
    """Return the shape of one example: a tuple of integers, or a dict or a tuple of these.

    >>> import numpy as np
    >>> shape_of(np.zeros((5, 3))), shape_of({"age": np.zeros((5, 1)), "image": np.zeros((5, 8, 8))})
    ((3,), {'age': (1,), 'image': (8, 8)})
    """
    return tree.map(lambda leaf: tuple(leaf.shape[1:]), values)


def is_one_shape(shape: Any) -> bool:
    """Return whether this is the shape of one array, not a dict or a tuple of shapes."""
    return isinstance(shape, tuple) and not any(isinstance(each, tuple | dict) for each in shape)


def map_shapes(function: Callable[[Shape], Any], shape: Any) -> Tree:
    """Apply a function to the shape of each array."""
    if isinstance(shape, dict):
        return {key: map_shapes(function, value) for key, value in shape.items()}
    if not is_one_shape(shape):
        return tuple(map_shapes(function, value) for value in shape)
    return function(shape)
