"""Tables and paragraphs as text."""

import math
import shutil
import textwrap

from multinn.host.text import format_table as format_table
from multinn.host.text import shorten as shorten


def line_width() -> int:
    """Return the width of paragraphs: 80 columns, or those of a narrower terminal."""
    return min(80, shutil.get_terminal_size().columns)


def paragraph(text: str, first_indent: str = "", indent: str = "") -> str:
    """Return the text wrapped to `line_width`."""
    return textwrap.fill(
        text, line_width(), initial_indent=first_indent, subsequent_indent=indent, break_on_hyphens=False
    )


def seconds_text(seconds: float | None) -> str:
    """Format seconds with three digits and without an exponent; None as "-".

    >>> [seconds_text(seconds) for seconds in (0.0012345, 0.25, 12.345, 1234.5, None)]
    ['0.00123', '0.250', '12.3', '1234', '-']
    """
    if seconds is None:
        return "-"
    return f"{seconds:.{_decimals(seconds, most=6)}f}"


def ratio_text(value: float | None) -> str:
    """Format a ratio with three digits, below 1 with two; None as "-".

    >>> [ratio_text(value) for value in (0.00512, 0.0512, 0.512, 1.0, 12.34, 1234.5, None)]
    ['0.0051', '0.051', '0.51', '1.00', '12.3', '1234', '-']
    """
    if value is None:
        return "-"
    return f"{value:.{_decimals(value, most=4, digits=3 if value >= 1.0 else 2)}f}"


def _decimals(value: float, most: int, digits: int = 3) -> int:
    """Return the number of decimals that shows that many significant digits."""
    return min(max(digits - 1 - math.floor(math.log10(value)), 0), most) if value > 0.0 else most
