"""The results of the language experiment: printed text and records."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from experiments.shared.tables import format_table, line_width
from multinn import Seconds
from multinn.training.history import Record

LOSSES: Final = {"loss": "training", "validation_loss": "held-out"}
_INDENT: Final = "    "


@dataclass
class Run:
    """A run on one backend.

    Attributes:
        name: the name of the backend.
        seconds: the seconds of compilation and of training.
        history: the losses at each report.
        samples: the texts that the model wrote before training and at each report.
        steps: the number of training steps.
    """

    name: str
    seconds: Seconds
    history: list[Record] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    steps: int = 0

    @property
    def held_out_loss(self) -> float:
        """The held-out loss at the last report, in nats per character."""
        return self.history[-1]["validation_loss"]


def run_record(run: Run) -> dict[str, Any]:
    """Return the record of a run."""
    return {
        "held_out_loss": run.held_out_loss,
        "steps": run.steps,
        "seconds": {"compile": run.seconds.compile, "train": run.seconds.train},
        "history": run.history,
        "samples": run.samples,
    }


def print_sample(sample: str) -> None:
    """Print a sample, indented, with its long lines wrapped."""
    width = line_width() - len(_INDENT)
    for line in sample.strip("\n").split("\n"):
        print(textwrap.indent("\n".join(textwrap.wrap(line, width)) or "", _INDENT))


def print_losses(runs: Sequence[Run], baselines: Mapping[str, float]) -> None:
    """Print the held-out loss of each model, and the seconds of each run.

    Args:
        runs: the runs of the transformer.
        baselines: the losses of other models, in nats.
    """
    models = {**baselines, **{f"transformer, {run.name}": run.held_out_loss for run in runs}}
    rows = [
        [name, f"{nats:.4f}", f"{nats / math.log(2.0):.4f}", f"{math.exp(nats):.2f}"]
        for name, nats in models.items()
    ]
    print("\nLoss per character of the held-out text\n")
    print(format_table(["model", "nats", "bits", "perplexity"], rows))
    rows = [
        [
            run.name,
            f"{run.seconds.compile:.1f}",
            f"{run.seconds.train:.1f}",
            f"{1000.0 * run.seconds.train / run.steps:.1f}",
        ]
        for run in runs
    ]
    columns = ["backend", "seconds to\ncompile", "seconds to\ntrain", "milliseconds\nper step"]
    print(f"\n{format_table(columns, rows)}")


def print_comparison(runs: Sequence[Run]) -> None:
    """Print the losses of several backends and their differences, at each report."""
    first = runs[0]
    differences = []
    for loss, name in LOSSES.items():
        rows = []
        for index, record in enumerate(first.history):
            values = [run.history[index][loss] for run in runs]
            differences.append(relative_difference(values))
            losses = [f"{value:.6f}" for value in values]
            rows.append([f"{record['epoch']}", *losses, f"{differences[-1]:.2g}"])
        print(f"\n{name.capitalize()} loss by backend\n")
        columns = ["epoch", *(run.name for run in runs), "largest relative\ndifference"]
        print(format_table(columns, rows))
    same = sum(len(set(samples)) == 1 for samples in zip(*(run.samples for run in runs), strict=True))
    print(f"\nlargest relative difference of a loss  {max(differences):.2g}")
    print(f"equal samples on all backends          {same} of {len(first.samples)}")


def relative_difference(losses: Sequence[float]) -> float:
    """Return the largest relative difference to the first loss.

    >>> relative_difference([2.0, 2.0, 2.5])
    0.25
    """
    first, *others = losses
    return max(abs(other - first) / first for other in others)
