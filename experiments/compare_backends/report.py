"""The tables and the record of the comparison."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from backends import Backend
from backends.blas_threads import describe_blas, usable_cores
from experiments.compare_backends.runs import AGREEMENT, Timing, ratio
from experiments.compare_backends.speed_claims import Verdict, judge
from experiments.competitors import FLOOR
from experiments.competitors.workloads import Workload, all_workloads
from experiments.shared.records import make_comparison_record
from experiments.shared.tables import (
    format_table,
    line_width,
    paragraph,
    ratio_text,
    seconds_text,
    shorten,
)

_LONGEST_NAME = 22


@dataclass
class Comparison:
    """The state of a comparison.

    Attributes:
        workloads: the jobs by name.
        backends: our backends by the name of the competitor.
        timings: the timings of the jobs that were started.
        complete: whether all jobs are finished.
    """

    workloads: Mapping[str, Workload]
    backends: Mapping[str, Backend]
    timings: list[Timing] = field(default_factory=list)
    complete: bool = False

    def of(self, workload: str) -> dict[str, Timing]:
        """Return the timings of one workload, by competitor."""
        return {timing.competitor: timing for timing in self.timings if timing.workload == workload}

    def to_floor(self, timing: Timing) -> float | None:
        """Return the competitor's time relative to the floor's."""
        return ratio(timing, self.of(timing.workload).get(FLOOR))

    def to_ours(self, timing: Timing) -> float | None:
        """Return the competitor's time relative to that of our first backend."""
        return ratio(timing, self.of(timing.workload).get(self.reference))

    @property
    def reference(self) -> str:
        """The name of our first backend; empty if there is none."""
        return next(iter(self.backends), "")

    def verdicts(self) -> list[Verdict]:
        """Return the verdicts on the claims whose competitors were measured, on jobs of full size."""
        full = all_workloads()
        return judge(
            {
                (timing.workload, timing.competitor): timing
                for timing in self.timings
                if self.workloads[timing.workload] == full[timing.workload]
            }
        )


def print_report(comparison: Comparison) -> None:
    """Print the tables of each workload that has a timing, and the table of the claims."""
    print(paragraph(_legend(comparison)))
    for name, workload in comparison.workloads.items():
        timings = list(comparison.of(name).values())
        done = [timing for timing in timings if timing.first_call is not None]
        if not done and not any(timing.failed for timing in timings):
            continue  # not started
        print(f"\n{name}: {workload.description}\n")
        if done:
            print(f"{_steady_table(comparison, done)}\n\n{_start_table(comparison, done)}")
        for timing in timings:
            if timing.failed is not None:
                print(shorten(f"{timing.competitor}: failed: {timing.failed}", line_width()))
            if timing.not_compared is not None:
                line = f"{timing.competitor}: no float64 run: {timing.not_compared}"
                print(shorten(line, line_width()))
    verdicts = comparison.verdicts()
    if verdicts:
        print(f"\nClaims, with a tolerance of 5 % for noise\n\n{_claims_table(verdicts)}")


def markdown_table(comparison: Comparison) -> str:
    """Return the median seconds of all competitors and jobs, as a table in Markdown."""
    jobs = list(comparison.workloads)
    rows = [["", *jobs], ["---"] * (len(jobs) + 1)]
    for name in dict.fromkeys(timing.competitor for timing in comparison.timings):
        timings = [comparison.of(job).get(name, Timing(job, name)) for job in jobs]
        rows.append([name, *(seconds_text(timing.median) for timing in timings)])
        if any(timing.training for timing in timings):
            training = [seconds_text(timing.median_training) for timing in timings]
            rows.append([f"{name}, training alone", *training])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def make_report_record(comparison: Comparison, options: argparse.Namespace) -> dict[str, Any]:
    """Return the record of the measurements so far, ready for `write_json`."""
    timings = comparison.timings
    seconds = {
        "compile": sum(timing.compile or 0.0 for timing in timings),
        "train": sum(sum(timing.calls) for timing in timings),
    }
    backends = {name.partition(" ")[2]: backend for name, backend in comparison.backends.items()}
    results = [_result(comparison, timing) for timing in timings]
    record = make_comparison_record("compare_backends", options, backends, "float32", results, seconds)
    for timing in timings:
        record["versions"] |= timing.versions
    return record | {
        "complete": comparison.complete,
        "workloads": {name: job.description for name, job in comparison.workloads.items()},
        "claims": [asdict(verdict) for verdict in comparison.verdicts()],
        "cores": {"present": os.cpu_count(), "usable": usable_cores().count},
    }


def _legend(comparison: Comparison) -> str:
    ours = f" and to ours ({comparison.reference})" if comparison.reference else ""
    return (
        "Seconds in float32 of a whole run, for multinn a call of fit: the median, the lowest and the "
        "highest; and the median of training alone, without the check and the copy of the examples. In "
        "each round, every competitor runs once; a new process takes over after some rounds. Ratios "
        f"of whole runs are to the floor (the matrix products alone){ours}, medians over the rounds. "
        "The first run includes preparation and compilation. Memory is the peak above that of libraries "
        "and data. Parameters are compared with those of our first backend after a run in float64. "
        f"NumPy's matrix products are by {describe_blas()}."
    )


def _steady_table(comparison: Comparison, timings: Sequence[Timing]) -> str:
    columns = [
        "competitor",
        "median\nseconds",
        "lowest\nseconds",
        "highest\nseconds",
        "training\nalone",
        "ratio to\nfloor",
        "ratio to\nours",
    ]
    rows = [
        [
            shorten(timing.competitor, _LONGEST_NAME),
            seconds_text(timing.median),
            seconds_text(min(timing.calls, default=None)),
            seconds_text(max(timing.calls, default=None)),
            seconds_text(timing.median_training),
            ratio_text(comparison.to_floor(timing)),
            ratio_text(comparison.to_ours(timing)),
        ]
        for timing in timings
    ]
    return format_table(columns, rows)


def _start_table(comparison: Comparison, timings: Sequence[Timing]) -> str:
    columns = [
        "competitor",
        "seconds to\ncompile",
        "seconds of\nfirst run",
        "peak\nmemory, MB",
        "parameters,\ndifference",
    ]
    rows = [
        [
            shorten(timing.competitor, _LONGEST_NAME),
            seconds_text(timing.compile),
            seconds_text(timing.first_call),
            "-" if timing.peak_megabytes is None else f"{timing.peak_megabytes:.0f}",
            _verdict(timing, comparison.reference),
        ]
        for timing in timings
    ]
    return format_table(columns, rows)


def _verdict(timing: Timing, reference: str) -> str:
    if timing.difference is None:
        return "-"
    if timing.competitor == reference:
        return "reference"
    return f"{'agree' if timing.difference <= AGREEMENT else 'differ'}, {timing.difference:.1g}"


def _claims_table(verdicts: Sequence[Verdict]) -> str:
    rows = [
        [
            shorten(verdict.claim, 55),
            f"{verdict.bound:g}{verdict.unit}",
            f"{verdict.measured:.3g}{verdict.unit}",
            "yes" if verdict.holds else "NO",
        ]
        for verdict in verdicts
    ]
    return format_table(["claim", "bound", "measured", "holds"], rows)


def _result(comparison: Comparison, timing: Timing) -> dict[str, Any]:
    return asdict(timing) | {
        "median": timing.median,
        "ratio_to_floor": comparison.to_floor(timing),
        "ratio_to_ours": comparison.to_ours(timing),
        "agree": None if timing.difference is None else timing.difference <= AGREEMENT,
    }
