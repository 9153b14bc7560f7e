"""The bar chart of the backends' timings."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.figures import COLOURS, new_figure, save_figure, style

Steady = Mapping[tuple[str, str], Sequence[float]]


def draw_comparison(
    descriptions: Mapping[str, str], steady: Steady, folder: Path, name: str = "compare_backends"
) -> Path:
    """Draw one panel a job, one bar a competitor: median seconds, with least and most as a whisker.

    Args:
        descriptions: of each job, by its name.
        steady: the seconds of each job by each competitor, by the names of both.
        folder: where the figure is saved.
        name: of the figure.
    """
    backends = list(dict.fromkeys(backend for _, backend in steady))
    with style():
        figure = new_figure(8.0, 0.9 + len(descriptions) * (0.55 + 0.3 * len(backends)))
        panels = figure.subplots(len(descriptions), 1, squeeze=False)[:, 0]
        for axes, (job, description) in zip(panels, descriptions.items(), strict=True):
            for row, backend in enumerate(backends):
                seconds = steady[job, backend]
                median = statistics.median(seconds)
                spread = [[median - min(seconds)], [max(seconds) - median]]
                axes.barh(row, median, color=COLOURS[row % len(COLOURS)], height=0.7)
                axes.errorbar(median, row, xerr=spread, color="black", capsize=3, linewidth=1)
                axes.annotate(
                    f"{_duration(median)}  ",
                    (max(seconds), row),
                    xytext=(6, 0),
                    textcoords="offset points",
                    va="center",
                )
            axes.set_yticks(range(len(backends)), backends)
            axes.invert_yaxis()
            axes.set_title(f"{job}: {description}", fontsize=10)
            axes.grid(visible=False, axis="y")
            axes.margins(x=0.16)
            axes.set_xlim(left=0.0)
        panels[-1].set_xlabel("seconds in steady state: median, with the least and the most")
        return save_figure(figure, folder, name)


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1.0 else f"{seconds * 1e3:.3g} ms"
