"""Values compared with the annotations of fields and of parameters."""

import inspect
from collections.abc import Callable
from functools import wraps
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

import numpy as np

from multinn.descriptions.names import close_class

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_TYPE_NAMES: dict[Any, str] = {
    float: "a number",
    int: "an integer",
    bool: "True or False",
    str: "a string",
    NoneType: "None",
}
_PLURALS: dict[Any, str] = {float: "numbers", int: "integers", str: "strings"}


def checks_arguments(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return the function with a check of its arguments: a value of another type raises TypeError.

    Only plain annotations are compared, such as ``bool`` or ``Layer | None``. The function itself checks
    arrays, what may be a list in place of a tuple, and what may be an instance or its name.

    >>> @checks_arguments
    ... def fit(shuffle: bool = True) -> None: ...
    >>> fit(shuffle="no")
    Traceback (most recent call last):
    TypeError: fit: expected shuffle: True or False, got 'no'
    """
    parameters = inspect.signature(function).parameters
    hints = {name: each.annotation for name, each in parameters.items() if _is_plain(each.annotation)}
    is_constructor = function.__name__ == "__init__"

    @wraps(function)
    def checked(*arguments: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        for name, value in (*zip(parameters, arguments, strict=False), *keywords.items()):
            if name in hints and type(value) is not hints[name]:  # the rest is slower
                owner = type(arguments[0]).__name__ if is_constructor else function.__name__
                check_type(owner, name, value, hints[name])
        return function(*arguments, **keywords)

    return checked


def check_type(owner: str, name: str, value: Any, hint: Any) -> None:
    """Raise TypeError if a value contradicts an annotation.

    Args:
        owner: the name of the class or the function, for the message.
        name: the name of the field or the parameter.
        value: the value; NumPy scalars count as Python numbers.
        hint: the annotation.
    """
    if type(value) is not hint and not _fits(value, hint):
        raise TypeError(
            f"{owner}: expected {name}: {_type_text(hint)}, got {value!r:.300}{instead(value, hint)}"
        )


def instead(value: Any, hint: Any) -> str:
    """Return what to write in place of a value of a wrong type, after "; ", or "" if that is unknown."""
    kinds = tuple(kind for kind in alternatives(hint) if isinstance(kind, type))
    classes = tuple(kind for kind in kinds if kind not in _TYPE_NAMES)
    if isinstance(value, type) and issubclass(value, classes):
        return f"; write an instance, {_call_text(value.__name__, value)}"
    if isinstance(value, str):
        found = close_class(value, classes)
        return f"; write an instance, such as {_call_text(*found)}" if found else ""
    if isinstance(value, list | tuple) and value and all(isinstance(each, classes) for each in value):
        found = close_class("Sequential", classes)
        return f"; write {found[0]}([...])" if found else ""
    if str in kinds and isinstance(value, type | np.dtype):
        return _dtype_text(value)
    return ""


def _call_text(name: str, kind: type) -> str:
    parameters = inspect.signature(kind).parameters.values()
    return f"{name}({'...' if any(each.default is each.empty for each in parameters) else ''})"


def _dtype_text(value: Any) -> str:
    try:
        dtype = np.dtype(value)
    except TypeError:
        return ""
    return f"; write {dtype.name!r}" if dtype.kind == "f" else ""


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the annotation alone."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _is_plain(hint: Any) -> bool:
    """Return whether an annotation is one class without arguments in brackets, perhaps with None."""
    kinds = [kind for kind in alternatives(hint) if kind is not NoneType]
    is_one = len(kinds) == 1 and isinstance(kinds[0], type) and get_origin(kinds[0]) is None
    return is_one and kinds[0] is not inspect.Parameter.empty


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value has the annotated type; integers count as floats, booleans do not."""
    if isinstance(value, np.generic):
        value = value.item()
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and _entries_fit(value, arguments)
    if hint in (int, float):
        return isinstance(value, Real if hint is float else Integral) and not isinstance(value, bool)
    try:
        return isinstance(value, origin or hint)
    except TypeError:  # any value fits Any, a TypeVar, a Protocol and the like
        return True


def _entries_fit(values: tuple[Any, ...], hints: tuple[Any, ...]) -> bool:
    if len(hints) == 2 and hints[1] is ...:
        return all(_fits(value, hints[0]) for value in values)
    return len(values) == len(hints) and all(map(_fits, values, hints))


def _type_text(hint: Any) -> str:
    """Return an annotation in words, such as "a number or None" or "one of 'same', 'valid'"."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"one of {', '.join(map(repr, arguments))}"
    if origin is tuple and arguments[-1] is ...:
        return f"a tuple of {_PLURALS.get(arguments[0]) or _type_text(arguments[0])}"
    if origin is tuple:
        return f"a tuple ({', '.join(map(_type_text, arguments))})"
    if len(alternatives(hint)) > 1:
        return " or ".join(map(_type_text, alternatives(hint)))
    plain = isinstance(hint, type) and origin is None
    return _TYPE_NAMES.get(hint, hint.__name__ if plain else str(hint).replace("typing.", ""))
