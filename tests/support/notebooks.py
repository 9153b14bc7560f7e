"""Notebooks in MyST Markdown: their cells, and a stand-in for what a notebook displays."""

import ast
import io
import re
import sys
from typing import Any

_CELL = re.compile(r"^```\{code-cell\}.*\n((?:.*\n)*?)```$", re.MULTILINE)
_OPTION = re.compile(r"^:\w.*$", re.MULTILINE)
# Where there is a screen, matplotlib warns that this backend does not use it.
_PREAMBLE = f"""\
import warnings; warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
from {__name__} import display, show_figures
"""


def cells(notebook: str) -> list[str]:
    """Return the code of each cell."""
    return [code for _, code in _cells(notebook)]


def prose(notebook: str) -> str:
    """Return the notebook without its header and its cells."""
    return _CELL.sub("", notebook.split("---\n", 2)[2])


def script(notebook: str) -> str:
    """Return the code of a notebook as one script, each line at the number that it has in the notebook.

    As in a notebook, each cell displays the value of an expression at its end, and its figures.
    """
    lines = _PREAMBLE.splitlines()  # in place of the first lines of the header
    for first_line, code in _cells(notebook):
        lines += [""] * (first_line - len(lines))
        lines += [*_with_display(code), "show_figures()"]  # in place of the end of the cell
    return "\n".join(lines)


def display(value: Any) -> None:
    """Print a value as text, and format it as HTML if a notebook would."""
    if value is None:
        return
    if hasattr(value, "_repr_html_"):
        value._repr_html_()
    print(repr(value))


def show_figures() -> None:
    """Draw all figures of matplotlib, and close them."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        pyplot.figure(number).savefig(io.BytesIO())
    pyplot.close("all")


def _cells(notebook: str) -> list[tuple[int, str]]:
    """Return the number of lines before each cell's code, and the code with its options left blank."""
    return [
        (notebook.count("\n", 0, cell.start(1)), _OPTION.sub("", cell[1]))
        for cell in _CELL.finditer(notebook)
    ]


def _with_display(code: str) -> list[str]:
    """Return the lines of a cell, as many as it has, which display an expression at its end."""
    lines, last = code.splitlines(), ast.parse(code).body[-1]
    if isinstance(last, ast.Expr):
        rest = len(lines) - last.lineno
        lines[last.lineno - 1 :] = [f"display({ast.unparse(last)})", *[""] * rest]
    return lines
