"""What the language experiment prints and keeps of its runs."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from experiments.shared.tables import format_table
from multinn import Seconds
from multinn.training.history import Record

LINE: Final = 80
LOSSES: Final = {"loss": "training", "validation_loss": "held-out"}
_INDENT: Final = "    "


@dataclass
class Run:
    """A run on one backend.

    Attributes:
        name: the one under which the backend was asked for.
        seconds: what compiling and training took.
        history: a record a report, with the losses.
        samples: what the model wrote: before training, and at each report.
        steps: how many were taken.
    """

    name: str
    seconds: Seconds
    history: list[Record] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    steps: int = 0

    @property
    def held_out_loss(self) -> float:
        """The last one, in nats a character."""
        return self.history[-1]["validation_loss"]


def run_record(run: Run) -> dict[str, Any]:
    """Return a run as JSON can hold it."""
    return {
        "held_out_loss": run.held_out_loss,
        "steps": run.steps,
        "seconds": {"compile": run.seconds.compile, "train": run.seconds.train},
        "history": run.history,
        "samples": run.samples,
    }


def print_sample(sample: str) -> None:
    """Print what a model wrote, indented; a line of it that is long is several."""
    width = LINE - len(_INDENT)
    for line in sample.strip("\n").split("\n"):
        print(textwrap.indent("\n".join(textwrap.wrap(line, width)) or "", _INDENT))


def print_losses(runs: Sequence[Run], baselines: Mapping[str, float]) -> None:
    """Print the losses of each model on the held-out text, and how long training took.

    Args:
        runs: those of the transformer.
        baselines: the losses of other models, in nats.
    """
    models = {**baselines, **{f"transformer, {run.name}": run.held_out_loss for run in runs}}
    rows = [
        [name, f"{nats:.4f}", f"{nats / math.log(2.0):.4f}", f"{math.exp(nats):.2f}"]
        for name, nats in models.items()
    ]
    print("\nLoss a character of the held-out text\n")
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
    print(f"\n{format_table(['seconds', 'compile', 'train', 'ms a step'], rows)}")


def print_comparison(runs: Sequence[Run]) -> None:
    """Print how the losses of some backends part, report by report."""
    first = runs[0]
    differences = []
    for loss, name in LOSSES.items():
        rows = []
        for index, record in enumerate(first.history):
            values = [run.history[index][loss] for run in runs]
            differences.append(relative_difference(values))
            losses = [f"{value:.6f}" for value in values]
            rows.append([f"{record['epoch']}", *losses, f"{differences[-1]:.1e}"])
        print(f"\n{name.capitalize()} loss by backend, and the largest relative difference\n")
        print(format_table(["epoch", *(run.name for run in runs), "difference"], rows))
    same = sum(len(set(samples)) == 1 for samples in zip(*(run.samples for run in runs), strict=True))
    print(f"\nlargest relative difference of a loss  {max(differences):.1e}")
    print(f"samples that are the same              {same} of {len(first.samples)}")


def relative_difference(losses: Sequence[float]) -> float:
    """Return the largest relative difference of a loss to the first one.

    >>> relative_difference([2.0, 2.0, 2.5])
    0.25
    """
    first, *others = losses
    return max(abs(other - first) / first for other in others)
