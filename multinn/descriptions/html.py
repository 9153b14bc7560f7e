"""HTML for notebooks: it needs no style sheet and no script, and takes the colours of the page.

All texts are escaped.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

_TEXT = "margin:0.3em 0;font-size:0.9em;line-height:1.35"
_CODE = "padding:0;background:none;color:inherit;font-size:inherit"


class Shown(str):
    """A text that consoles show as it is, and notebooks as HTML.

    Attributes:
        html: the HTML.
    """

    html: str

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.html


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: its text.
        is_code: whether it is code.
        is_number: whether it is aligned to the right, as numbers are.
        is_short: whether its lines stay as they are.
        depth: how far it is indented.
        width: the least width of other texts, in em.
    """

    text: str
    is_code: bool = False
    is_number: bool = False
    is_short: bool = False
    depth: int = 0
    width: int = 8


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]], notes: Iterable[str] = ()) -> str:
    """Return a table, which scrolls where the page is too narrow for it.

    Args:
        header: the name of each column.
        rows: the cells of each row, at least one row.
        notes: lines of text below the table.
    """
    rows = list(rows)
    names = [
        Cell(name, is_number=cell.is_number, is_short=True)
        for name, cell in zip(header, rows[0], strict=True)
    ]
    head = "".join(_cell(name, scope="col") for name in names)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return _table(f"<thead><tr>{head}</tr></thead>", body) + "".join(map(paragraph, notes))


def facts(entries: Mapping[str, str]) -> str:
    """Return a table with a line for each entry: its name, and its text."""
    rows = (
        f"<tr>{_cell(Cell(name, is_short=True), scope='row')}{_cell(Cell(text))}</tr>"
        for name, text in entries.items()
    )
    return _table("", "".join(rows))


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f'<p style="{_TEXT};white-space:pre-wrap;overflow-wrap:anywhere">{escape(text)}</p>'


def _table(head: str, body: str) -> str:
    return (
        f'<div style="overflow-x:auto"><table style="{_TEXT};border-collapse:collapse">'
        f"{head}<tbody>{body}</tbody></table></div>"
    )


def _cell(cell: Cell, scope: str = "") -> str:
    """Return a cell; with a scope, a header of its row or column."""
    style = (
        f"padding:0.2em 0.8em 0.2em {0.3 + cell.depth}em;vertical-align:top;"
        f"text-align:{'right' if cell.is_number else 'left'};"
        f"{'white-space:pre' if cell.is_short else f'white-space:pre-wrap;min-width:{cell.width}em'};"
        f"border:0;border-bottom:{'1px solid' if scope == 'col' else '0'}"
    )
    text = escape(cell.text)
    if cell.is_code:
        text = f'<code style="{_CODE}">{text}</code>'
    if scope:
        return f'<th scope="{scope}" style="{style}">{text}</th>'
    return f'<td style="{style}">{text}</td>'
