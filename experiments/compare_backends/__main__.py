"""How long the same jobs take on each backend, beside other libraries and the bare matrix products."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress

from backends import get_backend, installed_backends
from experiments.compare_backends import sweep as compare_backends_sweep
from experiments.compare_backends.figure import draw_comparison
from experiments.compare_backends.report import Comparison, make_report_record, print_report
from experiments.compare_backends.runs import Rounds, Timing, compare_parameters, measure
from experiments.competitors import (
    FLOOR,
    PEERS,
    UsageError,
    backend_of,
    load_competitor,
    missing_modules,
    multinn_name,
    pip_line,
)
from experiments.competitors.workloads import Workload, all_workloads
from experiments.shared.command_line import (
    add_backends,
    comma_separated,
    make_parser,
    positive,
    run_script,
)
from experiments.shared.records import write_json
from multinn.host.progress import progress


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "compare_backends",
        "Do the same jobs on each backend, in turn, each in processes of its own, and compare the "
        "seconds in float32, and the memory; the floor is what the matrix products alone take in "
        "NumPy. Ctrl-C ends it with the tables of what is done.",
        times_compilation=True,
    )
    add_backends(parser)
    names = ",".join(all_workloads())
    parser.add_argument(
        "--workloads",
        type=comma_separated,
        metavar="NAME,...",
        help=f"which jobs, of {names}; all if left out",
    )
    parser.add_argument(
        "--peers", action="store_true", help="also other libraries: all that are installed"
    )
    parser.add_argument(
        "--competitors",
        type=comma_separated,
        metavar="NAME,...",
        help=f"also these, of {', '.join(PEERS)}, or module:Class; without --backends, only these",
    )
    parser.add_argument("--repeats", type=positive, help="timed rounds; 9, or 3 for --sweep")
    parser.add_argument(
        "--processes",
        type=positive,
        metavar="N",
        help="of each competitor and job, one after the other, for these rounds; 3",
    )
    parser.add_argument(
        "--examples", type=positive, metavar="N", help="at most so many of each job, for a quick look"
    )
    parser.add_argument(
        "--timeout", type=positive, metavar="SECONDS", help="the most a run may take; 600"
    )
    compare_backends_sweep.add_options(parser)
    return run_script(run, parser, arguments)


def run(options: argparse.Namespace) -> int:
    """Time each job, or sweep; print the tables, draw the charts, and write the record."""
    if options.sweep:
        return compare_backends_sweep.run(options)
    try:
        workloads = _chosen_workloads(options)
        competitors = _chosen_competitors(options)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    ours = {name: backend_of(name) for name in competitors}
    comparison = Comparison(
        workloads,
        {name: get_backend(backend) for name, backend in ours.items() if backend is not None},
    )
    interrupted = False
    try:
        _measure_all(comparison, competitors, options)
    except KeyboardInterrupt:
        interrupted = True
        print("interrupted: what follows is what was done", file=sys.stderr)
    print_report(comparison)
    if options.out and draw_comparison(comparison, options.out) is None:
        print("no figure: nothing was measured beside the floor", file=sys.stderr)
    if options.json:
        write_json(options.json, make_report_record(comparison, options))
    return 130 if interrupted else 0


def _chosen_workloads(options: argparse.Namespace) -> dict[str, Workload]:
    """Return the jobs that are to be done, by name.

    Raises:
        UsageError: there is no such job, or an option is given that belongs to the sweep.
    """
    if options.batch_sizes or options.widths:
        raise UsageError("--batch-sizes and --widths are those of --sweep")
    known = all_workloads(options.examples)
    names = dict.fromkeys(options.workloads or known)
    for name in names:
        if name not in known:
            raise UsageError(f"unknown workload {name!r}, expected some of {', '.join(known)}")
    return {name: known[name] for name in names}


def _chosen_competitors(options: argparse.Namespace) -> list[str]:
    """Return the names of all that are to compete, ours first, the floor last.

    Raises:
        UsageError: one is asked for by name that does not exist or is not installed.
    """
    asked = options.competitors or []
    backends = options.backends or ([] if asked else installed_backends())
    peers = list(PEERS) if options.peers else []
    names = dict.fromkeys([*map(multinn_name, backends), *asked, *peers])
    missing: dict[str, list[str]] = {}
    for name in names:
        if modules := missing_modules(load_competitor(name)):
            missing[name] = modules
    needed = [module for name in missing for module in missing[name]]
    for name in asked:
        if name in missing:
            raise UsageError(f"{name} is not installed: {pip_line(missing[name])}")
    if missing:
        print(f"left out, not installed: {', '.join(missing)}: {pip_line(needed)}", file=sys.stderr)
    installed = [name for name in names if name not in missing and name != FLOOR]
    return [*sorted(installed, key=lambda name: backend_of(name) is None), FLOOR]


def _measure_all(
    comparison: Comparison, competitors: Sequence[str], options: argparse.Namespace
) -> None:
    """Measure job by job, and write the record whenever there is more to keep."""
    rounds = Rounds(
        options.repeats or 9,
        options.processes or 3,
        options.examples,
        options.seed,
        options.timeout or 600,
    )
    entrants = {
        name: [each for each in competitors if load_competitor(each).supports(workload)]
        for name, workload in comparison.workloads.items()
    }
    calls = sum(rounds.calls(len(names)) for names in entrants.values())

    def keep() -> None:
        if options.json:
            with suppress(OSError):  # the last record tells, after the tables
                write_json(options.json, make_report_record(comparison, options))

    with progress(calls, "run") as advance:
        for name, workload in comparison.workloads.items():
            timings = [Timing(name, competitor) for competitor in entrants[name]]
            comparison.timings += timings
            measure(workload, timings, rounds, advance, keep)
            _compare_parameters(comparison, workload, timings, options.seed)
    comparison.complete = True


def _compare_parameters(
    comparison: Comparison, workload: Workload, timings: Sequence[Timing], seed: int
) -> None:
    own = [each for each in timings if each.competitor in comparison.backends and not each.failed]
    if workload.task == "train" and len(own) > 1:
        compare_parameters(workload, comparison.backends, own, seed)


if __name__ == "__main__":
    sys.exit(main())
