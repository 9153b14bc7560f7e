"""The time of an epoch with hand-derived gradients and with `jax.grad`, both compiled by JAX.

Each model is written twice: in multinn's layers, trained by its Trainer, and in plain functions of JAX,
trained by `jax.value_and_grad` and optax within one `lax.scan` (`plain_jax`). Both start from the same
parameters and see the same batches, so the losses of the first epoch must agree.

On a CPU, XLA's own convolution is several times slower inside a loop than outside: `compare_backends`
also times jax.grad with a call for each step.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Final

from backends import get_backend
from experiments.compare_jax_grad.jobs import all_jobs
from experiments.compare_jax_grad.picture import draw_ratios
from experiments.compare_jax_grad.runs import Comparison, Pair, measure
from experiments.competitors import pip_line
from experiments.shared.command_line import (
    add_count,
    add_dtype,
    add_names,
    make_parser,
    print_error,
    run_script,
    select,
)
from experiments.shared.errors import UsageError
from experiments.shared.records import make_comparison_record, write_json
from experiments.shared.tables import format_table, paragraph, ratio_text, seconds_text
from multinn.host.progress import progress

#: The largest acceptable ratio of multinn's time to that of jax.grad.
BOUND: Final = 1.1

_NOTE: Final = (
    "On a CPU, XLA's own convolution is slow inside a loop. To time jax.grad with a call for each step: "
    "python -m experiments.compare_backends --workloads lenet --peers"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "compare_jax_grad",
        "Train five models with multinn, and with jax.grad and optax, on JAX, in turn, and compare the "
        "seconds of an epoch.",
        times_compilation=True,
    )
    add_names(parser, "--models", "models", all_jobs())
    add_count(parser, "--repeats", 15, "timed rounds")
    add_count(parser, "--steps", None, "steps of an epoch (default: depends on the model)")
    add_dtype(parser, "float32")
    return run_script(_run, parser, arguments)


def _run(options: argparse.Namespace) -> int:
    backend = get_backend("jax")
    if find_spec("optax") is None:
        raise UsageError(f"optax is needed and not installed: {pip_line(['optax'])}")
    jobs = list(select(all_jobs(), options.models, "model").values())
    comparisons = [Comparison(job, options.dtype) for job in jobs]
    print(paragraph(_legend(options)), flush=True)
    start = time.perf_counter()
    with progress(len(jobs) * (options.repeats + 1), "run") as advance:
        pairs = [Pair(each, backend, options.seed, options.steps) for each in comparisons]
        measure(pairs, options.repeats, advance)
    seconds = {"measure": time.perf_counter() - start}
    print(f"\n{_ratio_table(comparisons)}\n\n{_start_table(comparisons)}")
    if any(job.name.startswith("convnet") for job in jobs):
        print(f"\n{paragraph(_NOTE)}")
    if options.out:
        draw_ratios(comparisons, BOUND, options.out)
    if options.json:
        results = [_result(each) for each in comparisons]
        record = make_comparison_record(
            "compare_jax_grad", options, {"jax": backend}, options.dtype, results, seconds
        )
        record["versions"]["optax"] = version("optax")
        write_json(options.json, record | {"bound": BOUND})
    differing = [each.job.name for each in comparisons if not each.agree]
    if differing:
        print_error(f"error: the losses do not agree: {', '.join(differing)}")
    return 1 if differing else 0


def _legend(options: argparse.Namespace) -> str:
    return (
        f"Seconds of an epoch in {options.dtype}, without compilation, medians of {options.repeats} "
        "rounds: of multinn's Trainer on JAX, and of the same model in plain JAX, with "
        "jax.value_and_grad and optax. Ratio: multinn / jax.grad, the median over the rounds and its "
        "quartiles. The losses of the first epoch must agree."
    )


def _ratio_table(comparisons: Sequence[Comparison]) -> str:
    rows = []
    for each in comparisons:
        low, ratio, high = each.quartiles
        seconds = (seconds_text(each.ours.median), seconds_text(each.plain.median))
        spread = f"{low:.2f} to {high:.2f}"
        holds = "yes" if ratio <= BOUND else "NO"
        rows.append([each.job.name, *seconds, ratio_text(ratio), spread, holds])
    columns = [
        "model",
        "multinn,\nseconds",
        "jax.grad,\nseconds",
        "ratio",
        "quartiles\nof the ratio",
        f"at most\n{BOUND:g}",
    ]
    return format_table(columns, rows)


def _start_table(comparisons: Sequence[Comparison]) -> str:
    rows = [
        [
            each.job.name,
            seconds_text(each.ours.compile),
            seconds_text(each.plain.compile),
            f"{'agree' if each.agree else 'DIFFER'}, {each.difference:.1g}",
        ]
        for each in comparisons
    ]
    columns = [
        "model",
        "multinn, seconds\nto compile",
        "jax.grad, seconds\nto compile",
        "losses, relative\ndifference",
    ]
    return format_table(columns, rows)


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
