"""Registration of classes and metrics, so that descriptions and checkpoints can name them."""

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from types import ModuleType
from typing import Any, TypeVar

from multinn.descriptions import names
from multinn.descriptions.hyperparameters import Hyperparameters

Registered = TypeVar("Registered", bound=Callable[..., Any])


def register(thing: Registered) -> Registered:
    """Register your own class or metric, so that descriptions and checkpoints can name it.

    Descriptions and checkpoints hold only its ``__name__``: a program that reads them must first
    register the same class or function.

    Args:
        thing: a dataclass that is a Layer, Loss, Optimizer, Schedule, Initializer or other kind of
            Hyperparameters; or a function that is a metric.

    Returns:
        ``thing`` itself, so that `register` is also a decorator.

    Raises:
        TypeError: ``thing`` is neither such a class nor a function.
        ValueError: ``thing`` has no name, or another class or function has the same name.

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
    if not (inspect.isfunction(thing) or is_concrete(thing)):
        raise TypeError(
            "register: expected thing: a function, or a dataclass of Hyperparameters without abstract "
            f"methods, such as a Layer; got {thing!r}"
        )
    names.add(thing.__name__, thing)
    return thing


def is_concrete(thing: Any) -> bool:
    """Return whether this is a dataclass of Hyperparameters without abstract methods."""
    if not (isinstance(thing, type) and issubclass(thing, Hyperparameters)):
        return False
    return is_dataclass(thing) and not inspect.isabstract(thing)


def register_module(
    module: ModuleType, prefix: str = "", kind: Callable[[Any], bool] = is_concrete
) -> None:
    """Register the public classes or functions that a module of the library defines or re-exports.

    Args:
        module: a module or a package.
        prefix: a prefix of each name.
        kind: returns whether an object is registered.
    """
    for name, value in vars(module).items():
        own = f"{getattr(value, '__module__', '')}.".startswith(f"{module.__name__}.")
        if own and not name.startswith("_") and kind(value):
            names.add(prefix + name, value)
