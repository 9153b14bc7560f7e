"""A table of the layers of a model."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import count
from typing import Any

import numpy as np

from backends import Shape, Tree, tree
from multinn.host.checks import check_shape
from multinn.host.text import shorten

_WIDTHS = (38, 25, 13)  # with two spaces between them, 80 in all


def summarize(layer: Any, input_shape: Shape, dtype: str = "float32") -> str:
    """Return a table of the layers within: the shapes of their outputs, and how many parameters.

    Args:
        layer: has an ``init`` as a `Layer` has.
        input_shape: the shape of one example, without the batch axis.
        dtype: in which it is trained: the size of a number.

    Raises:
        TypeError: the shape is none.
        ValueError: the layer cannot take inputs of that shape.
    """
    rows: list[_Row] = []
    noting = _noting(layer, "", rows, count())
    params, _ = noting.init(np.random.default_rng(0), check_shape(input_shape))
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


def _noting(layer: Any, indent: str, rows: list[_Row], numbers: Iterator[int]) -> Any:
    """Return a copy of a layer whose `init` notes what it returns, and so do the layers within.

    The class of the copy is one of its own, so that copies of the copy note as well. Layers within are
    numbered in the order in which their parameters are drawn, as these are.
    """
    kind: Any = type(layer)

    class Noting(kind):  # type: ignore[misc]  # a class that is known when it runs
        def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
            number = f"{next(numbers)} " if indent else ""
            row = _Row(f"{indent}{number}{kind.__name__}")
            rows.append(row)
            params, row.output_shape = super().init(generator, input_shape)
            row.parameters = _count(params)
            return params, row.output_shape

    Noting.__name__ = kind.__name__  # for error messages
    inner = count()

    def noting(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(noting, value))
        is_layer = callable(getattr(value, "init", None))
        return _noting(value, f"{indent}  ", rows, inner) if is_layer else value

    copied = copy.copy(layer)
    for field in fields(copied):
        object.__setattr__(copied, field.name, noting(getattr(copied, field.name)))
    object.__setattr__(copied, "__class__", Noting)
    return copied


def _line(*cells: str) -> str:
    """Return the cells in their columns, the last, of numbers, aligned to the right."""
    name, shape, number = (shorten(cell, width) for cell, width in zip(cells, _WIDTHS, strict=True))
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
