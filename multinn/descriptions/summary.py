"""Tables of the layers of a model, as text and as HTML."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from backends import Shape, Tree, tree
from multinn.descriptions.brief import brief_without_parts, formula, parts_of
from multinn.descriptions.html import Cell, Shown, table
from multinn.descriptions.instrumented import instrumented
from multinn.host.checks import check_dtype, check_shape
from multinn.host.text import shorten
from multinn.host.trees import map_shapes

_WIDTHS = (38, 25, 13)  # with two spaces between columns, 80 characters in all
_WIDTHS_WITHOUT_SHAPES = (32, 46)


class Summary(Shown):
    """A table of layers: a string that a console and a notebook show as the table itself.

    Attributes:
        html: the table for notebooks, with the formulas and the hyperparameters of the layers.
    """


def summarize(layer: Any, input_shape: Any, dtype: str = "float32") -> Summary:
    """Return a table of a layer and the layers in it: their output shapes and numbers of parameters.

    Args:
        layer: a `Layer`.
        input_shape: the shape of one example, without the batch axis; a dict or a tuple of shapes for
            several inputs.
        dtype: the dtype of training, for the number of bytes.

    Raises:
        TypeError: input_shape is not a tuple of integers, nor a dict or a tuple of these.
        ValueError: the layer cannot take inputs of that shape.
    """
    check_dtype(dtype)
    rows: list[_Row] = []
    params, _ = _recording(layer, rows).init(np.random.default_rng(0), check_shape(input_shape))
    totals = [f"parameters: {_size(params, dtype)}"]
    state = layer.init_state(params)
    if tree.leaves(state):
        totals.append(f"state of the layers: {_size(state, dtype)}")
    summary = Summary(_as_text(rows, totals))
    summary.html = _as_html(rows, totals)
    return summary


def outline(layer: Any) -> str:
    """Return a table of a layer and the layers in it, with their formulas, at most 80 columns wide."""
    lines = [_line(_WIDTHS_WITHOUT_SHAPES, "layer", "formula"), "-" * 80]
    for row in _walk(layer):
        name = f"{row.indent}{row.number}{brief_without_parts(row.layer)}"
        lines.append(_line(_WIDTHS_WITHOUT_SHAPES, name, formula(row.layer)))
    return "\n".join(line.rstrip() for line in lines)


def outline_html(layer: Any) -> str:
    """Return `outline` as HTML."""
    rows = ((_name_cell(row), Cell(formula(row.layer))) for row in _walk(layer))
    return table(("layer", "formula"), rows)


@dataclass
class _Row:
    layer: Any
    depth: int
    number: str
    output_shape: Any = ()
    parameters: int = 0

    @property
    def indent(self) -> str:
        return "  " * self.depth


def _as_text(rows: list[_Row], totals: list[str]) -> str:
    lines = [_line(_WIDTHS, "layer", "output shape", "parameters"), "-" * 80]
    for row in rows:
        name = f"{row.indent}{row.number}{type(row.layer).__name__}"
        first, *more = _shape_lines(row.output_shape)
        lines.append(_line(_WIDTHS, name, first, f"{row.parameters:,}"))
        lines += [_line(_WIDTHS, "", text).rstrip() for text in more]
    return "\n".join([*lines, "-" * 80, *totals])


def _as_html(rows: list[_Row], totals: list[str]) -> str:
    cells = [
        (
            _name_cell(row),
            Cell("\n".join(_shape_lines(row.output_shape)), is_short=True),
            Cell(f"{row.parameters:,}", is_number=True, is_short=True),
            Cell(formula(row.layer), width=18),
        )
        for row in rows
    ]
    return table(("layer", "output shape", "parameters", "formula"), cells, totals)


def _name_cell(row: _Row) -> Cell:
    number = row.number.replace(" ", "\N{NO-BREAK SPACE}")
    return Cell(number + brief_without_parts(row.layer), is_code=True, depth=row.depth)


def _walk(layer: Any, depth: int = 0, number: str = "") -> Iterator[_Row]:
    """Yield a row for a layer, and for each layer in it, without shapes."""
    yield _Row(layer, depth, number)
    for index, part in enumerate(parts_of(layer)):
        yield from _walk(part, depth + 1, f"{index} ")


def _recording(layer: Any, rows: list[_Row]) -> Any:
    """Return a copy of a layer whose `init`, and that of each layer in it, adds a row to the table.

    Inner layers are numbered in the order of their parameters, which is the order of the calls of
    `init`.
    """
    numbers: list[Iterator[int]] = []  # one for each call of `init` that has not returned

    def subclass(kind: Any) -> type:
        class Recording(kind):  # type: ignore[misc]  # mypy does not know the class
            def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
                row = _Row(self, len(numbers), f"{next(numbers[-1])} " if numbers else "")
                rows.append(row)
                numbers.append(count())
                params, row.output_shape = super().init(generator, input_shape)
                numbers.pop()
                row.parameters = _count(params)
                return params, row.output_shape

        return Recording

    return instrumented(layer, "init", subclass)


def _line(widths: Sequence[int], name: str, text: str, number: str | None = None) -> str:
    """Return a line of the table. The last of three columns holds numbers, aligned to the right."""
    line = f"{shorten(name, widths[0]):<{widths[0]}}  {shorten(text, widths[1]):<{widths[1]}}"
    return line if number is None else f"{line}  {shorten(number, widths[2]):>{widths[2]}}"


def _shape_lines(shape: Any) -> list[str]:
    """Return a shape with its batch axis as text, or a line for each of several outputs."""
    lines: list[str] = []
    texts = map_shapes(_with_batch, shape)
    tree.map_with_paths(lambda path, text: lines.append(f"{path}: {text}" if path else text), texts)
    return lines


def _with_batch(shape: Shape) -> str:
    return f"({', '.join(['batch', *map(str, shape)])}{'' if shape else ','})"


def _count(values: Tree) -> int:
    return sum(int(leaf.size) for leaf in tree.leaves(values))


def _size(values: Tree, dtype: str) -> str:
    numbers = _count(values)
    return f"{numbers:,} ({numbers * np.dtype(dtype).itemsize:,} bytes in {dtype})"
