"""Pictures of the same training on several backends."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.digits.curves import Trainers
from experiments.shared.pictures import COLOURS, new_figure, save_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MEANINGS = {"": "training, mean over the epoch", "validation_": "test, after the epoch"}


def draw_learning_curves(trainers: Trainers, title: str, folder: Path, name: str) -> Path:
    """Draw loss and accuracy by epoch, of the training and of the test images, on all backends.

    Args:
        trainers: after their training.
        title: of the figure.
        folder: where ``NAME_learning_curves.png`` is saved.
        name: that of the experiment.
    """
    with style():
        figure = new_figure(9.0, 3.8)
        figure.suptitle(title, x=0.01, ha="left")
        panels = figure.subplots(1, 2)
        for axes, column, heading, scale in zip(
            panels, ("loss", "accuracy"), ("Loss", "Accuracy (%)"), (1.0, 100.0), strict=True
        ):
            for (prefix, label), colour in zip(_MEANINGS.items(), COLOURS, strict=False):
                draw_curve(axes, trainers, f"{prefix}{column}", colour=colour, label=label, scale=scale)
            axes.set_title(heading)
            add_legend(axes, trainers)
        return save_figure(figure, folder, f"{name}_learning_curves")


def draw_curve(
    axes: "Axes", trainers: Trainers, figure: str, *, colour: str, label: str, scale: float = 1.0
) -> None:
    """Draw one figure of the history by epoch: a line for the first backend, rings for the others.

    Args:
        axes: where.
        trainers: after their training.
        figure: its name in the history.
        colour: of the curve on all backends.
        label: for the legend.
        scale: what values are multiplied by.
    """
    for index, trainer in enumerate(trainers.values()):
        values = [scale * value for value in trainer.history[figure]]
        label = label if index == 0 else "_"  # one that the legend leaves out
        axes.plot(trainer.history["epoch"], values, color=colour, label=label, **_look(index))
    axes.set_xlabel("epoch")
    locator: Any = axes.xaxis.get_major_locator()
    locator.set_params(integer=True, min_n_ticks=1)


def add_legend(axes: "Axes", trainers: Trainers) -> None:
    """Add the legend, which tells backends apart where there are several."""
    if len(trainers) > 1:
        for index, name in enumerate(trainers):
            axes.plot([], [], color="#707070", label=name, **_look(index))
    axes.legend()


def _look(index: int) -> dict[str, Any]:
    """Return how the curve of the backend with that index is drawn."""
    if index == 0:
        return {"marker": ".", "markersize": 4}
    return {"linestyle": "", "marker": "o", "markersize": 4 + 3 * index, "markerfacecolor": "none"}
