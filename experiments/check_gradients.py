"""Hold each layer's and each loss's hand-derived gradients against every oracle, on each backend."""

import argparse
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backends import Backend
from experiments.command_line import (
    add_backends,
    chosen_backends,
    format_table,
    make_comparison_record,
    make_parser,
    run_script,
    write_json,
)
from experiments.figures import new_figure, save_figure, style
from experiments.gradient_oracles import (
    DIFFERENCES,
    FLOAT32,
    FLOAT64,
    FORM64,
    VJP,
    Check,
    GradientChecker,
)
from multinn.progress import progress
from multinn.testing.gradient_cases import CASES, Case

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = (DIFFERENCES, VJP, FLOAT64, FLOAT32)
_SMALLEST = 1e-17  # in the figure, smaller errors and 0 have the colour of this one


def main(arguments: Sequence[str] | None = None, cases: Sequence[Case] = CASES) -> int:
    """Run the script, and return its exit status: 1 if a gradient fails.

    Args:
        arguments: those of the command line if None.
        cases: what to check.
    """
    parser = make_parser("check_gradients", __doc__ or "")
    add_backends(parser)
    parser.add_argument(
        "--only", metavar="TEXT", help="only the cases that have this text in their name"
    )
    parser.add_argument(
        "--brief", action="store_true", help="print the largest error of each oracle alone"
    )
    return run_script(partial(_run, cases), parser, arguments)


def _run(cases: Sequence[Case], options: argparse.Namespace) -> int:
    chosen = [case for case in cases if (options.only or "").lower() in case.name.lower()]
    if not chosen:
        kinds = ", ".join(dict.fromkeys(case.name.split()[0] for case in cases))
        print(f"error: no case has {options.only!r} in its name; there are {kinds}", file=sys.stderr)
        return 2
    backends = chosen_backends(options)
    start = time.perf_counter()
    checker = GradientChecker(options.seed)
    checks = list(_check_all(checker, chosen, backends))
    _print_tables(checker, checks, backends, options.brief)
    if options.json:
        results = [check._asdict() | {"passed": check.passed} for check in checks]
        seconds = {"check": time.perf_counter() - start}
        dtypes = ["float64", "float32"]
        write_json(
            options.json,
            make_comparison_record("check_gradients", options, backends, dtypes, results, seconds),
        )
    if options.out:
        _draw(checks, options.out)
    return _conclude(checks)


def _check_all(
    checker: GradientChecker, cases: Sequence[Case], backends: Mapping[str, Backend]
) -> Iterator[Check]:
    failed = 0
    with progress(len(cases) * len(backends), "case") as advance:
        for name, backend in backends.items():
            for case in cases:
                for oracle in checker.oracles(backend):
                    check = checker.check(case, backend, oracle)._replace(backend=name)
                    failed += not check.passed
                    yield check
                advance(1, {"failed": failed})


def _print_tables(
    checker: GradientChecker, checks: Sequence[Check], backends: Mapping[str, Backend], brief: bool
) -> None:
    print(f"Relative errors of hand-derived gradients, at points drawn from seed {checker.seed}")
    if brief:
        print(f"The largest of {len({check.case for check in checks})} cases:\n\n{_brief_table(checks)}")
    for name, own in groupby([] if brief else checks, lambda check: check.backend):
        print(f"\n{name} {backends[name].version} on {backends[name].device}\n\n{_table(list(own))}")
    print()
    for oracle in (*_COLUMNS, FORM64):
        print(f"{oracle.name:8} {oracle.meaning}")
    if checker.why_no_vjp:
        print(f"jax.vjp is left out:\n{checker.why_no_vjp}")


def _table(checks: Sequence[Check]) -> str:
    rows = [_tolerances(checks)]
    rows += [_row(case, list(own)) for case, own in groupby(checks, lambda check: check.case)]
    return format_table(["case", *(oracle.name for oracle in _COLUMNS), ""], rows)


def _brief_table(checks: Sequence[Check]) -> str:
    rows = [_tolerances(checks)]
    rows += [_row(name, list(own)) for name, own in groupby(checks, lambda check: check.backend)]
    return format_table(["backend", *(oracle.name for oracle in _COLUMNS), ""], rows)


def _tolerances(checks: Sequence[Check]) -> list[str]:
    tolerances = {check.oracle: f"{check.tolerance:.0e}" for check in checks}
    return ["tolerance", *(tolerances.get(oracle.name, "-") for oracle in _COLUMNS), ""]


def _row(title: str, checks: Sequence[Check]) -> list[str]:
    """Return the largest error by each oracle, and the verdict on all."""
    errors: dict[str, float] = {}
    for check in checks:
        errors[check.oracle] = max(errors.get(check.oracle, 0.0), check.error)
    cells = [f"{errors[oracle.name]:.1e}" if oracle.name in errors else "-" for oracle in _COLUMNS]
    return [title, *cells, "ok" if all(check.passed for check in checks) else "FAIL"]


def _conclude(checks: Sequence[Check]) -> int:
    failed = [check for check in checks if not check.passed]
    print()
    for check in failed:
        print(
            f"FAIL: {check.case}, {check.backend}, {check.oracle} in {check.dtype}: "
            f"{check.error:.2g} is above {check.tolerance:g}"
        )
    print(f"{len(checks) - len(failed)} of {len(checks)} comparisons are within their tolerance")
    return 1 if failed else 0


def _draw(checks: Sequence[Check], folder: Path) -> None:
    """Draw the errors as a heat map: a row for each case, a column for each backend and oracle."""
    names = {oracle.name for oracle in _COLUMNS}
    compared = [check for check in checks if check.oracle in names]
    rows = list(dict.fromkeys(check.case for check in compared))
    columns = list(dict.fromkeys((check.backend, check.oracle, check.tolerance) for check in compared))
    exponents = np.full((len(rows), len(columns)), np.nan)
    with style():
        height = 2.3 + 0.22 * len(rows)
        figure = new_figure(4.3 + 0.75 * len(columns), height)
        axes = figure.subplots()
        for check in compared:
            row = rows.index(check.case)
            column = columns.index((check.backend, check.oracle, check.tolerance))
            exponents[row, column] = math.log10(min(max(check.error, _SMALLEST), 1.0))
            _write_error(axes, row, column, check)
        image = axes.imshow(
            exponents, cmap="cividis", vmin=math.log10(_SMALLEST), vmax=0.0, aspect="auto"
        )
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xticks(
            range(len(columns)),
            [f"{backend}\n{oracle}\n≤ {tolerance:.0e}" for backend, oracle, tolerance in columns],
        )
        for left, (one, other) in enumerate(pairwise(columns)):
            if one[0] != other[0]:
                axes.axvline(left + 0.5, color="white", linewidth=4)
        figure.suptitle("Relative errors of hand-derived gradients", x=0.01, ha="left")
        bar = figure.colorbar(image, ax=axes, orientation="horizontal", aspect=50, pad=0.15 / height)
        bar.set_label("log₁₀ of the relative error; framed in red: above its tolerance")
        bar.outline.set_visible(False)
        save_figure(figure, folder, "gradients")


def _write_error(axes: "Axes", row: int, column: int, check: Check) -> None:
    from matplotlib.patches import Rectangle

    text = f"{check.error:.0e}" if check.error else "0"
    dark = check.error < 1e-8
    axes.text(
        column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black"
    )
    if not check.passed:
        axes.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=2.5)
        )


if __name__ == "__main__":
    sys.exit(main())
