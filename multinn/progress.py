"""Progress of a long run: a bar on a terminal where rich is installed, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

Advance = Callable[[int, Mapping[str, float]], None]
_FEW_LINES = 20


@contextmanager
def progress(total: int, unit: str, show: bool = True) -> Iterator[Advance]:
    """Yield a function that is called with how many units were done, and with figures to show.

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
        yield _Lines(total, unit)


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

    with Progress(*columns, console=console) as bar:
        task = bar.add_task(unit, total=total, figures="")
        yield lambda done, figures: bar.update(task, advance=done, figures=cut(_text(figures)))


class _Lines:
    """One line a call if few are expected, else the first, the last, and one a second between."""

    def __init__(self, total: int, unit: str) -> None:
        self.total = total
        self.unit = unit
        self.done = 0
        self.last_line = -1.0

    def __call__(self, done: int, figures: Mapping[str, float]) -> None:
        self.done += done
        now = time.monotonic()
        calls = self.total / done
        if calls <= _FEW_LINES or self.done >= self.total or now - self.last_line >= 1.0:
            self.last_line = now
            line = f"{self.unit} {self.done}/{self.total}  {_text(figures)}".rstrip()
            print(line, file=sys.stderr, flush=True)


def _text(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
