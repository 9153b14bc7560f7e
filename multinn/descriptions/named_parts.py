"""Parts that are given as a list, or as a dict by name."""

from collections.abc import Iterable, Mapping, Sized
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


def check_one_name_each(owner: str, what: str, parts: Sized, names: tuple[str, ...] | None) -> None:
    """Raise ValueError unless there are no names, or one for each part.

    Args:
        owner: the name of the class, for messages.
        what: what the parts are, for messages.
        parts: the parts.
        names: their names, or None.
    """
    if names is not None and len(names) != len(parts):
        raise ValueError(f"{owner}: expected names: one for each of {len(parts)} {what}, got {names}")


def with_names(parts: Iterable[Any], names: tuple[str, ...] | None) -> Any:
    """Return parts as a tuple or, with names, as a dict."""
    return tuple(parts) if names is None else dict(zip(names, parts, strict=True))
