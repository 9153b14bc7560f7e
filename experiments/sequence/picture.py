"""The picture of the errors on the adding problem."""

from collections.abc import Mapping
from pathlib import Path

from experiments.digits.curves import Trainers
from experiments.digits.curves_picture import add_legend, draw_curve
from experiments.shared.pictures import COLORS, new_figure, save_figure, style


def draw_errors(runs: Mapping[str, Trainers], constant: float, title: str, folder: Path) -> Path:
    """Draw the test errors of all models by epoch, as ``sequence_errors.png``.

    Args:
        runs: trained trainers by model and backend.
        constant: the error of the best constant answer.
        title: the title of the picture.
        folder: where the picture is saved.
    """
    with style():
        figure = new_figure(7.2, 4.4)
        axes = figure.subplots()
        axes.axhline(constant, color="black", linestyle="--", linewidth=1.0, label="always 1")
        for (model, trainers), color in zip(runs.items(), COLORS, strict=False):
            draw_curve(axes, trainers, "validation_loss", color=color, label=model)
        axes.set_yscale("log")
        axes.set(title=title, ylabel="mean squared error on the test sequences")
        add_legend(axes, next(iter(runs.values())))
        return save_figure(figure, folder, "sequence_errors")
