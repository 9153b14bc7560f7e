"""Trees: nested dicts, tuples, lists and named tuples whose leaves are arrays.

Parameters, caches, gradients and optimizer states are such trees. ``None`` is a tree without leaves.
"""

from collections.abc import Callable
from typing import Any

Tree = Any
_SEQUENCES = (tuple, list)  # isinstance is in the hot path, and slower on a union
_BRANCHES = (dict, *_SEQUENCES)


def map(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Apply ``function`` to each leaf of ``tree`` and the leaves at the same place in ``others``.

    Args:
        function: takes one leaf of each tree, and returns the new leaf.
        tree: determines the structure of the result.
        others: trees of the same structure.

    Raises:
        ValueError: a tree in ``others`` has another structure.

    >>> map(lambda x, y: x + y, {"W": 1, "b": (2, 3)}, {"W": 10, "b": (20, 30)})
    {'W': 11, 'b': (22, 33)}
    """
    if isinstance(tree, dict):
        for other in others:
            _check_same_structure(tree, other)
        return {
            key: map(function, child, *[other[key] for other in others]) for key, child in tree.items()
        }
    if isinstance(tree, _SEQUENCES):
        for other in others:
            _check_same_structure(tree, other)
        return _rebuild(tree, [map(function, *parts) for parts in zip(tree, *others, strict=True)])
    for other in others:
        if isinstance(other, _BRANCHES) or (other is None) != (tree is None):
            _check_same_structure(tree, other)
    return None if tree is None else function(tree, *others)


def map_with_paths(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Apply ``function`` as `map` does; its first argument is the path of the leaf, such as ``0.W``.

    >>> map_with_paths(lambda path, leaf: f"{path}={leaf}", ({"W": 1}, {"W": 2}))
    ({'W': '0.W=1'}, {'W': '1.W=2'})
    """

    def with_path(leaf: Any, path: str, *leaves: Any) -> Any:
        return function(path, leaf, *leaves)

    return map(with_path, tree, _paths(tree, ""), *others)


def leaves(tree: Tree) -> list[Any]:
    """Return the leaves in a fixed order: by position, and by sorted key in a dict.

    >>> leaves({"b": 2, "W": 1, "rest": (3, None, [4])})
    [1, 2, 3, 4]
    """
    found: list[Any] = []
    _collect(tree, found)
    return found


def _collect(tree: Tree, found: list[Any]) -> None:
    if isinstance(tree, dict):
        for key in sorted(tree):
            _collect(tree[key], found)
    elif isinstance(tree, _SEQUENCES):
        for child in tree:
            _collect(child, found)
    elif tree is not None:
        found.append(tree)


def leaves_with_paths(tree: Tree) -> list[tuple[str, Any]]:
    """Return each leaf with its path, such as ``0.W``, in the order of `leaves`.

    >>> leaves_with_paths(({"W": 1, "b": 2}, {"W": 3}))
    [('0.W', 1), ('0.b', 2), ('1.W', 3)]
    """
    return list(zip(leaves(_paths(tree, "")), leaves(tree), strict=True))


def _paths(tree: Tree, path: str) -> Tree:
    """Return the tree with each leaf replaced by its path."""
    prefix = f"{path}." if path else ""
    if isinstance(tree, dict):
        return {key: _paths(child, f"{prefix}{key}") for key, child in tree.items()}
    if isinstance(tree, _SEQUENCES):
        children = [_paths(child, f"{prefix}{index}") for index, child in enumerate(tree)]
        return _rebuild(tree, children)
    return None if tree is None else path


def _check_same_structure(tree: Tree, other: Tree) -> None:
    same = type(tree) is type(other) and isinstance(tree, _BRANCHES) and len(tree) == len(other)
    if same and type(tree) is dict:
        same = tree.keys() == other.keys()
    if not same:
        raise ValueError(f"trees differ: expected {_kind(tree)}, got {_kind(other)}")


def _kind(tree: Tree) -> str:
    if isinstance(tree, dict):
        return f"a dict with keys {sorted(tree)}"
    if isinstance(tree, _SEQUENCES):
        return f"a {type(tree).__name__} of length {len(tree)}"
    return f"a leaf of type {type(tree).__name__}"


def _rebuild(like: Tree, children: list[Any]) -> Tree:
    kind = type(like)
    if kind is tuple or kind is list:
        return kind(children)
    return kind(*children) if hasattr(like, "_fields") else kind(children)


def scan_length(xs: Tree) -> int:
    """Return the common length of the first axes of ``xs``.

    Raises:
        ValueError: there are no leaves, or their first axes are empty or differ in length.
    """
    lengths = {tuple(leaf.shape[:1]) for leaf in leaves(xs)}
    if len(lengths) != 1 or lengths & {(), (0,)}:
        shapes = [tuple(leaf.shape) for leaf in leaves(xs)]
        raise ValueError(
            f"scan: expected arrays whose first axes have one common length above 0, got shapes {shapes}"
        )
    return int(lengths.pop()[0])
