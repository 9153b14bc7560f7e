"""The registry of converters, one function for each class of layers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from backends import Tree
from multinn.layers import Layer
from multinn.layers.containers.sequential import check_keeps_steps
from multinn.onnx.graph import Graph, Value, Values

Converter = Callable[[Graph, Any, Tree, Tree, Any], Any]
Function = TypeVar("Function", bound=Converter)


@dataclass(frozen=True)
class _Entry:
    convert: Converter
    any_layout: bool
    takes_mask: bool


_CONVERTERS: dict[type[Layer], _Entry] = {}


def converts(
    *layers: type[Layer], any_layout: bool = False, takes_mask: bool = False
) -> Callable[[Function], Function]:
    """Return a decorator that makes a function the converter of layers of these classes.

    The function gets the `Graph` to add to, the layer, its parameters and its state as NumPy arrays, and
    its input as a `Value`; it returns its output as a `Value`. Several arrays are a tuple or a dict of
    values. A subclass needs its own converter, as it may compute something else.

    Args:
        layers: the classes.
        any_layout: whether the function accepts values with the channels first; otherwise it gets them
            last.
        takes_mask: whether the function accepts values with a mask; otherwise it gets them without, and
            its output gets the mask.

    Raises:
        TypeError: there are no classes, or something is no class of layers, or no flag.

    >>> from multinn import Layer
    >>> from multinn.layers.base import ParameterFree
    >>> class Cube(ParameterFree):
    ...     def forward(self, backend, params, x, key=None):
    ...         return x * x * x, x
    ...     def backward(self, backend, params, cache, dy):
    ...         return 3.0 * dy * cache * cache, {}
    >>> @converts(Cube)
    ... def cube(graph, layer, params, state, x):
    ...     return replace(x, name=graph.add("Pow", x.name, graph.constant(3.0)))
    """
    if not layers:
        raise TypeError("converts: expected layers: at least one class, such as converts(Dense)")
    for layer in layers:
        _check_class("converts: expected layers", layer)
    for name, flag in (("any_layout", any_layout), ("takes_mask", takes_mask)):
        if not isinstance(flag, bool):
            raise TypeError(f"converts: expected {name}: True or False, got {flag!r}")

    def register(convert: Function) -> Function:
        if not callable(convert):
            raise TypeError(f"converts: expected a function to decorate, got {convert!r}")
        for layer in layers:
            _CONVERTERS[layer] = _Entry(convert, any_layout, takes_mask)
        return convert

    return register


def has_converter(layer: type[Layer]) -> bool:
    """Return whether layers of that class have a converter; TypeError if it is no class of layers."""
    _check_class("has_converter: expected layer", layer)
    return layer in _CONVERTERS


def _check_class(expected: str, layer: Any) -> None:
    if not isinstance(layer, type) or not issubclass(layer, Layer):
        raise TypeError(f"{expected}: a class of layers, such as Dense, got {layer!r:.100}")


def convert(graph: Graph, layer: Layer, params: Tree, state: Tree, x: Any) -> Any:
    """Add a layer to the graph, and return its output.

    Raises:
        NotImplementedError: the layer has no converter.
        TypeError: its converter returns no value.
        ValueError: the layer cannot be converted with these hyperparameters or inputs.
    """
    kind = type(layer)
    if kind not in _CONVERTERS:
        raise NotImplementedError(
            f"onnx: no converter for {kind.__name__}, {_described(graph.place)}; write one, and "
            f"register it with @multinn.onnx.converts({kind.__name__})"
        )
    entry = _CONVERTERS[kind]

    def converted(x: Values) -> Any:
        y = entry.convert(graph, layer, params, state, x)
        if not isinstance(y, Value | tuple | dict):
            raise TypeError(
                f"onnx: expected a Value from the converter of {kind.__name__}, got {y!r}; return "
                "dataclasses.replace(x, name=...), with the shape of the output if it is another"
            )
        return y

    if isinstance(x, tuple | dict):
        return converted(x)
    value = x if entry.any_layout else graph.with_channels_last(x)
    if value.mask is None or entry.takes_mask:
        return converted(value)
    check_keeps_steps(layer)
    y = converted(replace(value, mask=None))
    if y.shape[:1] != x.shape[:1]:
        raise ValueError(
            f"{kind.__name__}: expected no mask, or outputs that begin with (batch, time) "
            f"{('batch', *x.shape[:1])}, as the inputs, got shape {('batch', *y.shape)}"
        )
    return replace(y, mask=graph.both(value.mask, y.mask))


def convert_child(graph: Graph, index: int, layer: Layer, params: Tree, state: Tree, x: Any) -> Any:
    """Add a child of a container to the graph, and return its output.

    Args:
        graph: the graph.
        index: the index of the child.
        layer: the child.
        params: the parameters of the container.
        state: the state of the container, or None.
        x: the input of the child.
    """
    own_state = None if state is None else state[index]
    outer = graph.place
    graph.place = f"{outer}.{index}" if outer else str(index)
    y = convert(graph, layer, params[index], own_state, x)
    graph.place = outer
    return y


def _described(place: str) -> str:
    return f"layer {place} of the model" if place else "the model itself"
