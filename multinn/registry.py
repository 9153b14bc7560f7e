"""Names for what a description may name: the library's own classes and metrics, and a user's."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from difflib import get_close_matches
from types import ModuleType
from typing import Any, TypeVar

from multinn.errors import DescriptionError
from multinn.hyperparameters import Hyperparameters

Registered = TypeVar("Registered", bound=Callable[..., Any])

_by_name: dict[str, Callable[..., Any]] = {}
_names: dict[Callable[..., Any], str] = {}


def register(thing: Registered) -> Registered:
    """Let descriptions and checkpoints name a class or a metric of your own; return it.

    They hold its name alone, ``__name__``: who reads one has to have registered the same before.

    Args:
        thing: a dataclass that is a Layer, Loss, Optimizer, Schedule, Initializer, or another kind of
            Hyperparameters; or a function, to be used as a metric.

    Raises:
        TypeError: it is neither.
        ValueError: it has no name of its own, or something else is registered under that name.

    >>> from dataclasses import dataclass
    >>> import multinn
    >>> @multinn.register
    ... @dataclass(frozen=True)
    ... class Tenfold(multinn.schedules.Schedule):
    ...     learning_rate: float
    ...
    ...     def __call__(self, backend, step):
    ...         return 10.0 * self.learning_rate
    >>> multinn.SGD(Tenfold(0.5)).to_dict()["learning_rate"]
    {'class': 'Tenfold', 'learning_rate': 0.5}
    """
    if not (inspect.isfunction(thing) or _is_concrete(thing)):
        raise TypeError(
            "register: expected a function, or a class that can be instantiated and is a dataclass of "
            f"Hyperparameters, such as a Layer; got {thing!r}"
        )
    _add(thing.__name__, thing)
    return thing


def register_library() -> None:
    """Register what the library itself has, under the names that it has in the package ``multinn``."""
    from multinn import initializers, layers, losses, metrics, optimizers, schedules  # they are above

    for module in (layers, losses, optimizers, metrics):
        _register_own(module, _is_concrete)
    for module in (schedules, initializers):
        _register_own(module, _is_concrete, f"{module.__name__.rpartition('.')[2]}.")
    _register_own(metrics, inspect.isfunction)


def register_parts(module: ModuleType, prefix: str) -> None:
    """Register the classes that a module of the library defines, under names with that prefix."""
    _register_own(module, _is_concrete, prefix)


def name_of(thing: Callable[..., Any]) -> str:
    """Return the name of a registered class or function.

    Raises:
        DescriptionError: it is not registered.
    """
    try:
        return _names[thing]
    except (KeyError, TypeError):  # what cannot be hashed is not registered either
        shown = getattr(thing, "__qualname__", repr(thing))
        raise DescriptionError(
            f"{shown} is not registered: descriptions hold names alone; if it is your own, give it a "
            "name by multinn.register"
        ) from None


def named(name: str) -> Callable[..., Any]:
    """Return the class or function of that name.

    Raises:
        DescriptionError: there is none.
    """
    try:
        return _by_name[name]
    except KeyError:
        close = get_close_matches(name, _by_name, n=1)
        suggestion = f" (did you mean {close[0]!r}?)" if close else ""
        known_later = "import multinn.sklearn before" if name.startswith("sklearn.") else None
        raise DescriptionError(
            f"unknown name {name!r}{suggestion}; "
            + (known_later or "what is your own has to be registered before, by multinn.register")
        ) from None


def registered_classes() -> Iterator[tuple[str, type[Hyperparameters]]]:
    """Yield the name of each registered class, and the class, in the order of the names."""
    for name, thing in sorted(_by_name.items()):
        if isinstance(thing, type):
            yield name, thing


def _register_own(module: ModuleType, chosen: Callable[[Any], bool], prefix: str = "") -> None:
    """Register what a module defines or exports from within, but for what is private."""
    for name, value in vars(module).items():
        own = f"{getattr(value, '__module__', '')}.".startswith(f"{module.__name__}.")
        if own and not name.startswith("_") and chosen(value):
            _add(prefix + name, value)


def _add(name: str, thing: Callable[..., Any]) -> None:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"register: {name!r} has no name of its own; define it with def")
    if _by_name.setdefault(name, thing) is not thing:
        raise ValueError(
            f"register: the name {name!r} is taken by {_by_name[name]!r}; {thing!r} needs another"
        )
    _names[thing] = name


def _is_concrete(thing: Any) -> bool:
    if not (isinstance(thing, type) and issubclass(thing, Hyperparameters)):
        return False
    return is_dataclass(thing) and not inspect.isabstract(thing)
