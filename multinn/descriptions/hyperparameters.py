"""Hyperparameters of layers, losses, optimizers, schedules and initializers, and their descriptions.

A description is a dict for JSON. It holds the names of registered classes, never an import path.
"""

import math
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache, wraps
from types import NoneType
from typing import Any, Self, TypeVar, get_origin, get_type_hints

import numpy as np

from multinn.descriptions.names import name_of, named
from multinn.descriptions.types import alternatives, check_type
from multinn.errors import DescriptionError

Description = dict[str, Any]


class Hyperparameters(ABC):  # noqa: B024  # each subclass has its own abstract methods
    """The base of frozen dataclasses of hyperparameters.

    NumPy scalars become Python numbers: a NumPy float64, such as an entry of `numpy.logspace`, would
    promote float32 arrays on NumPy, but on no other library. A value that contradicts its annotation
    raises TypeError.

    >>> from multinn import SGD
    >>> SGD(np.float64(0.1))
    SGD(learning_rate=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        check = cls.__dict__.get("__post_init__")
        if check is not None:
            cls.__post_init__ = _with_checks(check)  # type: ignore[assignment, method-assign]

    def __post_init__(self) -> None:
        _convert_scalars(self)
        _check_types(type(self), vars(self))

    def to_dict(self) -> Description:
        """Return a description for JSON: the name of the class, and all hyperparameters.

        Raises:
            DescriptionError: a class is not registered, or a hyperparameter is not a number, a string,
                None, an instance of a registered class, or a tuple of these.

        >>> from multinn import Dropout, ReLU, Sequential
        >>> Sequential([ReLU(), Dropout(0.1)]).to_dict()
        {'class': 'Sequential', 'layers': [{'class': 'ReLU'}, {'class': 'Dropout', 'rate': 0.1}]}
        """
        description = _describe_instance(self, type(self).__name__)
        build(type(self), description)  # an error is better now than on loading
        return description

    @classmethod
    def from_dict(cls, description: Description) -> Self:
        """Return an instance of this class from its description by `to_dict`.

        Only code of registered classes runs; `multinn.register` registers your own.

        Raises:
            DescriptionError: the description is of another class, or a class in it is unknown, or a
                hyperparameter is unknown, missing or invalid.

        >>> from multinn import Layer
        >>> Layer.from_dict({"class": "Dropout", "rate": 0.25})
        Dropout(rate=0.25)
        """
        return build(cls, description)


Built = TypeVar("Built", bound=Hyperparameters)


def build(kind: type[Built], description: Any) -> Built:
    """Return the instance of ``kind`` with this description.

    Raises:
        DescriptionError: the description is invalid; the message names the place.
    """
    try:
        instance = _build_instance(description, "")
    except RecursionError:
        raise DescriptionError(f"{kind.__name__}: the description is nested too deeply") from None
    if not isinstance(instance, kind):
        raise DescriptionError(f"expected a description of a {kind.__name__}, got one of {instance!r}")
    return instance


def _with_checks(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a `__post_init__` that also converts scalars and compares values with annotations."""

    @wraps(check)
    def post_init(self: Any) -> None:
        _convert_scalars(self)
        _check_types(type(self), vars(self), first=True)
        check(self)
        if type(self).__post_init__ is post_init:  # in a base class, fields may not be converted yet
            _check_types(type(self), vars(self))

    return post_init


def _convert_scalars(instance: Any) -> None:
    for field in fields(instance):
        value = getattr(instance, field.name)
        if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
            object.__setattr__(instance, field.name, value.item())


def _check_types(kind: type, values: Mapping[str, Any], *, first: bool = False) -> None:
    """Raise TypeError if a value contradicts the annotation of its field.

    Args:
        kind: a dataclass.
        values: values of its fields by name.
        first: whether to check only those that must fit before the class's own checks.
    """
    for name, hint in _annotations(kind).items():
        if name in values and not (first and _comes_later(values[name], hint)):
            check_type(kind.__name__, name, values[name], hint)


def _comes_later(value: Any, hint: Any) -> bool:
    """Return whether a value is checked after the class's own checks.

    Numbers come first, since these checks compare them, and booleans, which pass as integers there.
    Integers come later, since the class names their bounds, and choices and tuples, since it may
    convert them.
    """
    kinds = alternatives(hint)
    is_compared = isinstance(value, bool) or bool({float, bool} & set(kinds))
    return not is_compared or any(map(get_origin, kinds))


@cache
def _annotations(kind: Any) -> dict[str, Any]:
    """Return the annotations of the constructor's fields."""
    try:
        hints = get_type_hints(kind)
    except NameError:  # a user's class may use names that only type checkers import
        return {}
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


def _describe_instance(instance: Hyperparameters, place: str) -> Description:
    try:
        name = name_of(type(instance))
    except DescriptionError as error:
        raise DescriptionError(f"{place}: {error}") from None
    values = {field.name: getattr(instance, field.name) for field in fields(instance) if field.init}  # type: ignore[arg-type]
    return {"class": name} | {
        field: _describe(value, f"{place}.{field}") for field, value in values.items()
    }


def _describe(value: Any, place: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Hyperparameters):
        return _describe_instance(value, place)
    if isinstance(value, tuple | list):
        return [_describe(entry, f"{place}[{index}]") for index, entry in enumerate(value)]
    return _json_value(value, place)


def _json_value(value: Any, place: str) -> Any:
    """Return the value if JSON can hold it; JSON has neither infinity nor NaN."""
    if not isinstance(value, NoneType | bool | int | float | str):
        raise DescriptionError(
            f"{place}: expected a number, a string, None, an instance of a registered class, or a tuple "
            f"of these, got {value!r}"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise DescriptionError(f"{place}: expected a finite number, got {value}")
    return value


def _build_instance(description: Any, place: str) -> Any:
    prefix = f"{place}: " if place else ""
    if not isinstance(description, Mapping) or not isinstance(description.get("class"), str):
        raise DescriptionError(
            f"{prefix}expected a description, a dict with the name of a class as 'class', got "
            f"{description!r}"
        )
    try:
        kind = named(description["class"])
    except DescriptionError as error:
        raise DescriptionError(f"{prefix}{error}") from None
    if not isinstance(kind, type):
        raise DescriptionError(f"{prefix}expected a class, got the function {description['class']!r}")
    path = f"{prefix}{kind.__name__}"
    _check_names(kind, description, path)
    given = {name: value for name, value in description.items() if name != "class"}
    values = {name: _build(value, f"{path}.{name}") for name, value in given.items()}
    try:
        _check_types(kind, values)
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise DescriptionError(f"{prefix}{error}") from error


def _build(description: Any, place: str) -> Any:
    if isinstance(description, Mapping):
        return _build_instance(description, place)
    if isinstance(description, list | tuple):
        return tuple(_build(entry, f"{place}[{index}]") for index, entry in enumerate(description))
    return _json_value(description, place)


def _check_names(kind: type, description: Mapping[str, Any], place: str) -> None:
    known = {field.name: field for field in fields(kind) if field.init}
    unknown = [name for name in description if name != "class" and name not in known]
    if unknown:
        raise DescriptionError(
            f"{place}: unknown hyperparameter {unknown[0]!r}, expected {', '.join(known) or 'none'}"
        )
    for name, field in known.items():
        if name not in description and field.default is field.default_factory is MISSING:
            raise DescriptionError(f"{place}: the hyperparameter {name!r} is missing")
