"""The same training job on each installed backend: how long it takes, and whether the results agree."""

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from backends import Backend, Tree, tree
from experiments.command_line import (
    add_backends,
    chosen_backends,
    comma_separated,
    format_table,
    make_comparison_record,
    make_parser,
    positive,
    run_script,
    write_json,
)
from experiments.compare_backends_figure import draw_comparison
from experiments.workloads import Workload, all_workloads, settle
from multinn.progress import Advance, progress

HostArray = np.ndarray[Any, np.dtype[Any]]

# Held against one run in float64: in float32, Adam turns a rounding error in a gradient near zero
# into a step of full size, and the runs part.
AGREEMENT = 1e-9


@dataclass
class Timing:
    """What one backend took for one job.

    Attributes:
        workload: the name of the job.
        backend: the name under which the backend was asked for.
        compile: seconds to compile.
        first_call: seconds of the first call of `Trainer.fit`, compilation included.
        steady: seconds of each timed run after that.
        ratio: the median of the ratios to the first backend, round by round.
        difference: the largest difference of a parameter to that of the first backend after one run in
            float64, in units of the largest parameter of the same array.
    """

    workload: str
    backend: str
    compile: float
    first_call: float
    steady: list[float] = field(default_factory=list)
    ratio: float = 1.0
    difference: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    names = [workload.name for workload in all_workloads(1)]
    parser = make_parser(
        "compare_backends",
        "Train the same networks on each backend, in turn, and compare the seconds: compilation "
        "apart, steady runs in float32 as medians of several rounds, with the ratio to the first "
        "backend, and whether the parameters agree after one run in float64.",
    )
    add_backends(parser)
    parser.add_argument(
        "--workloads",
        type=comma_separated,
        default=names,
        metavar="NAME,...",
        help=f"which jobs, of {', '.join(names)}",
    )
    parser.add_argument("--repeats", type=positive, default=7, help="timed rounds")
    parser.add_argument(
        "--examples", type=positive, default=12800, help="examples of the jobs of MNIST's size"
    )
    return run_script(run, parser, arguments)


def run(options: argparse.Namespace) -> int:
    """Time each job, print the tables, draw the chart, and write the record."""
    workloads = {workload.name: workload for workload in all_workloads(options.examples)}
    unknown = [name for name in options.workloads if name not in workloads]
    if unknown:
        expected = ", ".join(workloads)
        print(f"error: unknown workload {unknown[0]!r}, expected some of {expected}", file=sys.stderr)
        return 2
    backends = chosen_backends(options)
    chosen = [workloads[name] for name in options.workloads]
    timings: list[Timing] = []
    with progress(len(chosen) * (options.repeats + 1), "round") as advance:
        for workload in chosen:
            timings += _measure(workload, backends, options.repeats, options.seed, advance)
    for workload in chosen:
        print(f"\n{workload.name}: {workload.description}")
        print(_table([timing for timing in timings if timing.workload == workload.name]))
    if options.out:
        draw_comparison(
            {workload.name: workload.description for workload in chosen},
            {(timing.workload, timing.backend): timing.steady for timing in timings},
            options.out,
        )
    if options.json:
        results = [
            asdict(timing)
            | {"median": statistics.median(timing.steady), "agree": timing.difference <= AGREEMENT}
            for timing in timings
        ]
        seconds = {
            "compile": sum(timing.compile for timing in timings),
            "train": sum(sum(timing.steady) for timing in timings),
        }
        record = make_comparison_record(
            "compare_backends", options, backends, "float32", results, seconds
        )
        write_json(options.json, record)
    return 0


def _measure(
    workload: Workload, backends: Mapping[str, Backend], repeats: int, seed: int, advance: Advance
) -> list[Timing]:
    """Run a job on each backend: once to compile and warm up, then in turn, then once in float64."""
    x, y = workload.data()
    trainers = {name: workload.trainer(backend, seed) for name, backend in backends.items()}
    timings = {}
    for name, trainer in trainers.items():
        start = time.perf_counter()
        workload.train(trainer, x, y)
        first_call = time.perf_counter() - start
        timings[name] = Timing(workload.name, name, trainer.seconds.compile, first_call)
    for _ in range(repeats):
        for name, trainer in trainers.items():
            settle()
            timings[name].steady.append(workload.train(trainer, x, y))
        advance(1, {})
    params = {
        name: _params_in_float64(workload, backend, seed, x, y) for name, backend in backends.items()
    }
    first = next(iter(timings))
    for name, timing in timings.items():
        pairs = zip(timing.steady, timings[first].steady, strict=True)
        timing.ratio = statistics.median(seconds / other for seconds, other in pairs)
        timing.difference = max(tree.leaves(tree.map(_difference, params[name], params[first])))
    advance(1, {})
    return list(timings.values())


def _params_in_float64(
    workload: Workload, backend: Backend, seed: int, x: HostArray, y: HostArray
) -> Tree:
    trainer = workload.trainer(backend, seed, "float64")
    workload.train(trainer, x, y)
    return backend.to_numpy(trainer.params)


def _difference(own: HostArray, other: HostArray) -> float:
    largest = max(float(np.max(np.abs(other))), 1e-30)
    return float(np.max(np.abs(own - other))) / largest


def _table(timings: Sequence[Timing]) -> str:
    columns = ["backend", "compile", "first call", "steady", "least", "most", "ratio", "parameters"]
    rows = []
    for timing in timings:
        steady = [statistics.median(timing.steady), min(timing.steady), max(timing.steady)]
        seconds = [timing.compile, timing.first_call, *steady]
        verdict = "agree" if timing.difference <= AGREEMENT else "differ"
        rows.append(
            [
                timing.backend,
                *(f"{value:.4f}" for value in seconds),
                f"{timing.ratio:.2f}",
                "reference" if timing is timings[0] else f"{verdict} {timing.difference:.0e}",
            ]
        )
    return format_table(columns, rows)


if __name__ == "__main__":
    sys.exit(main())
