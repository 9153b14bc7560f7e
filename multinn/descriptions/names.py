"""The table of registered classes and functions, by the names that descriptions use."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

from multinn.errors import DescriptionError

_by_name: dict[str, Callable[..., Any]] = {}
_names: dict[Callable[..., Any], str] = {}


def add(name: str, thing: Callable[..., Any]) -> None:
    """Add a class or a function under a name.

    Raises:
        ValueError: the name is not an identifier, or is in use for something else.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(
            f"register: expected a class or function with a name, got {name!r}; define it with one"
        )
    if _by_name.setdefault(name, thing) is not thing:
        raise ValueError(
            f"register: {_by_name[name]!r} already has the name {name!r}; give {thing!r} another one"
        )
    _names[thing] = name


def name_of(thing: Callable[..., Any]) -> str:
    """Return the name of a registered class or function.

    Raises:
        DescriptionError: it is not registered.
    """
    try:
        return _names[thing]
    except (KeyError, TypeError):  # TypeError: it cannot be hashed
        shown = getattr(thing, "__qualname__", repr(thing))
        raise DescriptionError(
            f"{shown} is not registered, and descriptions hold only registered names: register your own "
            "class or function with multinn.register"
        ) from None


def named(name: str) -> Callable[..., Any]:
    """Return the class or function with that name.

    Raises:
        DescriptionError: the name is unknown.
    """
    try:
        return _by_name[name]
    except KeyError:
        close = get_close_matches(name, _by_name, n=1)
        suggestion = f" (did you mean {close[0]!r}?)" if close else ""
        remedy = (
            "import multinn.sklearn first"
            if name.startswith("sklearn.")
            else "register your own class or function with multinn.register first"
        )
        raise DescriptionError(f"unknown name {name!r}{suggestion}; {remedy}") from None


def registered_classes() -> Iterator[tuple[str, type[Any]]]:
    """Yield each registered class with its name, sorted by name."""
    for name, thing in sorted(_by_name.items()):
        if isinstance(thing, type):
            yield name, thing


def close_class(text: str, kinds: tuple[type, ...]) -> tuple[str, type] | None:
    """Return the registered class that a text such as "relu" or "mse" may mean, with its name, or None.

    Args:
        text: what a user wrote in place of an instance.
        kinds: the class is a subclass of one of these.
    """
    known: dict[str, tuple[str, type]] = {}
    for name, kind in registered_classes():
        if issubclass(kind, kinds) and not name.startswith("sklearn."):
            known[kind.__name__.lower()] = (name, kind)
    for name, kind in [*known.values()]:
        known.setdefault("".join(filter(str.isupper, kind.__name__)).lower(), (name, kind))
    wanted = text.replace("_", "").lower()
    starts = sorted((name for name in known if len(name) > 2 and wanted.startswith(name)), key=len)
    close = starts[-1:] or get_close_matches(wanted, known, n=1)
    return known[close[0]] if close else None
