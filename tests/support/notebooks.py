"""Notebooks in MyST Markdown: their cells, and a stand-in for the display of a notebook."""

import ast
import re
from typing import Any

CELL = re.compile(r"^```\{code-cell\}.*\n((?:.*\n)*?)```$", re.MULTILINE)


def display(value: Any) -> None:
    """Format a value as a notebook does, as HTML if it can, and print it as text."""
    if value is None:
        return
    if hasattr(value, "_repr_html_"):
        value._repr_html_()
    print(repr(value))


def script(notebook: str) -> str:
    """Return the code of a notebook, each line at the number that it has in the file.

    The value of an expression that ends a cell is displayed.
    """
    lines = [f"from {__name__} import display"]  # the notebook begins with a header, not with code
    for cell in CELL.finditer(notebook):
        lines += [""] * (notebook.count("\n", 0, cell.start(1)) - len(lines))
        lines += _with_display(cell[1])
    return "\n".join(lines)


def _with_display(cell: str) -> list[str]:
    """Return the lines of a cell."""
    lines, statements = cell.splitlines(), ast.parse(cell).body
    if statements and isinstance(last := statements[-1], ast.Expr):
        lines[last.lineno - 1 :] = [f"display({ast.unparse(last)})"]
    return lines
