"""The picture of the comparison with `jax.grad`."""

from collections.abc import Sequence
from pathlib import Path

from experiments.compare_jax_grad.runs import Comparison
from experiments.shared.pictures import COLORS, new_figure, save_figure, style


def draw_ratios(comparisons: Sequence[Comparison], bound: float, folder: Path) -> Path:
    """Draw the ratio of each round, and the medians, as ``compare_jax_grad.png``.

    Args:
        comparisons: after their measurement.
        bound: the largest acceptable ratio.
        folder: where the picture is saved.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    with style():
        figure = new_figure(7.2, 1.4 + 0.5 * len(comparisons))
        axes = figure.subplots()
        for place, comparison in enumerate(comparisons):
            ratios = comparison.ratios
            rounds = "rounds" if place == 0 else "_"  # the legend leaves out labels that begin with _
            medians = "median" if place == 0 else "_"
            axes.plot(ratios, [place] * len(ratios), "o", color=COLORS[5], alpha=0.5, label=rounds)
            median = comparison.quartiles[1]
            axes.plot([median], [place], "|", markersize=18, color=COLORS[0], label=medians)
            axes.annotate(
                f"{median:.2f}", (median, place), xytext=(0, 11), textcoords="offset points", ha="center"
            )
        axes.axvline(1.0, color="black", linewidth=1.0, label="equal")
        axes.axvline(bound, color=COLORS[1], linewidth=1.0, linestyle="--", label=f"bound {bound:g}")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yticks(range(len(comparisons)), [each.job.name for each in comparisons])
        axes.set_ylim(len(comparisons) - 0.4, -0.8)
        axes.set(title="Seconds of an epoch, multinn / jax.grad", xlabel="ratio")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return save_figure(figure, folder, "compare_jax_grad")
