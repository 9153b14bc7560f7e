"""How long an epoch takes with hand-derived gradients, and with `jax.grad`, both compiled by JAX.

Each model is written twice: in multinn's layers, trained by its Trainer, and in plain functions of JAX,
trained by `jax.value_and_grad` and optax within one `lax.scan` (`plain_jax`). Both start from the same
parameters and see the same batches, so the losses of the first epoch have to agree.

On a CPU, XLA is several times slower at its own convolution inside a loop than outside: for networks
with convolutions, `compare_backends` has jax.grad with a call for each step, too.
"""

import argparse
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Final

from backends import get_backend
from experiments.compare_backends.report import LINE, ratio_text, seconds_text
from experiments.compare_jax_grad.figure import draw_ratios
from experiments.compare_jax_grad.jobs import Job, all_jobs
from experiments.compare_jax_grad.runs import Comparison, Pair, measure
from experiments.competitors import UsageError, pip_line
from experiments.shared.command_line import comma_separated, make_parser, positive, run_script
from experiments.shared.records import make_comparison_record, write_json
from experiments.shared.tables import format_table
from multinn.host.progress import progress

#: How much longer ours may take.
BOUND: Final = 1.1

_NOTE: Final = """\
On a CPU, XLA's own convolution is slow inside a loop. jax.grad with a call for
each step: python -m experiments.compare_backends --workloads lenet --peers"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "compare_jax_grad",
        "Train each of five models with multinn and with jax.grad and optax, on JAX, in turn, and "
        "compare the seconds of an epoch.",
        times_compilation=True,
    )
    parser.add_argument(
        "--models",
        type=comma_separated,
        metavar="NAME,...",
        help=f"which, of {','.join(all_jobs())}; all if left out",
    )
    parser.add_argument("--repeats", type=positive, default=15, metavar="N", help="timed rounds")
    parser.add_argument(
        "--steps", type=positive, metavar="N", help="of an epoch; enough for some tenths of a second"
    )
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="of all numbers"
    )
    return run_script(_run, parser, arguments)


def _run(options: argparse.Namespace) -> int:
    backend = get_backend("jax")
    try:
        jobs = _chosen_jobs(options)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    comparisons = [Comparison(job, options.dtype) for job in jobs]
    print("\n".join(textwrap.wrap(_legend(options), LINE)), flush=True)
    start = time.perf_counter()
    with progress(len(jobs) * (options.repeats + 1), "run") as advance:
        pairs = [Pair(each, backend, options.seed, options.steps) for each in comparisons]
        measure(pairs, options.repeats, advance)
    seconds = {"measure": time.perf_counter() - start}
    print(f"\n{_ratio_table(comparisons)}\n\n{_start_table(comparisons)}")
    if any(job.name.startswith("convnet") for job in jobs):
        print(f"\n{_NOTE}")
    if options.out:
        draw_ratios(comparisons, BOUND, options.out)
    if options.json:
        results = [_result(each) for each in comparisons]
        record = make_comparison_record(
            "compare_jax_grad", options, {"jax": backend}, options.dtype, results, seconds
        )
        record["versions"]["optax"] = version("optax")
        write_json(options.json, record | {"bound": BOUND})
    apart = [each.job.name for each in comparisons if not each.agree]
    if apart:
        print(f"error: the losses do not agree: {', '.join(apart)}", file=sys.stderr)
    return 1 if apart else 0


def _chosen_jobs(options: argparse.Namespace) -> list[Job]:
    """Return the jobs that were asked for.

    Raises:
        UsageError: there is no such job, or optax is not installed.
    """
    if find_spec("optax") is None:
        raise UsageError(f"optax is needed and not installed: {pip_line(['optax'])}")
    jobs = all_jobs()
    names = list(dict.fromkeys(options.models or jobs))
    for name in names:
        if name not in jobs:
            raise UsageError(f"unknown model {name!r}, expected some of {', '.join(jobs)}")
    return [jobs[name] for name in names]


def _legend(options: argparse.Namespace) -> str:
    return (
        f"Seconds of an epoch in {options.dtype}, medians of {options.repeats} rounds: of multinn's "
        "Trainer on JAX, and of the same model in plain JAX, with jax.value_and_grad and optax. Ratio: "
        "the median of the rounds' ratios, and its quartiles. What compiling takes is apart. The losses "
        "of the first epoch have to agree."
    )


def _ratio_table(comparisons: Sequence[Comparison]) -> str:
    rows = []
    for each in comparisons:
        low, ratio, high = each.quartiles
        seconds = (seconds_text(each.ours.median), seconds_text(each.plain.median))
        spread = f"{low:.2f} to {high:.2f}"
        holds = "yes" if ratio <= BOUND else "NO"
        rows.append([each.job.name, *seconds, ratio_text(ratio), spread, holds])
    columns = ["model", "multinn", "jax.grad", "ratio", "quartiles", f"<= {BOUND:g}"]
    return format_table(columns, rows)


def _start_table(comparisons: Sequence[Comparison]) -> str:
    rows = [
        [
            each.job.name,
            seconds_text(each.ours.compile),
            seconds_text(each.plain.compile),
            f"{'agree' if each.agree else 'DIFFER'} {each.difference:.0e}",
        ]
        for each in comparisons
    ]
    return format_table(["model", "multinn compiles", "jax.grad compiles", "losses"], rows)


def _result(comparison: Comparison) -> dict[str, Any]:
    low, ratio, high = comparison.quartiles
    return {
        "model": comparison.job.name,
        "description": comparison.job.description,
        "ours": asdict(comparison.ours),
        "jax_grad": asdict(comparison.plain),
        "ratio": ratio,
        "quartiles": [low, high],
        "holds": ratio <= BOUND,
        "loss_difference": comparison.difference,
        "agree": comparison.agree,
    }


if __name__ == "__main__":
    sys.exit(main())
