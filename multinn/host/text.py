"""Text in a limited width, and tables."""

import textwrap
from collections.abc import Mapping, Sequence


def shorten(text: str, width: int) -> str:
    """Return the text, truncated to ``width`` characters with "…" at the end if it is longer."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def format_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int = 1) -> str:
    r"""Return a table as text.

    Args:
        columns: the headings; one may have several lines.
        rows: the cells of each row.
        text_columns: how many columns, from the left, are left-aligned; the others are right-aligned.

    >>> print(format_table(["backend", "seconds\nto train"], [["numpy", "0.5"], ["jax", "12.25"]]))
              seconds
    backend  to train
    -------  --------
    numpy         0.5
    jax         12.25
    """
    headings = [column.split("\n") for column in columns]
    height = max(map(len, headings))
    above = zip(*([""] * (height - len(lines)) + lines for lines in headings), strict=True)
    head: list[Sequence[str]] = list(above)
    widths = [max(len(row[i]) for row in [*head, *rows]) for i in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index < text_columns else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [*head, ["-" * width for width in widths], *rows]
    )


def number(value: float) -> str:
    """Return an integer as it is, and other numbers with four significant digits."""
    return f"{value:.0f}" if value == round(value, 0) and abs(value) < 1e9 else f"{value:.4g}"


def figures(metrics: Mapping[str, float], width: int | None = None) -> str:
    """Return the metrics in one line, or in several if they do not fit; none is left out.

    If the line is too long, ``validation_`` becomes ``val_``. If it still is, the figures of the
    validation go to lines of their own.

    Args:
        metrics: numbers by name.
        width: the most characters of a line; None for one line of any length.

    >>> print(figures({"loss": 0.5, "validation_loss": 0.75}))
    loss 0.5  validation_loss 0.75
    >>> print(figures({"loss": 0.5, "validation_loss": 0.75}, width=24))
    loss 0.5  val_loss 0.75
    >>> print(figures({"loss": 0.5, "validation_loss": 0.75}, width=20))
    loss 0.5
    val_loss 0.75
    """
    texts = [f"{name} {number(value)}" for name, value in metrics.items()]
    line = "  ".join(texts)
    if width is None or len(line) <= width:
        return line
    texts = [text.replace("validation_", "val_", 1) for text in texts]
    line = "  ".join(texts)
    if len(line) <= width:
        return line
    validation = [text for text in texts if text.startswith("val_")]
    training = [text for text in texts if text not in validation]
    return "\n".join(_wrapped(group, width) for group in (training, validation) if group)


def _wrapped(texts: list[str], width: int) -> str:
    """Return the texts in lines, broken only between two texts."""
    glued = "  ".join(text.replace(" ", "\0") for text in texts)
    return textwrap.fill(glued, width, break_long_words=False).replace("\0", " ")
