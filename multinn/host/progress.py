"""Progress of a long run: a bar in terminals, by rich, and in notebooks; plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from html import escape
from importlib.util import find_spec
from typing import Any

from multinn.host.text import figures

Metrics = Mapping[str, float]
Advance = Callable[[float, Metrics], None]
_LINE = 80  # columns of a plain line, unless its figures need more
_BAR = 12  # columns of a bar in a terminal
_FEWEST = 24  # columns for figures, however narrow the terminal is


@contextmanager
def progress(total: int, unit: str, show: bool = True) -> Iterator[Advance]:
    """Yield a function that takes the number of units just done, perhaps a fraction, and metrics.

    In a notebook, it displays a bar below the cell. Elsewhere it writes to the standard error stream,
    which keeps the standard output free for results.

    Args:
        total: the number of units.
        unit: the name of a unit, such as ``epoch``.
        show: False for silence.
    """
    if not show:
        yield lambda _done, _metrics: None
        return
    done = 0.0

    def advance(more: float, metrics: Metrics) -> None:
        nonlocal done
        done += more
        display(round(done, 9), metrics)  # fractions such as 7 · 1/7 add up to 1 only after rounding

    display_on = _notebook if _in_notebook() else _bar if _can_draw() else _lines
    with display_on(total, unit) as display:
        yield advance


def write_line(text: str) -> None:
    """Write a line on the standard error stream."""
    print(text, file=sys.stderr, flush=True)


def _in_notebook() -> bool:
    """Return whether the code runs in a kernel of Jupyter, which can display HTML."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _can_draw() -> bool:
    if not find_spec("rich"):
        return False
    from rich.console import Console

    return Console(stderr=True).is_interactive and sys.stderr.isatty()


@contextmanager
def _notebook(total: int, unit: str) -> Iterator[Callable[[float, Metrics], None]]:
    """Display a bar as HTML, and replace it at most ten times a second."""
    from IPython import display

    start = last = time.monotonic()
    shown = _Bar(total, unit)
    show: Any = display.display  # IPython's functions have no types
    handle = show(shown, display_id=True)

    def update(done: float, metrics: Metrics) -> None:
        nonlocal last, shown
        now = time.monotonic()
        shown = _Bar(total, unit, done, now - start, metrics)
        if now - last >= 0.1:
            handle.update(shown)
            last = now

    try:
        yield update
    finally:
        handle.update(shown)


@dataclass(frozen=True)
class _Bar:
    """A state of a progress bar in a notebook."""

    total: int
    unit: str
    done: float = 0.0
    seconds: float = 0.0
    metrics: Metrics = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{self._count}  {self._time}  {figures(self.metrics)}".rstrip()

    def _repr_html_(self) -> str:
        texts = [self._count, self._time, *figures(self.metrics).split("  ")]
        spans = "".join(f'<span style="white-space:nowrap">{escape(text)}</span>' for text in texts)
        return (
            '<div style="display:flex;flex-wrap:wrap;align-items:center;gap:0.2em 1.2em">'
            f'<progress aria-label="{escape(self.unit)}" value="{self.done}" max="{self.total}" '
            f'style="width:10em"></progress>{spans}</div>'
        )

    @property
    def _count(self) -> str:
        return f"{self.unit} {math.floor(self.done)}/{self.total}"

    @property
    def _time(self) -> str:
        """Return the time until the end at the present speed; at the end, the time taken."""
        if 0.0 < self.done < self.total:
            return f"{_minutes(self.seconds / self.done * (self.total - self.done))} left"
        return f"{_minutes(self.seconds)}"


def _minutes(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds))).removeprefix("0:")


@contextmanager
def _bar(total: int, unit: str) -> Iterator[Callable[[float, Metrics], None]]:
    """Show a bar by rich. The figures have the rest of the line, and more lines if they need them."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    console = Console(stderr=True)
    taken = len(unit) + 1 + (2 * len(str(total)) + 1) + 1 + _BAR + 1 + len("0:00:00") + 1
    width = max(console.width - taken, _FEWEST)
    metrics_column = TextColumn(
        "{task.fields[metrics]}", markup=False, table_column=Column(no_wrap=True)
    )
    columns = (MofNCompleteColumn(), BarColumn(bar_width=_BAR), TimeRemainingColumn(compact=True))
    with Progress(TextColumn(unit), *columns, metrics_column, console=console) as bar:
        task = bar.add_task(unit, total=total, metrics="")
        yield lambda done, metrics: bar.update(task, completed=done, metrics=figures(metrics, width))


@contextmanager
def _lines(total: int, unit: str) -> Iterator[Callable[[float, Metrics], None]]:
    """Write the first and the last whole unit, and between them at most one line a second.

    Within a unit, write a line if there was none for 30 seconds.
    """
    last, unshown = time.monotonic() - 1.0, ""  # so that the first unit is shown at once

    def display(done: float, metrics: Metrics) -> None:
        nonlocal last, unshown
        now, whole = time.monotonic(), done >= 1.0 and done.is_integer()
        count = f"{done:.0f}" if whole else f"{math.floor(done * 10) / 10}"
        start = f"{unit} {count}/{total}  "
        line = (start + figures(metrics, _LINE - len(start)).replace("\n", "  ")).rstrip()
        if now - last >= (1.0 if whole else 30.0):
            write_line(line)
            last, unshown = now, ""
        elif whole:
            unshown = line

    try:
        yield display
    finally:
        if unshown:
            write_line(unshown)
