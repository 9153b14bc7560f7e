"""The pictures of XOR: the losses and the decision surface of a run, and the losses of many seeds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.shared.pictures import COLORS, new_figure, save_figure, style
from experiments.xor.recipes import INPUTS, TARGETS, Recipe, Run
from experiments.xor.study import Study
from multinn import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEARNED, _NOT_LEARNED = COLORS[0], COLORS[1]
_BORDER = 0.15
_GRID_POINTS = 131


def draw_run(recipe: Recipe, run: Run, trainer: Trainer, seed: int, folder: Path) -> None:
    """Save the pictures of one run."""
    verdict = "learned" if run.learned else "not learned"
    title = f"XOR {verdict} by the recipe {recipe.name}, seed {seed}"
    with style():
        save_figure(_loss_figure(recipe, run, title), folder, f"xor_{recipe.name}_loss")
        save_figure(_surface_figure(recipe, run, trainer, title), folder, f"xor_{recipe.name}_surface")


def draw_study(study: Study, folder: Path) -> None:
    """Save the picture of a study."""
    with style():
        save_figure(_study_figure(study), folder, f"xor_{study.recipe.name}_study")


def _loss_figure(recipe: Recipe, run: Run, title: str) -> "Figure":
    losses = [*run.losses, run.final_loss]
    guessing = recipe.guessing_loss()
    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    axes.plot(losses, color=_LEARNED if run.learned else _NOT_LEARNED, label="this run")
    axes.axhline(
        guessing, color="black", linestyle="--", linewidth=1.0, label="answering 0.5 to everything"
    )
    if max(losses) < 10.0 * min(losses):  # too few ticks on a logarithmic axis
        axes.set_ylim(0.0, 1.1 * max(*losses, guessing))
    else:
        axes.set_yscale("log")
    axes.set(title=title, xlabel="epoch", ylabel=recipe.loss_name)
    axes.legend()
    return figure


def _surface_figure(recipe: Recipe, run: Run, trainer: Trainer, title: str) -> "Figure":
    ticks = np.linspace(-_BORDER, 1.0 + _BORDER, _GRID_POINTS)
    first, second = np.meshgrid(ticks, ticks, indexing="ij")
    points = np.stack([first.ravel(), second.ravel()], axis=1)
    surface = recipe.predict(trainer, points).reshape(first.shape)
    figure = new_figure(5.6, 4.6)
    axes = figure.subplots()
    filled = axes.contourf(first, second, surface, levels=np.linspace(0.0, 1.0, 21), cmap="PuOr_r")
    if surface.min() < 0.5 < surface.max():
        axes.contour(first, second, surface, levels=[0.5], colors="black", linewidths=1.5)
    for (x, y), target, prediction in zip(INPUTS, TARGETS[:, 0], run.predictions, strict=True):
        _draw_point(axes, x, y, target, prediction)
    axes.set(title=title, xlabel="first input", ylabel="second input", aspect="equal")
    axes.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axes.grid(visible=False)
    figure.colorbar(filled, ax=axes, label="prediction (black line: 0.5)", ticks=np.linspace(0, 1, 6))
    return figure


def _draw_point(axes: Any, x: float, y: float, target: float, prediction: float) -> None:
    """Draw a circle for an input, with its target inside and its prediction beside it."""
    axes.plot(x, y, "o", markersize=17, markerfacecolor="white", markeredgecolor="black")
    axes.text(x, y, f"{target:.0f}", ha="center", va="center", fontweight="bold")
    axes.annotate(
        f"{prediction:.3f}",
        (x, y),
        xytext=(14 if x < 0.5 else -14, 0),
        textcoords="offset points",
        ha="left" if x < 0.5 else "right",
        va="center",
        bbox={"boxstyle": "round", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
    )


def _study_figure(study: Study) -> "Figure":
    curves, learned = np.stack(study.curves), np.array(study.learned)
    figure = new_figure(7.2, 4.4)
    axes = figure.subplots()
    groups = [("learned", _LEARNED, curves[learned]), ("not learned", _NOT_LEARNED, curves[~learned])]
    for name, color, lines in groups:
        # an empty line for the legend, which would otherwise be as faint as the curves
        axes.plot([], [], color=color, label=f"{name}: {len(lines):,} of {len(study.seeds):,} seeds")
        if len(lines):
            opacity = float(np.clip(30.0 / len(lines), 0.06, 0.8))
            axes.plot(study.curve_epochs, lines.T, color=color, alpha=opacity, linewidth=0.8)
    axes.set_yscale("log")
    axes.set(
        title=f"XOR by the recipe {study.recipe.name}", xlabel="epoch", ylabel=study.recipe.loss_name
    )
    axes.legend()
    return figure
