"""Compare the hand-derived gradients of each layer and loss with every oracle, on each backend."""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec

from backends import Backend
from experiments.check_gradients.oracles import Check, GradientChecker
from experiments.check_gradients.picture import draw
from experiments.check_gradients.proofs import Proofs, prove_all
from experiments.check_gradients.report import Report
from experiments.check_gradients.symbolic.functions import sympy_version
from experiments.shared.command_line import add_backends, load_backends, make_parser, run_script
from experiments.shared.errors import UsageError
from experiments.shared.records import make_comparison_record, write_json
from multinn.host.progress import progress
from multinn.testing.gradient_cases import CASES, Case


def main(arguments: Sequence[str] | None = None, cases: Sequence[Case] = CASES) -> int:
    """Run the script, and return its exit status: 1 if a gradient fails.

    Ctrl-C ends the script with a report of the checks so far.

    Args:
        arguments: None for those of the command line.
        cases: the cases to check.
    """
    parser = make_parser("check_gradients", __doc__ or "")
    add_backends(parser)
    parser.add_argument(
        "--only", metavar="TEXT", help="check only cases with this text in their name (default: all)"
    )
    parser.add_argument(
        "--brief", action="store_true", help="print only the largest error of each oracle"
    )
    parser.add_argument(
        "--algebra",
        action=argparse.BooleanOptionalAction,
        help="prove the gradients by computer algebra, or do not (default: --algebra)",
    )
    parser.set_defaults(algebra=True)
    return run_script(partial(_run, cases), parser, arguments)


def _run(cases: Sequence[Case], options: argparse.Namespace) -> int:
    selected = [case for case in cases if (options.only or "").lower() in case.name.lower()]
    if not selected:
        kinds = ", ".join(dict.fromkeys(case.name.split()[0] for case in cases))
        raise UsageError(f"no case has {options.only!r} in its name, expected a part of {kinds}")
    backends = load_backends(options, dtype="float64")
    start = time.perf_counter()
    checker = GradientChecker(options.seed)
    checks: list[Check] = []
    why_no_algebra = _why_no_algebra(options)
    try:
        checks.extend(_check_all(checker, selected, backends))
        checked = time.perf_counter()
        proofs = Proofs({}, {}) if why_no_algebra else _prove(selected, options.seed)
    except KeyboardInterrupt:
        if checks:
            why_no_algebra = "the run was interrupted"
            report = Report(
                options.seed, backends, checks, Proofs({}, {}), checker.why_no_vjp, why_no_algebra
            )
            report.print(options.brief)
            report.conclude()
        raise
    seconds = {"check": checked - start, "prove": time.perf_counter() - checked}
    report = Report(options.seed, backends, checks, proofs, checker.why_no_vjp, why_no_algebra)
    report.print(options.brief)
    if options.json:
        dtypes = ["float64", "float32"]
        record = make_comparison_record(
            "check_gradients", options, backends, dtypes, report.results(), seconds
        )
        if not why_no_algebra:
            record["versions"]["sympy"] = sympy_version()
        write_json(options.json, record)
    if options.out:
        draw(checks, proofs, options.out)
    return report.conclude()


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


def _prove(cases: Sequence[Case], seed: int) -> Proofs:
    with progress(len(cases), "proof") as advance:
        return prove_all(cases, seed, lambda: advance(1, {}))


def _why_no_algebra(options: argparse.Namespace) -> str | None:
    if not options.algebra:
        return "--no-algebra was given"
    return None if find_spec("sympy") else "SymPy is not installed: pip install sympy"


if __name__ == "__main__":
    sys.exit(main())
