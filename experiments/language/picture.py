"""The picture of the language experiment: losses by epoch, and those of n-gram models."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.language.report import LOSSES, Run
from experiments.shared.pictures import COLORS, legend_below, new_figure, save_figure, style


def draw_losses(runs: Sequence[Run], baselines: Mapping[str, float], text: str, folder: Path) -> Path:
    """Draw the training and the held-out loss by epoch, for each backend, and the baselines.

    Args:
        runs: runs with the same epochs.
        baselines: held-out losses by name.
        text: the name of the text.
        folder: where ``language_losses.png`` is saved.
    """
    from matplotlib.ticker import MaxNLocator

    with style():
        figure = new_figure(7.4, 4.4)
        axes = figure.subplots()
        for index, run in enumerate(runs):
            epochs = [record["epoch"] for record in run.history]
            # Backends that agree have the same lines: draw each later one thinner.
            width = 1.8 + 1.8 * (len(runs) - 1 - index)
            color = COLORS[index % len(COLORS)]
            for loss, name in LOSSES.items():
                line = "-" if loss == "validation_loss" else ":"
                values = [record[loss] for record in run.history]
                label = f"{name}, {run.name}"
                axes.plot(epochs, values, line, label=label, color=color, linewidth=width, marker="o")
        for name, value in baselines.items():
            axes.axhline(value, color="black", linestyle="--", linewidth=1.0)
            axes.annotate(
                f"{name}, held-out",
                (1.0, value),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                fontsize=9,
            )
        axes.set_title(f"Predicting the next character of {text}")
        axes.set_xlabel("epoch")
        axes.set_ylabel("cross-entropy, nats per character")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        legend_below(axes, columns=min(len(runs), 3))
        return save_figure(figure, folder, "language_losses")
