"""Parts that are given as a list, or as a dict by name."""

from collections.abc import Mapping
from typing import Any


def named_parts(owner: str, parts: Any, names: Any) -> tuple[Any, tuple[str, ...] | None]:
    """Return parts and their names; a dict of parts has both, and other parts may have no names.

    Args:
        owner: the name of the class, for messages.
        parts: the parts, or a dict of parts by name.
        names: the names, if the parts are no dict; or None.

    Raises:
        TypeError: names is no list of strings, or a key of the dict is no string.
        ValueError: there are two sources of names, or two equal names.
    """
    if isinstance(parts, Mapping):
        if names is not None:
            raise ValueError(f"{owner}: expected names only with a list, got them with a dict, too")
        parts, names = list(parts.values()), list(parts)
    if names is None:
        return parts, None
    if not isinstance(names, tuple | list):
        raise TypeError(f"{owner}: expected names: a list of strings, got {names!r}")
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{owner}: expected names: strings, got {name!r}")
    if len(set(names)) < len(names) or "" in names:
        raise ValueError(f"{owner}: expected names that differ, none of them empty, got {names}")
    return parts, tuple(names)
