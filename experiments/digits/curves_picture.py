"""Pictures of the same training on several backends."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.digits.curves import Trainers
from experiments.shared.pictures import COLORS, legend_below, new_figure, save_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MEANINGS = {"": "training, mean over the epoch", "validation_": "test, after the epoch"}


def draw_learning_curves(
    trainers: Trainers, title: str, folder: Path, name: str, *, loss: str = "Loss"
) -> Path:
    """Draw the training and test loss and accuracy by epoch, on all backends.

    Args:
        trainers: after their training.
        title: describes the network and the data.
        folder: where ``NAME_learning_curves.png`` is saved.
        name: the name of the experiment or of the data set.
        loss: the heading of the losses.
    """
    with style():
        figure = new_figure(9.0, 4.0)
        figure.suptitle(f"Learning curves: {title}", x=0.01, ha="left")
        panels = figure.subplots(1, 2)
        for axes, column, heading, scale in zip(
            panels, ("loss", "accuracy"), (loss, "Accuracy (%)"), (1.0, 100.0), strict=True
        ):
            for (prefix, label), color in zip(_MEANINGS.items(), COLORS, strict=False):
                draw_curve(axes, trainers, f"{prefix}{column}", color=color, label=label, scale=scale)
            axes.set_title(heading)
        add_legend(panels[0], trainers)
        return save_figure(figure, folder, f"{name}_learning_curves")


def draw_curve(
    axes: "Axes", trainers: Trainers, metric: str, *, color: str, label: str, scale: float = 1.0
) -> None:
    """Draw a metric by epoch: a line for the first backend, rings for the others.

    Args:
        axes: where to draw.
        trainers: after their training.
        metric: its name in the history.
        color: the color for all backends.
        label: the label in the legend.
        scale: multiplies the values.
    """
    for index, trainer in enumerate(trainers.values()):
        values = [scale * value for value in trainer.history[metric]]
        label = label if index == 0 else "_"  # the legend leaves out labels that begin with _
        axes.plot(trainer.history["epoch"], values, color=color, label=label, **_look(index))
    axes.set_xlabel("epoch")
    locator: Any = axes.xaxis.get_major_locator()
    locator.set_params(integer=True, min_n_ticks=1)


def add_legend(axes: "Axes", trainers: Trainers) -> None:
    """Add a legend below all panels, with the backends if there are several."""
    if len(trainers) > 1:
        for index, name in enumerate(trainers):
            axes.plot([], [], color="#707070", label=name, **_look(index))
    legend_below(axes)


def _look(index: int) -> dict[str, Any]:
    """Return the line style of the backend with that index."""
    if index == 0:
        return {"marker": ".", "markersize": 4}
    return {"linestyle": "", "marker": "o", "markersize": 4 + 3 * index, "markerfacecolor": "none"}
