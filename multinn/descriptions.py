"""Hyperparameters as plain dicts that JSON can hold, and back.

A description holds names that are looked up in `multinn.registry`, never a place to import from.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from multinn.errors import DescriptionError
from multinn.hyperparameters import Hyperparameters
from multinn.losses import Loss
from multinn.registry import name_of, named

Description = dict[str, Any]
Built = TypeVar("Built", bound=Hyperparameters)


def describe(instance: Hyperparameters) -> Description:
    """Return the name of the class, as ``class``, and all hyperparameters by name.

    Raises:
        DescriptionError: a class is not registered, or a hyperparameter is something else than None, a
            boolean, a finite number, a string, or a tuple or dataclass of such; or the class does not
            take its own hyperparameters again.
    """
    description = _describe_instance(instance, type(instance).__name__)
    build(type(instance), description)  # better now than when the instance is gone
    return description


def build(kind: type[Built], description: Any) -> Built:
    """Return the instance of ``kind`` that was described.

    Raises:
        DescriptionError: the description is not one of such an instance; the message names the place.
    """
    try:
        instance = _build_instance(description, "")
    except RecursionError:
        raise DescriptionError(f"{kind.__name__}: nested too deep") from None
    if not isinstance(instance, kind):
        raise DescriptionError(f"expected a description of a {kind.__name__}, got one of {instance!r}")
    return instance


def describe_metric(metric: Any) -> str | Description:
    """Return the name of a registered function, or a description of what is called.

    ``SomeLoss().value`` is described as the loss itself.

    Raises:
        DescriptionError: a function is not registered, such as a lambda; or as in `describe`.
    """
    if isinstance(metric, Hyperparameters):
        return describe(metric)
    owner = getattr(metric, "__self__", None)
    if isinstance(owner, Loss) and getattr(metric, "__name__", None) == "value":
        return describe(owner)
    return name_of(metric)


def build_metric(description: Any) -> Callable[..., Any]:
    """Return the metric that was described.

    Raises:
        DescriptionError: the description is not that of a metric.
    """
    metric: Callable[..., Any] | Hyperparameters
    metric = named(description) if isinstance(description, str) else build(Hyperparameters, description)
    if isinstance(metric, Loss):
        return metric.value
    if isinstance(metric, type) or not callable(metric):
        raise DescriptionError(f"expected a description of a metric, got {description!r}")
    return metric


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
    return _plain(value, place)


def _plain(value: Any, place: str) -> Any:
    """Return what JSON has by itself, without inf and nan."""
    if not isinstance(value, NoneType | bool | int | float | str):
        raise DescriptionError(
            f"{place}: expected numbers, strings, None, and tuples and registered classes of such, "
            f"got {value!r}"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise DescriptionError(f"{place}: expected a finite number, got {value}")
    return value


def _build_instance(description: Any, place: str) -> Any:
    prefix = f"{place}: " if place else ""
    if not isinstance(description, Mapping) or not isinstance(description.get("class"), str):
        raise DescriptionError(
            f"{prefix}expected a dict with the name of a class as 'class', got {description!r}"
        )
    try:
        kind = named(description["class"])
    except DescriptionError as error:
        raise DescriptionError(f"{prefix}{error}") from None
    if not isinstance(kind, type):
        raise DescriptionError(f"{prefix}expected a class, got the function {description['class']!r}")
    values = _hyperparameters(kind, description, f"{prefix}{kind.__name__}")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise DescriptionError(f"{prefix}{error}") from error


def _hyperparameters(kind: type, description: Mapping[str, Any], place: str) -> dict[str, Any]:
    _check_names(kind, description, place)
    hints = _hints(kind)
    values = {}
    for name, raw in description.items():
        if name != "class":
            values[name] = _build(raw, f"{place}.{name}")
            _check_type(values[name], hints.get(name, Any), f"{place}.{name}")
    return values


def _build(description: Any, place: str) -> Any:
    if isinstance(description, Mapping):
        return _build_instance(description, place)
    if isinstance(description, list | tuple):
        return tuple(_build(entry, f"{place}[{index}]") for index, entry in enumerate(description))
    return _plain(description, place)


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


def _hints(kind: type) -> dict[str, Any]:
    try:
        return get_type_hints(kind)
    except NameError:  # of a user's class, with names that only a type checker knows
        return {}


def _check_type(value: Any, hint: Any, place: str) -> None:
    if not _fits(value, hint):
        expected = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
        raise DescriptionError(f"{place}: expected {expected}, got {value!r}")


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value has that type; an integer is a float, a boolean is neither."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and _entries_fit(value, arguments)
    if hint is None:
        return value is None
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    kind = origin or hint
    if isinstance(kind, type):
        return isinstance(value, kind)
    return True  # such as Any


def _entries_fit(values: tuple[Any, ...], hints: tuple[Any, ...]) -> bool:
    if len(hints) == 2 and hints[1] is ...:
        return all(_fits(value, hints[0]) for value in values)
    return len(values) == len(hints) and all(map(_fits, values, hints))
