"""The time of the same jobs on each backend, in other libraries, and for the matrix products only."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress

from backends import get_backend, installed_backends
from experiments.compare_backends import sweep as compare_backends_sweep
from experiments.compare_backends.picture import draw_comparison
from experiments.compare_backends.report import (
    Comparison,
    make_report_record,
    markdown_table,
    print_report,
)
from experiments.compare_backends.runs import Rounds, Timing, compare_parameters, measure
from experiments.competitors import (
    FLOOR,
    PEERS,
    backend_of,
    load_competitor,
    missing_modules,
    multinn_name,
    pip_line,
)
from experiments.competitors.workloads import GROUPS, Workload, all_workloads
from experiments.shared.command_line import (
    add_backends,
    add_count,
    add_names,
    comma_separated,
    make_parser,
    print_error,
    run_script,
    select,
)
from experiments.shared.errors import UsageError
from experiments.shared.records import write_json
from multinn.host.progress import progress


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "compare_backends",
        "Run the same jobs on each backend, each in its own processes, and compare the seconds and the "
        "memory, in float32. The floor is the time of the matrix products alone, in NumPy. Ctrl-C ends "
        "the comparison with the tables of the finished runs.",
        times_compilation=True,
    )
    add_backends(parser, "all that are installed; none if --competitors is given")
    add_names(parser, "--workloads", "jobs, or a group of jobs", [*all_workloads(), *GROUPS])
    parser.add_argument(
        "--peers", action="store_true", help="compare with all other libraries that are installed"
    )
    parser.add_argument(
        "--competitors",
        type=comma_separated,
        metavar="NAME,...",
        help=f"compare with these: {', '.join(PEERS)}, or your own module:Class (default: none)",
    )
    add_count(parser, "--repeats", None, "timed rounds (default: 9; 3 for --sweep)")
    add_count(
        parser,
        "--processes",
        None,
        "processes that share the rounds of a job, one after the other (default: 3)",
    )
    add_count(parser, "--examples", None, "at most N examples per job, for a quick look (default: all)")
    add_count(parser, "--timeout", None, "time limit of a run (default: 600)", "SECONDS")
    compare_backends_sweep.add_options(parser)
    return run_script(run, parser, arguments)


def run(options: argparse.Namespace) -> int:
    """Time each job, or sweep; print the tables, draw the charts, and write the record."""
    if options.sweep:
        return compare_backends_sweep.run(options)
    if options.batch_sizes or options.widths:
        raise UsageError("--batch-sizes and --widths are only for --sweep")
    workloads = _select_workloads(options)
    competitors = _select_competitors(options)
    ours = {name: backend_of(name) for name in competitors}
    comparison = Comparison(
        workloads, {name: get_backend(backend) for name, backend in ours.items() if backend is not None}
    )
    interrupted = False
    try:
        _measure_all(comparison, competitors, options)
    except KeyboardInterrupt:
        interrupted = True
        print("interrupted: the tables show the finished runs", file=sys.stderr)
    print_report(comparison)
    if options.json:
        write_json(options.json, make_report_record(comparison, options))
    if options.out:
        table = options.out / "compare_backends.md"
        table.write_text(markdown_table(comparison), encoding="utf-8")
        print(f"table: {table}")
        if draw_comparison(comparison, options.out) is None:
            print("no picture: only the floor was measured", file=sys.stderr)
    return 130 if interrupted else 0


def _select_workloads(options: argparse.Namespace) -> dict[str, Workload]:
    """Return the jobs of ``--workloads`` by name, in that order; all if none is named.

    Raises:
        UsageError: there is no such job or group.
    """
    known = all_workloads(options.examples)
    groups = {name: {name: job} for name, job in known.items()}
    for group in GROUPS:
        groups[group] = {name: job for name, job in known.items() if job.group == group}
    chosen = select(groups, options.workloads or GROUPS, "workload")
    return {name: job for jobs in chosen.values() for name, job in jobs.items()}


def _select_competitors(options: argparse.Namespace) -> list[str]:
    """Return the names of all competitors, ours first, the floor last.

    Raises:
        UsageError: a competitor of ``--competitors`` does not exist or is not installed.
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
        print_error(f"left out, not installed: {', '.join(missing)}: {pip_line(needed)}")
    installed = [name for name in names if name not in missing and name != FLOOR]
    return [*sorted(installed, key=lambda name: backend_of(name) is None), FLOOR]


def _measure_all(
    comparison: Comparison, competitors: Sequence[str], options: argparse.Namespace
) -> None:
    """Measure job by job, and write the record after each round."""
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
            with suppress(OSError):  # the last record reports the error, after the tables
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
