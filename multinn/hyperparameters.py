"""What layers, losses, optimizers, schedules and initializers have in common."""

from abc import ABC
from collections.abc import Callable
from dataclasses import fields
from functools import cache, wraps
from numbers import Integral, Real
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin

import numpy as np


class Hyperparameters(ABC):  # noqa: B024  # what is abstract differs between its subclasses
    """The base of frozen dataclasses of hyperparameters: numbers of NumPy become those of Python.

    What is not of the classes that a field declares is refused with a TypeError.

    A NumPy float64, such as an entry of `numpy.logspace`, would promote float32 arrays of NumPy, and of
    no other library.

    >>> from multinn import SGD
    >>> SGD(np.float64(0.1))
    SGD(learning_rate=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        check = cls.__dict__.get("__post_init__")
        if check is not None:
            cls.__post_init__ = _with_plain_numbers(check)  # type: ignore[assignment, method-assign]

    def __post_init__(self) -> None:
        _make_numbers_plain(self)
        _check_types(self)

    def to_dict(self) -> dict[str, Any]:
        """Return a description that JSON can hold: the name of the class, and all hyperparameters.

        Raises:
            DescriptionError: a class is not registered, or a hyperparameter is not made of numbers,
                strings, tuples and other registered classes.

        >>> from multinn import Dropout, ReLU, Sequential
        >>> Sequential([ReLU(), Dropout(0.1)]).to_dict()
        {'class': 'Sequential', 'layers': [{'class': 'ReLU'}, {'class': 'Dropout', 'rate': 0.1}]}
        """
        from multinn.descriptions import describe  # it knows of this class

        return describe(self)

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> Self:
        """Return what `to_dict` described, which has to be an instance of this class.

        No code runs but that of registered classes: `multinn.register` adds your own.

        Raises:
            DescriptionError: a class is unknown, a hyperparameter is unknown, missing or impossible.

        >>> from multinn import Layer
        >>> Layer.from_dict({"class": "Dropout", "rate": 0.25})
        Dropout(rate=0.25)
        """
        from multinn.descriptions import build  # it knows of this class

        return build(cls, description)


def _with_plain_numbers(check: Callable[[Any], None]) -> Callable[[Any], None]:
    @wraps(check)
    def post_init(self: Any) -> None:
        _make_numbers_plain(self)
        _check_types(self, _IN_ADVANCE)
        check(self)
        if type(self).__post_init__ is post_init:  # not that of a base class, which knows less
            _check_types(self)

    return post_init


def _make_numbers_plain(instance: Any) -> None:
    for field in fields(instance):
        value = getattr(instance, field.name)
        if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
            object.__setattr__(instance, field.name, value.item())


# What would fail in a comparison, with a message that names nothing. Integers are left to the class,
# which knows how large they have to be.
_IN_ADVANCE = (float, bool)
_NAMES: dict[Any, str] = {
    float: "a number",
    int: "an integer",
    bool: "True or False",
    type(None): "None",
}


def _check_types(instance: Any, only: tuple[type, ...] = ()) -> None:
    """Raise TypeError if a hyperparameter is not of the classes that its field declares.

    Args:
        instance: of a dataclass.
        only: check fields that declare one of these alone, if there are any.
    """
    kind: Any = type(instance)
    for name, kinds in _declared(kind).items():
        if only and not any(each in only for each in kinds):
            continue
        value = getattr(instance, name)
        if not any(_is_a(value, each) for each in kinds):
            expected = " or ".join(_NAMES.get(each, each.__name__) for each in kinds)
            raise TypeError(f"{type(instance).__name__}: expected {name}: {expected}, got {value!r}")


@cache
def _declared(kind: Any) -> dict[str, tuple[type, ...]]:
    """Return the classes that each field declares, for those fields that declare nothing but classes."""
    declared = {}
    for field in fields(kind):
        is_union = get_origin(field.type) in (Union, UnionType)
        kinds = get_args(field.type) if is_union else (field.type,)
        if field.init and all(isinstance(each, type) for each in kinds):
            declared[field.name] = kinds
    return declared


def _is_a(value: Any, kind: type) -> bool:
    """Return whether a value has that type; an integer is a float, a boolean is neither."""
    if kind not in (float, int):
        return isinstance(value, kind)
    return isinstance(value, Real if kind is float else Integral) and not isinstance(value, bool)
