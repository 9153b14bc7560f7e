"""What the comparison prints and keeps: tables, and the record."""

import argparse
import math
import os
import textwrap
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
from experiments.shared.tables import format_table

LINE = 80
_LONGEST_NAME = 28


@dataclass
class Comparison:
    """A comparison as far as it has come.

    Attributes:
        workloads: the jobs, by name.
        backends: ours, by the name of the competitor.
        timings: of each workload that was begun.
        complete: whether nothing is to follow.
    """

    workloads: Mapping[str, Workload]
    backends: Mapping[str, Backend]
    timings: list[Timing] = field(default_factory=list)
    complete: bool = False

    def of(self, workload: str) -> dict[str, Timing]:
        """Return the timings of one workload, by competitor."""
        return {timing.competitor: timing for timing in self.timings if timing.workload == workload}

    def to_floor(self, timing: Timing) -> float | None:
        """Return the competitor's time in units of the floor's."""
        return ratio(timing, self.of(timing.workload).get(FLOOR))

    def to_ours(self, timing: Timing) -> float | None:
        """Return the competitor's time in units of that of our first backend."""
        return ratio(timing, self.of(timing.workload).get(self.reference))

    @property
    def reference(self) -> str:
        """The name of our first backend; empty if there is none."""
        return next(iter(self.backends), "")

    def verdicts(self) -> list[Verdict]:
        """Return what became of each claim whose competitors were measured, on jobs of full size."""
        full = all_workloads()
        return judge(
            {
                (timing.workload, timing.competitor): timing
                for timing in self.timings
                if self.workloads[timing.workload] == full[timing.workload]
            }
        )


def print_report(comparison: Comparison) -> None:
    """Print the tables of each workload that has a timing, and that of the claims."""
    print("\n".join(textwrap.wrap(_legend(comparison), LINE)))
    for name, workload in comparison.workloads.items():
        timings = list(comparison.of(name).values())
        done = [timing for timing in timings if timing.first_call is not None]
        if not done and not any(timing.failed for timing in timings):
            continue  # not begun
        print(f"\n{name}: {workload.description}\n")
        if done:
            print(f"{_steady_table(comparison, done)}\n\n{_start_table(comparison, done)}")
        for timing in timings:
            if timing.failed is not None:
                print(_cut(f"{timing.competitor}: failed: {timing.failed}", LINE))
            if timing.not_compared is not None:
                print(_cut(f"{timing.competitor}: no float64 run: {timing.not_compared}", LINE))
    verdicts = comparison.verdicts()
    if verdicts:
        print(f"\nclaims, with 5 % for noise\n\n{_claims_table(verdicts)}")


def make_report_record(comparison: Comparison, options: argparse.Namespace) -> dict[str, Any]:
    """Return the record of what was measured so far, ready for `write_json`."""
    timings = comparison.timings
    seconds = {
        "compile": sum(timing.compile or 0.0 for timing in timings),
        "train": sum(sum(timing.steady) for timing in timings),
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


def seconds_text(seconds: float | None) -> str:
    """Return seconds to three digits, without an exponent.

    >>> [seconds_text(seconds) for seconds in (0.0012345, 0.25, 12.345, 1234.5, None)]
    ['0.00123', '0.250', '12.3', '1234', '-']
    """
    if seconds is None:
        return "-"
    return f"{seconds:.{_decimals(seconds, most=6)}f}"


def ratio_text(value: float | None) -> str:
    """Return a ratio to three digits, or below 1 to two.

    >>> [ratio_text(value) for value in (0.00512, 0.0512, 0.512, 1.0, 12.34, 1234.5, None)]
    ['0.0051', '0.051', '0.51', '1.00', '12.3', '1234', '-']
    """
    if value is None:
        return "-"
    return f"{value:.{_decimals(value, most=4, digits=3 if value >= 1.0 else 2)}f}"


def _decimals(value: float, most: int, digits: int = 3) -> int:
    """Return how many decimals show so many digits."""
    return min(max(digits - 1 - math.floor(math.log10(value)), 0), most) if value > 0.0 else most


def _legend(comparison: Comparison) -> str:
    ours = f', "to ours" to those of {comparison.reference}' if comparison.reference else ""
    return (
        "Seconds in float32: to prepare and run for the first time, and of that to compile; then, round "
        "by round in turn, and in one new process after another, the median, least and most of the "
        "steady runs. Ratios are medians of the "
        f'rounds\' ratios: "to floor" to the matrix products alone{ours}. Of multinn, the training '
        "itself counts, without the check of the examples at each call of fit. Memory is the peak "
        f"above libraries and data. NumPy's matrix products: {describe_blas()}."
    )


def _steady_table(comparison: Comparison, timings: Sequence[Timing]) -> str:
    columns = ["competitor", "median", "least", "most", "to floor", "to ours"]
    rows = [
        [
            _cut(timing.competitor, _LONGEST_NAME),
            seconds_text(timing.median),
            seconds_text(min(timing.steady, default=None)),
            seconds_text(max(timing.steady, default=None)),
            ratio_text(comparison.to_floor(timing)),
            ratio_text(comparison.to_ours(timing)),
        ]
        for timing in timings
    ]
    return format_table(columns, rows)


def _start_table(comparison: Comparison, timings: Sequence[Timing]) -> str:
    columns = ["competitor", "compile", "first call", "peak MB", "parameters"]
    rows = [
        [
            _cut(timing.competitor, _LONGEST_NAME),
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
    return f"{'agree' if timing.difference <= AGREEMENT else 'differ'} {timing.difference:.0e}"


def _claims_table(verdicts: Sequence[Verdict]) -> str:
    rows = [
        [
            _cut(verdict.claim, 50),
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


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
