"""The picture of the sweep: the time of a step on each backend, and the ratios to the first one."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.shared.pictures import legend_below, new_figure, save_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Medians = Mapping[tuple[str, int, int], float]


def draw_sweep(backends: Sequence[str], medians: Medians, folder: Path) -> Path | None:
    """Draw a panel of seconds over width for each batch size, and a heat map of each ratio.

    Args:
        backends: the names of the backends; ratios are to the first.
        medians: seconds per step by backend, batch size and width.
        folder: where the picture is saved.

    Returns:
        The path of the picture; None if there is nothing to draw.
    """
    if not medians:
        return None
    batch_sizes = sorted({batch_size for _, batch_size, _ in medians})
    widths = sorted({width for *_, width in medians})
    others = backends[1:]
    with style():
        height = 0.7 + 0.5 * len(batch_sizes)
        figure = new_figure(max(9.0, 2.3 * len(batch_sizes)), 3.2 + len(others) * height)
        ratios_of_heights = [3.2, *[height] * len(others)]
        grid = figure.subfigures(len(backends), 1, squeeze=False, height_ratios=ratios_of_heights)
        parts = list(grid[:, 0])
        _draw_lines(parts[0], backends, batch_sizes, widths, medians)
        for part, other in zip(parts[1:], others, strict=True):
            ratios = [
                [_ratio(medians, (other, batch, width), (backends[0], batch, width)) for width in widths]
                for batch in batch_sizes
            ]
            axes = part.subplots()
            axes.set_title(
                f"seconds of {other} / seconds of {backends[0]}: blue, below 1, if {other} is faster",
                fontsize=10,
            )
            _draw_heat_map(axes, ratios, batch_sizes, widths)
        return save_figure(figure, folder, "sweep")


def _ratio(medians: Medians, own: tuple[str, int, int], base: tuple[str, int, int]) -> float:
    return medians[own] / medians[base] if own in medians and base in medians else math.nan


def _draw_lines(
    part: "Figure",
    backends: Sequence[str],
    batch_sizes: Sequence[int],
    widths: Sequence[int],
    medians: Medians,
) -> None:
    panels = part.subplots(1, len(batch_sizes), squeeze=False, sharey=True)[0]
    for axes, batch_size in zip(panels, batch_sizes, strict=True):
        for backend in backends:
            seconds = [medians.get((backend, batch_size, width), math.nan) for width in widths]
            axes.plot(widths, seconds, marker="o", markersize=4, label=backend)
        axes.set(xscale="log", yscale="log", xlabel="width")
        axes.set_xticks(widths, [str(width) for width in widths], fontsize=8, rotation=45)
        axes.minorticks_off()
        axes.set_title(f"batch size {batch_size}", fontsize=10)
    panels[0].set_ylabel("seconds per step")
    legend_below(panels[0])


def _draw_heat_map(
    axes: "Axes", ratios: list[list[float]], batch_sizes: Sequence[int], widths: Sequence[int]
) -> None:
    """Draw ratios as numbers on colors: blue below 1, red above."""
    logs = [[math.log2(ratio) for ratio in row] for row in ratios]
    axes.imshow(logs, cmap="RdBu_r", vmin=-4.0, vmax=4.0, aspect="auto")
    for row, column in ((r, c) for r in range(len(batch_sizes)) for c in range(len(widths))):
        ratio = ratios[row][column]
        if math.isnan(ratio):
            continue
        strong = abs(logs[row][column]) > 2.6
        axes.annotate(
            f"{ratio:.2f}" if ratio < 10.0 else f"{ratio:.0f}",
            (column, row),
            ha="center",
            va="center",
            color="white" if strong else "black",
        )
    axes.set_xticks(range(len(widths)), [str(width) for width in widths])
    axes.set_yticks(range(len(batch_sizes)), [str(size) for size in batch_sizes])
    axes.set(xlabel="width", ylabel="batch size")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
