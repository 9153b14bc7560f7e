"""Copies of layers and other parts whose methods also record their calls."""

import copy
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from backends import tree
from multinn.descriptions.hyperparameters import Hyperparameters


def instrumented(part: Any, method: str, subclass: Callable[[type], type]) -> Any:
    """Return a copy of a part, and of each part in its fields, whose class is a subclass of its own.

    The parts in a field may also stand in tuples, lists and dicts. A copy that `dataclasses.replace`
    makes of the copy has the subclass, too.

    Args:
        part: a frozen dataclass, such as a `Layer`, or an object without fields.
        method: the method by which a part is recognized in a field, such as "init".
        subclass: takes a class and returns a subclass of it.
    """

    def convert(value: Any) -> Any:
        is_part = isinstance(value, Hyperparameters) and callable(getattr(value, method, None))
        return instrumented(value, method, subclass) if is_part else value

    copied = copy.copy(part)
    for field in fields(copied) if is_dataclass(copied) else ():
        object.__setattr__(copied, field.name, tree.map(convert, getattr(copied, field.name)))
    kind = subclass(type(part))
    kind.__name__, kind.__doc__ = type(part).__name__, type(part).__doc__  # for messages and tables
    object.__setattr__(copied, "__class__", kind)
    return copied
