"""Short texts about layers, losses and optimizers."""

from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import cleandoc
from typing import Any

from multinn.descriptions.hyperparameters import Hyperparameters


def brief(instance: Any) -> str:
    """Return the name of the class, and the hyperparameters that differ from their defaults.

    >>> from multinn import Dense, ReLU, Sequential
    >>> brief(Sequential([Dense(8), ReLU()]))
    'Sequential(layers=(Dense(units=8), ReLU))'
    """
    return _call(instance, shown_fields(instance))


def brief_without_parts(layer: Any) -> str:
    """Return `brief` without the layers in a container, which have their own lines in a table.

    >>> from multinn import Concatenate, Dense
    >>> brief_without_parts(Concatenate([Dense(8), Dense(8)], axis=1))
    'Concatenate(axis=1)'
    """
    shown = shown_fields(layer)
    if parts_of(layer):
        shown = [field for field in shown if not _has_layers(getattr(layer, field.name))]
    return _call(layer, shown)


def parts_of(layer: Any) -> tuple[Any, ...]:
    """Return the layers in a container, in the order of their parameters; () for other layers."""
    return tuple(getattr(layer, "children", ()))


def formula(layer: Any) -> str:
    """Return the formula of a layer: the first paragraph of its docstring.

    >>> from multinn import ReLU
    >>> formula(ReLU())
    'y = max(x, 0)'
    """
    first, _, _ = documentation(layer).partition("\n\n")
    return " ".join(first.split()).removesuffix(".")


def documentation(part: Any) -> str:
    """Return the docstring of the part's own class, without its indentation; "" if it has none."""
    text = cleandoc(type(part).__doc__ or "")
    is_generated = text.startswith(f"{type(part).__name__}(")  # by `dataclass`
    return "" if is_generated else text


def shown_fields(instance: Any) -> list[Field[Any]]:
    """Return the fields of the constructor; a part without hyperparameters need not be a dataclass."""
    own = fields(instance) if is_dataclass(instance) else ()
    return [field for field in own if field.init and field.repr]


def _call(instance: Any, shown: list[Field[Any]]) -> str:
    given = [
        f"{field.name}={_text(getattr(instance, field.name))}"
        for field in shown
        if not _is_default(getattr(instance, field.name), field)
    ]
    return type(instance).__name__ + (f"({', '.join(given)})" if given else "")


def _text(value: Any) -> str:
    if isinstance(value, Hyperparameters):
        return brief(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(_text, value))}{',' * (len(value) == 1)})"
    return repr(value)


def _is_default(value: Any, field: Field[Any]) -> bool:
    """Return whether a value is the default, or a tuple of it, as for the strides of a convolution."""
    default = field.default if field.default_factory is MISSING else field.default_factory()
    values = value if isinstance(value, tuple) and not isinstance(default, tuple) else (value,)
    return bool(values) and all(_text(each) == _text(default) for each in values)


def _has_layers(value: Any) -> bool:
    """Return whether a value is a layer, or a tuple with one."""
    if isinstance(value, tuple):
        return any(map(_has_layers, value))
    return callable(getattr(value, "init", None))
