"""The style of all pictures, and how they are saved. matplotlib is imported only where it is used."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from multinn.host.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which color-blind people can read.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "font.size": 10,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure, its size in inches; use it within ``with style():``."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def style() -> Any:
    """Return a context in which new axes have the style of all pictures."""
    from cycler import cycler
    from matplotlib import rc_context

    return rc_context({**STYLE, "axes.prop_cycle": cycler(color=COLORS)})


def legend_below(axes: "Axes", columns: int = 4) -> None:
    """Add a legend of the axes below the figure, where it covers no line."""
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def save_figure(figure: "Figure", folder: Path, name: str) -> Path:
    """Save ``folder/name.png``, whole or not at all; print the path and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    with replacing(path) as file:
        figure.savefig(file, dpi=150, format="png")
    print(f"picture: {path}")
    return path
