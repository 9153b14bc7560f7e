"""The time of a training step by batch size and width, on each backend."""

import argparse
import itertools
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from backends import Backend, get_backend, installed_backends
from experiments.compare_backends.sweep_picture import draw_sweep
from experiments.competitors.framework import train
from experiments.competitors.workloads import Workload, settle, step_workload
from experiments.shared.command_line import comma_separated, positive
from experiments.shared.errors import UsageError
from experiments.shared.records import make_comparison_record, write_json
from experiments.shared.tables import (
    format_table,
    line_width,
    paragraph,
    ratio_text,
    seconds_text,
    shorten,
)
from multinn import Trainer
from multinn.host.progress import progress

BATCH_SIZES = "1,8,64,512"
WIDTHS = "2,8,32,128,512,2048"

# The desired length of a timed call, and rough speeds of a core, to choose the number of steps.
_CALL_SECONDS = 0.05
_STEP_SECONDS = 30e-6
_FLOPS = 60e9
_BYTES = 8e9


@dataclass
class Cell:
    """The measurements of one backend at one batch size and width.

    Attributes:
        backend: the name of the backend.
        batch_size: examples in a step.
        width: the width of the input and of the hidden layer of width-width-10.
        steps: steps in a timed call.
        seconds: the seconds per step, in each round.
        compile: seconds to compile.
        failed: the reason of a failure, or None.
    """

    backend: str
    batch_size: int
    width: int
    steps: int
    seconds: list[float] = field(default_factory=list)
    compile: float = 0.0
    failed: str | None = None

    @property
    def median(self) -> float | None:
        """The median of the seconds per step; None if there are none."""
        return statistics.median(self.seconds) if self.seconds else None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--sweep`` and its options."""
    parser.add_argument(
        "--sweep",
        action="store_true",
        help="instead of the jobs, time a training step of the network width-width-10 on each backend, "
        "for each batch size and width",
    )
    for name, default in (("--batch-sizes", BATCH_SIZES), ("--widths", WIDTHS)):
        parser.add_argument(
            name,
            type=_integers,
            metavar="N,...",
            help=f"{name[2:].replace('-', ' ')} of the sweep (default: {default})",
        )


def run(options: argparse.Namespace) -> int:
    """Time the steps, print the table, draw the picture, and write the record."""
    for name in ("workloads", "examples", "peers", "competitors", "processes", "timeout"):
        if getattr(options, name):
            raise UsageError(f"--sweep times a network of its own, on backends only: leave --{name} out")
    # get_backend, not load_backends: compilation is timed, so its cache is not used.
    backends = {name: get_backend(name) for name in options.backends or installed_backends()}
    cells: list[Cell] = []

    def write(complete: bool) -> None:
        if options.json:
            write_json(options.json, _record(options, backends, cells, complete))

    def keep() -> None:
        with suppress(OSError):  # the last record reports the error, after the table
            write(complete=False)

    interrupted = False
    try:
        _measure_all(options, backends, cells, keep)
    except KeyboardInterrupt:
        interrupted = True
        print("interrupted: the table shows the finished runs", file=sys.stderr)
    print(
        paragraph(
            "Microseconds per training step of the network width-width-10, SGD, float32: medians of the "
            f"rounds. Ratios are to {next(iter(backends))}."
        )
    )
    print(f"\n{sweep_table(list(backends), cells)}")
    for cell in cells:
        if cell.failed is not None:
            line = f"{cell.backend}, batch {cell.batch_size}, width {cell.width}: {cell.failed}"
            print(shorten(line, line_width()))
    if options.out and draw_sweep(list(backends), medians(cells), options.out) is None:
        print("no picture: nothing was measured", file=sys.stderr)
    write(complete=not interrupted)
    return 130 if interrupted else 0


def medians(cells: Sequence[Cell]) -> dict[tuple[str, int, int], float]:
    """Return the median seconds per step, by backend, batch size and width."""
    return {
        (cell.backend, cell.batch_size, cell.width): cell.median
        for cell in cells
        if cell.median is not None
    }


def sweep_table(backends: Sequence[str], cells: Sequence[Cell]) -> str:
    """Return the table, with a row for each batch size and width; two tables if it is too wide."""
    medians_of = medians(cells)
    sizes, seconds, ratios = [], [], []
    for batch_size, width in dict.fromkeys((cell.batch_size, cell.width) for cell in cells):
        own = [medians_of.get((backend, batch_size, width)) for backend in backends]
        base = own[0]
        sizes.append([str(batch_size), str(width)])
        seconds.append(["-" if value is None else seconds_text(1e6 * value) for value in own])
        ratios.append([ratio_text(value / base if value and base else None) for value in own[1:]])
    columns = ["batch\nsize", "width"]
    of_others = [f"ratio of\n{backend}" for backend in backends[1:]]
    table = format_table(
        [*columns, *backends, *of_others], list(map(_joined, sizes, seconds, ratios)), text_columns=0
    )
    if max(map(len, table.splitlines())) <= line_width():
        return table
    parts = ((backends, seconds), (of_others, ratios))
    return "\n\n".join(
        format_table([*columns, *titles], list(map(_joined, sizes, cells)), text_columns=0)
        for titles, cells in parts
    )


def _joined(*rows: list[str]) -> list[str]:
    return [cell for row in rows for cell in row]


def _measure_all(
    options: argparse.Namespace,
    backends: Mapping[str, Backend],
    cells: list[Cell],
    keep: Callable[[], None],
) -> None:
    batch_sizes = options.batch_sizes or _integers(BATCH_SIZES)
    sizes = list(itertools.product(batch_sizes, options.widths or _integers(WIDTHS)))
    repeats = options.repeats or 3
    with progress(len(sizes) * len(backends), "cell") as advance:
        for batch_size, width in sizes:
            workload = step_workload(width, batch_size, _steps(batch_size, width))
            steps = workload.examples // batch_size
            new = [Cell(name, batch_size, width, steps) for name in backends]
            cells += new
            _measure(workload, list(zip(new, backends.values(), strict=True)), repeats, options.seed)
            for cell in new:
                name = f"{cell.backend} seconds per step"
                advance(1, {} if cell.median is None else {name: cell.median})
            keep()


def _measure(workload: Workload, cells: Sequence[tuple[Cell, Backend]], repeats: int, seed: int) -> None:
    """Measure the cells of one batch size and width, round by round."""
    x, y = workload.data()
    trainers: dict[str, Trainer] = {}
    for index in range(repeats + 1):
        for cell, backend in cells:
            if cell.failed is not None:
                continue
            settle()
            try:
                if not index:
                    trainers[cell.backend] = workload.trainer(backend, seed)
                trainer = trainers[cell.backend]
                before = trainer.seconds.train
                train(workload, trainer, x, y)
            except Exception as error:  # a third-party backend may raise anything
                cell.failed = f"{type(error).__name__}: {' '.join(str(error).split())}"
                continue
            cell.compile = trainer.seconds.compile
            if index:
                cell.seconds.append((trainer.seconds.train - before) / cell.steps)


def _steps(batch_size: int, width: int) -> int:
    """Return the number of steps of a call that is long enough to be timed."""
    parameters = width * (width + 10)
    seconds = _STEP_SECONDS + 6 * batch_size * parameters / _FLOPS + 16 * parameters / _BYTES
    return min(max(int(_CALL_SECONDS / seconds), 4), 2000)


def _record(
    options: argparse.Namespace, backends: Mapping[str, Backend], cells: Sequence[Cell], complete: bool
) -> dict[str, Any]:
    results = [asdict(cell) | {"median": cell.median} for cell in cells]
    seconds = {
        "compile": sum(cell.compile for cell in cells),
        "train": sum(cell.steps * sum(cell.seconds) for cell in cells),
    }
    record = make_comparison_record("compare_backends", options, backends, "float32", results, seconds)
    return record | {"complete": complete}


def _integers(text: str) -> list[int]:
    return [positive(number) for number in comma_separated(text)]
