"""Progress of a long run: a bar by rich in terminals and notebooks, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

Advance = Callable[[float, Mapping[str, float]], None]


@contextmanager
def progress(total: int, unit: str, show: bool = True) -> Iterator[Advance]:
    """Yield a function that takes the number of units just done, perhaps a fraction, and metrics.

    It writes to the standard error stream, which keeps the standard output free for results.

    Args:
        total: the number of units.
        unit: the name of a unit, such as ``epoch``.
        show: False for silence.
    """
    if not show:
        yield lambda _done, _metrics: None
        return
    done = 0.0

    def advance(more: float, metrics: Mapping[str, float]) -> None:
        nonlocal done
        done += more
        text = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        display(round(done, 9), text)  # fractions such as 7 · 1/7 add up to 1 only after rounding

    with (_bar if _can_draw() else _lines)(total, unit) as display:
        yield advance


def write_line(text: str) -> None:
    """Write a line on the standard error stream."""
    print(text, file=sys.stderr, flush=True)


def _can_draw() -> bool:
    if not find_spec("rich"):
        return False
    from rich.console import Console

    console = Console(stderr=True)
    notebook = console.is_jupyter and bool(find_spec("ipywidgets"))  # rich needs it there
    return notebook or (console.is_interactive and sys.stderr.isatty())


@contextmanager
def _bar(total: int, unit: str) -> Iterator[Callable[[float, str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    metrics_column = TextColumn("{task.fields[metrics]}", markup=False, table_column=rest)
    columns = (MofNCompleteColumn(), BarColumn(bar_width=12), TimeRemainingColumn(compact=True))
    console = Console(stderr=True)
    with Progress(TextColumn(unit), *columns, metrics_column, console=console, expand=True) as bar:
        task = bar.add_task(unit, total=total, metrics="")
        try:
            yield lambda done, metrics: bar.update(task, completed=done, metrics=metrics)
        finally:
            bar.refresh()  # in a notebook, rich does not draw the last state


@contextmanager
def _lines(total: int, unit: str) -> Iterator[Callable[[float, str], None]]:
    """Write the first and the last whole unit, and between them at most one line a second.

    Within a unit, write a line if there was none for 30 seconds.
    """
    last, unshown = time.monotonic() - 1.0, ""  # so that the first unit is shown at once

    def display(done: float, metrics: str) -> None:
        nonlocal last, unshown
        now, whole = time.monotonic(), done >= 1.0 and done.is_integer()
        count = f"{done:.0f}" if whole else f"{math.floor(done * 10) / 10}"
        line = f"{unit} {count}/{total}  {metrics}".rstrip()
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
