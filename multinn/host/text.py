"""Text in a limited width."""

import textwrap
from collections.abc import Mapping


def shorten(text: str, width: int) -> str:
    """Return the text, truncated to ``width`` characters with "…" at the end if it is longer."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


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
