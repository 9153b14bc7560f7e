"""A table of the layers of a model."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import count
from typing import Any

import numpy as np

from backends import Tree, tree
from multinn.layers.base import Layer, Shape

_WIDTHS = (38, 25, 13)  # with two spaces between them, 80 in all


def summarize(layer: Layer, input_shape: Shape, dtype: str = "float32") -> str:
    """Return a table of the layers within: the shapes of their outputs, and how many parameters.

    Args:
        layer: such as Sequential.
        input_shape: the shape of one example, without the batch axis.
        dtype: in which it is trained: the size of a number.

    Raises:
        ValueError: the layer cannot take inputs of that shape.
    """
    rows: list[_Row] = []
    params, _ = _Noting(layer, "", rows, count()).init(np.random.default_rng(0), tuple(input_shape))
    lines = [_line("layer", "output shape", "parameters"), "-" * (sum(_WIDTHS) + 4)]
    for row in rows:
        shape = _shown(row.output_shape)
        lines.append(_line(row.name, shape, f"{row.parameters:,}"))
    lines.append(lines[1])
    lines.append(f"parameters: {_size(params, dtype)}")
    state = layer.init_state(params)
    if tree.leaves(state):
        lines.append(f"state of the layers: {_size(state, dtype)}")
    return "\n".join(lines)


@dataclass
class _Row:
    """What a line of the table says of one layer."""

    name: str
    output_shape: Shape = ()
    parameters: int = 0


class _Noting:
    """Stands in for a layer: notes what its `init` returns, and the same of the layers within."""

    def __init__(self, layer: Layer, indent: str, rows: list[_Row], numbers: Iterator[int]) -> None:
        self._layer = layer
        self._indent = indent
        self._rows = rows
        self._numbers = numbers

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return what the layer's own `init` returns."""
        number = f"{next(self._numbers)} " if self._indent else ""
        row = _Row(f"{self._indent}{number}{type(self._layer).__name__}")
        self._rows.append(row)
        params, row.output_shape = self._opened().init(generator, input_shape)
        row.parameters = _count(params)
        return params, row.output_shape

    def __getattr__(self, name: str) -> Any:
        """Return what else the layer has."""
        return getattr(self._layer, name)

    def _opened(self) -> Layer:
        """Return the layer with a `_Noting` in the place of each layer among its hyperparameters.

        They are numbered in the order in which their parameters are drawn, as these are.
        """
        opened = copy.copy(self._layer)
        numbers = count()
        for field in fields(opened):  # type: ignore[arg-type]
            value = getattr(opened, field.name)
            object.__setattr__(opened, field.name, self._noting(value, numbers))
        return opened

    def _noting(self, value: Any, numbers: Iterator[int]) -> Any:
        if isinstance(value, tuple):
            return tuple(self._noting(each, numbers) for each in value)
        if isinstance(value, Layer):
            return _Noting(value, f"{self._indent}  ", self._rows, numbers)
        return value


def _line(*cells: str) -> str:
    """Return the cells in their columns, the last, of numbers, aligned to the right."""
    name, shape, number = (
        cell if len(cell) <= width else f"{cell[: width - 1]}…"
        for cell, width in zip(cells, _WIDTHS, strict=True)
    )
    return f"{name:<{_WIDTHS[0]}}  {shape:<{_WIDTHS[1]}}  {number:>{_WIDTHS[2]}}"


def _shown(shape: Any) -> str:
    """Return the shape with its batch axis; that of a layer with several outputs is a tuple of such."""
    if shape and isinstance(shape[0], tuple):
        return f"({', '.join(map(_shown, shape))})"
    return f"({', '.join(['batch', *map(str, shape)])}{'' if shape else ','})"


def _count(values: Tree) -> int:
    return sum(int(leaf.size) for leaf in tree.leaves(values))


def _size(values: Tree, dtype: str) -> str:
    numbers = _count(values)
    return f"{numbers:,} ({numbers * np.dtype(dtype).itemsize:,} bytes in {dtype})"
