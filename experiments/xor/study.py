"""A study of one recipe from many seeds: how many learn XOR, and how their losses fall."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backends import HostArray
from experiments.shared.tables import format_table
from experiments.xor.recipes import Recipe, Run
from multinn import Trainer
from multinn.host.progress import progress

_CURVE_POINTS = 250


@dataclass
class Study:
    """The results of the runs; each list has one entry per seed.

    Attributes:
        recipe: the recipe of all runs.
        seeds: consecutive seeds.
        learned: whether all four predictions are right.
        predictions: the four predictions.
        final_losses: the reported loss after the last step.
        curves: the reported losses of `curve_epochs`.
    """

    recipe: Recipe
    seeds: range
    learned: list[bool] = field(default_factory=list)
    predictions: list[list[float]] = field(default_factory=list)
    final_losses: list[float] = field(default_factory=list)
    curves: list[HostArray] = field(default_factory=list)

    @property
    def curve_epochs(self) -> HostArray:
        """The epochs at which the curves are kept: all, or evenly spaced ones if there are many."""
        return np.arange(0, self.recipe.epochs, -(-self.recipe.epochs // _CURVE_POINTS))

    def add(self, run: Run) -> None:
        """Add the run of the next seed."""
        self.learned.append(run.learned)
        self.predictions.append(run.predictions)
        self.final_losses.append(run.final_loss)
        self.curves.append(np.array(run.losses)[self.curve_epochs])

    def results(self) -> dict[str, Any]:
        """Return the results for the record."""
        return {
            "count": len(self.seeds),
            "learned_count": sum(self.learned),
            "loss": self.recipe.loss_name,
            "seeds": list(self.seeds),
            "learned": self.learned,
            "final_losses": self.final_losses,
            "predictions": self.predictions,
        }

    def history(self) -> list[dict[str, float]]:
        """Return the median, the lowest and the highest loss of all seeds at about ten epochs."""
        curves = np.stack(self.curves)
        return [
            {
                "epoch": int(self.curve_epochs[index]),
                "loss": float(np.median(curves[:, index])),
                "lowest_loss": float(curves[:, index].min()),
                "highest_loss": float(curves[:, index].max()),
            }
            for index in range(0, len(self.curve_epochs), max(1, len(self.curve_epochs) // 10))
        ]


def run_study(recipe: Recipe, trainer: Trainer, seeds: range) -> Study:
    """Run the recipe from each seed with one trainer, which compiles once."""
    study = Study(recipe, seeds)
    with progress(len(seeds), "seed") as advance:
        for seed in seeds:
            recipe.start(trainer, seed)
            study.add(recipe.finish(trainer, recipe.fit(trainer, recipe.epochs)))
            advance(1, {"learned": sum(study.learned)})
    return study


def format_study(study: Study) -> str:
    """Return the table of the final losses: of the seeds that learned XOR, of the others, and of all."""
    final, learned = np.array(study.final_losses), np.array(study.learned)
    groups = {"learned": final[learned], "not learned": final[~learned], "all": final}
    rows = [
        [name, f"{len(losses):,}", f"{100 * len(losses) / len(final):.1f} %", *_quantiles(losses)]
        for name, losses in groups.items()
    ]
    quantiles = ["lowest", "10 %\nquantile", "median", "90 %\nquantile", "highest"]
    return format_table(["seeds", "count", "share", *quantiles], rows)


def _quantiles(losses: Sequence[float] | HostArray) -> list[str]:
    if not len(losses):
        return ["-"] * 5
    return [f"{value:.2g}" for value in np.quantile(losses, [0.0, 0.1, 0.5, 0.9, 1.0])]
