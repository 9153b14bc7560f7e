"""The bar chart of the comparison: the time of each competitor relative to the floor."""

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.compare_backends.report import Comparison
from experiments.compare_backends.runs import Timing
from experiments.competitors import FLOOR, backend_of
from experiments.shared.pictures import COLORS, new_figure, save_figure, style
from experiments.shared.tables import ratio_text, seconds_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PEER_COLOR = "#B3B3B3"
_BAR_HEIGHT = 0.235
_PANEL_HEIGHT = 0.62


def draw_comparison(comparison: Comparison, folder: Path, name: str = "compare_backends") -> Path | None:
    """Draw a panel for each job, with a bar for each competitor on a logarithmic axis, fastest first.

    Jobs without a ratio to the floor are left out.

    Args:
        comparison: the measurements.
        folder: where the picture is saved.
        name: the name of its file.

    Returns:
        The path of the picture; None if there is nothing to draw.
    """
    panels = {job: _bars(comparison, job) for job in comparison.workloads}
    panels = {job: bars for job, bars in panels.items() if bars}
    if not panels:
        return None
    columns = 2 if len(panels) > 1 else 1
    rows = -(-len(panels) // columns)
    most = max(len(bars) for bars in panels.values())
    with style():
        figure = new_figure(5.6 * columns, rows * (_PANEL_HEIGHT + _BAR_HEIGHT * most) + 0.35)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (job, bars) in zip(grid, panels.items(), strict=False):
            _draw_panel(axes, bars, comparison)
            axes.set_title(f"{job}: {comparison.workloads[job].description}", fontsize=9)
            axes.set_ylim(most - 0.45, -0.55)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel("time relative to the floor, the matrix products alone in NumPy", fontsize=9)
        return save_figure(figure, folder, name)


def _bars(comparison: Comparison, job: str) -> list[tuple[float, Timing]]:
    """Return the ratios to the floor of one job with their timings, the smallest first."""
    ratios = [
        (comparison.to_floor(timing), timing)
        for competitor, timing in comparison.of(job).items()
        if competitor != FLOOR
    ]
    known = [(ratio, timing) for ratio, timing in ratios if ratio is not None]
    return sorted(known, key=lambda bar: bar[0])


def _draw_panel(axes: "Axes", bars: list[tuple[float, Timing]], comparison: Comparison) -> None:
    colors = {name: COLORS[index % 6] for index, name in enumerate(comparison.backends)}
    for row, (ratio, timing) in enumerate(bars):
        color = colors.get(timing.competitor, PEER_COLOR)
        axes.barh(row, ratio - 1.0, left=1.0, color=color, height=0.74)
        axes.annotate(
            f"{ratio_text(ratio)}×   {seconds_text(timing.median)} s",  # noqa: RUF001
            (max(ratio, 1.0), row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.axvline(1.0, color="black", linewidth=1.0)
    axes.set_xscale("log")
    # Leave room for the labels; on a logarithmic axis, lengths are powers.
    left, most = min(1.0, bars[0][0]), max(2.0, bars[-1][0])
    axes.set_xlim(left / (most / left) ** 0.04, most * (most / left) ** 0.42)
    axes.set_yticks(range(len(bars)), [timing.competitor for _, timing in bars], fontsize=8)
    for label, (_, timing) in zip(axes.get_yticklabels(), bars, strict=True):
        label.set_fontweight("bold" if backend_of(timing.competitor) else "normal")
    axes.grid(visible=False, axis="y")
    _label_the_ratios(axes)


def _label_the_ratios(axes: "Axes") -> None:
    """Label the axis with plain numbers: powers of ten, and on a short axis also 2 and 5 times these."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    left, right = axes.get_xlim()
    between = (1.0,) if right / left > 200.0 else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(subs=between, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="x", labelsize=8)
