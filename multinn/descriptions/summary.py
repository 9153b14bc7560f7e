"""A table of the layers of a model."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from backends import Shape, Tree, tree
from multinn.descriptions.instrumented import instrumented
from multinn.host.checks import check_shape
from multinn.host.text import shorten

_WIDTHS = (38, 25, 13)  # with two spaces between columns, 80 characters in all


def summarize(layer: Any, input_shape: Shape, dtype: str = "float32") -> str:
    """Return a table of a layer and the layers in it: their output shapes and numbers of parameters.

    Args:
        layer: a `Layer`.
        input_shape: the shape of one example, without the batch axis.
        dtype: the dtype of training, for the number of bytes.

    Raises:
        TypeError: input_shape is not a tuple of integers.
        ValueError: the layer cannot take inputs of that shape.
    """
    rows: list[_Row] = []
    params, _ = _recording(layer, rows).init(np.random.default_rng(0), check_shape(input_shape))
    rule = "-" * (sum(_WIDTHS) + 4)
    lines = [_line("layer", "output shape", "parameters"), rule]
    for row in rows:
        shape = _shape_text(row.output_shape)
        lines.append(_line(row.name, shape, f"{row.parameters:,}"))
    lines.append(rule)
    lines.append(f"parameters: {_size(params, dtype)}")
    state = layer.init_state(params)
    if tree.leaves(state):
        lines.append(f"state of the layers: {_size(state, dtype)}")
    return "\n".join(lines)


@dataclass
class _Row:
    name: str
    output_shape: Shape = ()
    parameters: int = 0


def _recording(layer: Any, rows: list[_Row]) -> Any:
    """Return a copy of a layer whose `init`, and that of each layer in it, adds a row to the table.

    Inner layers are numbered in the order of their parameters, which is the order of the calls of
    `init`.
    """
    numbers: list[Iterator[int]] = []  # one for each call of `init` that has not returned

    def subclass(kind: Any) -> type:
        class Recording(kind):  # type: ignore[misc]  # mypy does not know the class
            def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
                number = f"{next(numbers[-1])} " if numbers else ""
                row = _Row(f"{'  ' * len(numbers)}{number}{kind.__name__}")
                rows.append(row)
                numbers.append(count())
                params, row.output_shape = super().init(generator, input_shape)
                numbers.pop()
                row.parameters = _count(params)
                return params, row.output_shape

        return Recording

    return instrumented(layer, "init", subclass)


def _line(*cells: str) -> str:
    """Return a line of the table. The last column holds numbers, aligned to the right."""
    name, shape, number = (shorten(cell, width) for cell, width in zip(cells, _WIDTHS, strict=True))
    return f"{name:<{_WIDTHS[0]}}  {shape:<{_WIDTHS[1]}}  {number:>{_WIDTHS[2]}}"


def _shape_text(shape: Any) -> str:
    """Return a shape with its batch axis as text, or a tuple of the shapes of several outputs."""
    if shape and isinstance(shape[0], tuple):
        return f"({', '.join(map(_shape_text, shape))})"
    return f"({', '.join(['batch', *map(str, shape)])}{'' if shape else ','})"


def _count(values: Tree) -> int:
    return sum(int(leaf.size) for leaf in tree.leaves(values))


def _size(values: Tree, dtype: str) -> str:
    numbers = _count(values)
    return f"{numbers:,} ({numbers * np.dtype(dtype).itemsize:,} bytes in {dtype})"
