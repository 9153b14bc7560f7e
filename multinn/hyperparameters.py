"""What layers, losses, optimizers, schedules and initializers have in common."""

from abc import ABC
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, Self

import numpy as np


class Hyperparameters(ABC):  # noqa: B024  # what is abstract differs between its subclasses
    """The base of frozen dataclasses of hyperparameters: numbers of NumPy become those of Python.

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
        check(self)

    return post_init


def _make_numbers_plain(instance: Any) -> None:
    for field in fields(instance):
        value = getattr(instance, field.name)
        if isinstance(value, np.generic):
            object.__setattr__(instance, field.name, value.item())
