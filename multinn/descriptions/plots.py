"""Curves of a run, drawn by Matplotlib, which is imported only here."""

from typing import TYPE_CHECKING

import numpy as np

from multinn.descriptions.curves import has_wide_range
from multinn.descriptions.records import Records, panels_of
from multinn.host.extras import extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 4.2, 3.2  # of a panel, in inches


def plot_records(records: Records) -> "list[Axes]":
    """Draw a panel for each number: its curve by epoch and, dashed, that of the validation.

    Raises:
        ImportError: Matplotlib is not installed.
        ValueError: there is nothing to draw.
    """
    panels = panels_of(records)
    if not panels:
        raise ValueError(
            "History.plot: expected a record with a finite number, got none: call fit first"
        )
    all_axes = new_axes(len(panels), "History.plot")
    for axes, (name, curves) in zip(all_axes, panels.items(), strict=True):
        for (kind, points), line in zip(curves.items(), ("-", "--"), strict=False):
            epochs, values = np.array(points, np.float64).T
            axes.plot(epochs, values, line, label=kind, marker="o" if len(points) == 1 else None)
        values = np.array([value for points in curves.values() for _, value in points])
        if has_wide_range(values[np.isfinite(values)]):
            axes.set_yscale("log")
        axes.set(xlabel="epoch", title=name)
        axes.locator_params("x", integer=True)
        axes.grid(alpha=0.3)
        if len(curves) > 1:
            axes.legend()
    return all_axes


def new_axes(count: int, need: str) -> "list[Axes]":
    """Return the panels of a new figure, side by side.

    Args:
        count: the number of panels.
        need: what needs Matplotlib, for the message.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    with extra("plot", f"{need} needs Matplotlib"):
        from matplotlib import pyplot
    size = (count * _WIDTH, _HEIGHT)
    _, axes = pyplot.subplots(1, count, figsize=size, layout="constrained", squeeze=False)
    return list(axes[0])
