"""Progress of a long run: a bar on a terminal where rich is installed, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

Advance = Callable[[float, Mapping[str, float]], None]
_FEW_LINES = 20
_SECONDS_WITHIN = 30.0


@contextmanager
def progress(total: int, unit: str, show: bool = True) -> Iterator[Advance]:
    """Yield a function that is called with how many units were done, and with figures to show.

    A unit may be done in fractions.

    Everything goes to the standard error stream, so that results on the standard output stay clean.

    Args:
        total: how many units there are.
        unit: what one is, such as ``epoch``.
        show: False for silence.
    """
    if not show:
        yield lambda _done, _figures: None
    elif sys.stderr.isatty() and find_spec("rich"):
        with _bar(total, unit) as advance:
            yield advance
    else:
        lines = _Lines(total, unit)
        try:
            yield lines
        finally:
            lines.end()


def write_line(text: str) -> None:
    """Write a line on the standard error stream."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _bar(total: int, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn(unit),
        MofNCompleteColumn(),
        BarColumn(bar_width=12),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    # rich would cut every column to make room for a long one.
    others = len(f"{unit} {total}/{total} ") + 12 + len(" 00:00 ") + 1

    def cut(text: str) -> str:
        room = max(console.width - others, 0)
        return text if len(text) <= room else text[: max(room - 1, 0)] + "…"

    done = 0.0

    def advance(more: float, figures: Mapping[str, float]) -> None:
        nonlocal done
        done = _sum(done, more)
        bar.update(task, completed=done, figures=cut(_text(figures)))

    with Progress(*columns, console=console) as bar:
        task = bar.add_task(unit, total=total, figures="")
        yield advance


class _Lines:
    """One line a call if few are expected, else the first, the last, and one a second between.

    The last is that of the last whole unit, where a run ends before all are done. A call that ends
    within a unit gets a line if there was none for half a minute.
    """

    def __init__(self, total: int, unit: str) -> None:
        self.total = total
        self.unit = unit
        self.done = self.whole = 0.0
        self.start = time.monotonic()
        self.last_line = -math.inf
        self.unshown = ""

    def __call__(self, done: float, figures: Mapping[str, float]) -> None:
        self.done = _sum(self.done, done)
        now = time.monotonic()
        line = f"{self.unit} {self._count()}/{self.total}  {_text(figures)}".rstrip()
        if self.done.is_integer() and self.done > self.whole:
            calls = self.total / (self.done - self.whole)
            self.whole = self.done
            due = calls <= _FEW_LINES or self.done >= self.total or now - self.last_line >= 1.0
            self.unshown = line
        else:
            due = now - max(self.last_line, self.start) >= _SECONDS_WITHIN
        if due:
            self.last_line = now
            self.unshown = ""
            write_line(line)

    def end(self) -> None:
        """Write the line of the last whole unit, if that did not get one."""
        if self.unshown:
            write_line(self.unshown)

    def _count(self) -> str:
        return f"{self.done:.0f}" if self.done.is_integer() else f"{math.floor(self.done * 10) / 10}"


def _sum(done: float, more: float) -> float:
    """Add up, so that the fractions of a whole are a whole."""
    total = done + more
    return float(round(total)) if abs(total - round(total)) < 1e-9 else total


def _text(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
