"""Trees: nested dicts, tuples, lists and named tuples whose leaves are arrays.

Parameters, caches, gradients and optimizer states are such trees. ``None`` is a tree without leaves.
"""

from collections.abc import Callable, Iterator
from typing import Any

Tree = Any
_BRANCHES = (dict, tuple, list)


def map(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Apply ``function`` to each leaf of ``tree`` and to the leaves at the same place in ``others``.

    Args:
        function: takes one leaf of each tree, returns the new leaf.
        tree: gives the structure of the result.
        others: trees of that same structure.

    Raises:
        ValueError: a tree in ``others`` has another structure.

    >>> map(lambda x, y: x + y, {"W": 1, "b": (2, 3)}, {"W": 10, "b": (20, 30)})
    {'W': 11, 'b': (22, 33)}
    """
    if isinstance(tree, _BRANCHES):
        children = [
            map(function, child, *(other[key] for other in others))
            for key, child in _items(tree, others)
        ]
        return _rebuild(tree, children)
    return None if tree is None else function(tree, *others)


def map_with_paths(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Apply ``function`` as `map` does, with the place of the leaf, such as ``0.W``, before the leaves.

    >>> map_with_paths(lambda path, leaf: f"{path}={leaf}", ({"W": 1}, {"W": 2}))
    ({'W': '0.W=1'}, {'W': '1.W=2'})
    """
    paths = iter([path for path, _ in leaves_with_paths(tree)])
    return map(lambda *leaves: function(next(paths), *leaves), tree, *others)


def leaves(tree: Tree) -> list[Any]:
    """Return the leaves in a fixed order: by position, and by sorted key in a dict.

    >>> leaves({"b": 2, "W": 1, "rest": (3, None, [4])})
    [1, 2, 3, 4]
    """
    return [leaf for _, leaf in leaves_with_paths(tree)]


def leaves_with_paths(tree: Tree, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each leaf with its place in the tree, such as ``0.W``, in the order of `leaves`.

    >>> list(leaves_with_paths(({"W": 1, "b": 2}, {"W": 3})))
    [('0.W', 1), ('0.b', 2), ('1.W', 3)]
    """
    if isinstance(tree, _BRANCHES):
        for key, child in _items(tree):
            yield from leaves_with_paths(child, f"{path}.{key}" if path else str(key))
    elif tree is not None:
        yield path, tree


def _items(tree: Tree, others: tuple[Tree, ...] = ()) -> list[tuple[Any, Tree]]:
    """Return the children with their keys, having checked that the others have the same keys."""
    for other in others:
        same = type(tree) is type(other) and len(tree) == len(other)
        if not same or (isinstance(tree, dict) and tree.keys() != other.keys()):
            raise ValueError(f"trees differ: expected {_kind(tree)}, got {_kind(other)}")
    return sorted(tree.items()) if isinstance(tree, dict) else list(enumerate(tree))


def _kind(tree: Tree) -> str:
    if isinstance(tree, dict):
        return f"a dict with keys {sorted(tree)}"
    if isinstance(tree, tuple | list):
        return f"a {type(tree).__name__} of length {len(tree)}"
    return f"a leaf of type {type(tree).__name__}"


def _rebuild(like: Tree, children: list[Any]) -> Tree:
    if isinstance(like, dict):
        return dict(zip(sorted(like), children, strict=True))
    return type(like)(*children) if hasattr(like, "_fields") else type(like)(children)
