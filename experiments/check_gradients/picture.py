"""The picture of the gradient checks: a row for each layer and loss, a column for each oracle."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.check_gradients.oracles import Check
from experiments.check_gradients.proofs import Proofs
from experiments.check_gradients.report import COLUMNS
from experiments.shared.pictures import new_figure, save_figure, style
from multinn.testing.gradient_cases import LOSSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LIMITS = (1e-17, 1e-5)  # the errors at the ends of the color map; 0 has the first color
_ROWS = 40  # the most rows of a panel
_WIDTH, _GAP = 1.0, 0.12  # of a column, and between two columns
_ROW_HEIGHT = 0.19  # inches
_GREEN, _RED = "#007A5A", "#D00000"


class _Row(NamedTuple):
    """A heading, or the row of a class.

    Attributes:
        title: the heading, or the name of the class.
        cases: the cases of the class; empty for a heading.
    """

    title: str
    cases: tuple[str, ...] = ()


def draw(checks: Sequence[Check], proofs: Proofs, folder: Path) -> None:
    """Draw the largest errors of each layer and loss, and its proofs.

    Args:
        checks: at least one.
        proofs: the proofs of the same cases; without any, there is no column for them.
        folder: where ``gradients.png`` is saved.
    """
    with style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LogNorm

        panels = _panels(list(dict.fromkeys(check.case for check in checks)))
        height = 1.5 + _ROW_HEIGHT * max(map(len, panels))
        figure = new_figure(0.4 + 3.8 * max(len(panels), 2), height)
        colors = ScalarMappable(LogNorm(*_LIMITS, clip=True), "cividis")
        for axes, rows in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw_panel(axes, rows, checks, proofs, colors)
            axes.set_ylim(max(map(len, panels)) - 0.4, -0.6)
        figure.suptitle(
            "Hand-derived gradients: the largest relative error by each oracle", x=0.01, ha="left"
        )
        bar = figure.colorbar(
            colors, ax=figure.axes, orientation="horizontal", aspect=70, shrink=0.8, pad=0.1 / height
        )
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8)
        backends = ", ".join(dict.fromkeys(check.backend for check in checks))
        bar.set_label(
            f"stripes, from left to right: {backends}      ✓: proved by algebra in all cases",
            fontsize=8.5,
        )
        save_figure(figure, folder, "gradients")


def _panels(cases: Sequence[str]) -> list[list[_Row]]:
    """Return the rows of each panel: layers, then losses, in panels of about the same length."""
    losses = {case.name for case in LOSSES}
    rows = []
    for heading, is_loss in (("Layers", False), ("Losses", True)):
        own = [case for case in cases if (case in losses) == is_loss]
        kinds = dict.fromkeys(case.split()[0] for case in own)
        rows += [_Row(heading)] if own else []
        rows += [_Row(kind, tuple(case for case in own if case.split()[0] == kind)) for kind in kinds]
    length = math.ceil(len(rows) / math.ceil(len(rows) / _ROWS))
    panels = [rows[start : start + length] for start in range(0, len(rows), length)]
    for panel, next_panel in pairwise(panels):
        if not panel[-1].cases:  # a heading belongs to the rows below it
            next_panel.insert(0, panel.pop())
    return panels


def _draw_panel(
    axes: "Axes", rows: Sequence[_Row], checks: Sequence[Check], proofs: Proofs, colors: Any
) -> None:
    names = [oracle.name for oracle in COLUMNS if any(check.oracle == oracle.name for check in checks)]
    lefts = [place * (_WIDTH + _GAP) for place in range(len(names) + 1)]
    for place, row in enumerate(rows):
        own = [check for check in checks if check.case in row.cases]
        for left, name in zip(lefts, names, strict=False):
            _draw_errors(axes, left, place, [check for check in own if check.oracle == name], colors)
        if row.cases:
            _draw_proofs(axes, lefts[-1], place, row.cases, proofs)
    tolerances = {check.oracle: check.tolerance for check in checks}
    headings = [f"{name}\n≤ {tolerances[name]:.0e}" for name in names]
    headings += ["algebra\n= 0"] if proofs.proofs else []
    ticks = [left + _WIDTH / 2 for left in lefts[: len(headings)]]
    axes.set_xticks(ticks, headings, fontsize=8)
    axes.set_yticks(range(len(rows)), [row.title for row in rows], fontsize=8.5)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("normal" if row.cases else "bold")
    axes.set_xlim(-0.05, lefts[len(headings) - 1] + _WIDTH + 0.05)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _draw_errors(axes: "Axes", left: float, place: int, checks: Sequence[Check], colors: Any) -> None:
    """Draw the largest error on each backend as a stripe, and print the largest of all on top."""
    from matplotlib.patches import Rectangle

    worst: dict[str, float] = {}
    for check in checks:
        worst[check.backend] = max(worst.get(check.backend, 0.0), check.error)
    if not worst:
        return
    width = _WIDTH / len(worst)
    for index, error in enumerate(worst.values()):
        corner = (left + index * width, place - 0.45)
        color = colors.to_rgba(max(error, _LIMITS[0]))
        axes.add_patch(Rectangle(corner, width, 0.9, color=color, linewidth=0))
    largest = max(worst.values())
    axes.text(
        left + _WIDTH / 2,
        place,
        f"{largest:.0e}" if largest else "0",
        ha="center",
        va="center_baseline",
        fontsize=7.5,
        color="white" if largest < 1e-9 else "black",
    )
    if not all(check.passed for check in checks):
        corner = (left, place - 0.45)
        axes.add_patch(Rectangle(corner, _WIDTH, 0.9, fill=False, edgecolor=_RED, linewidth=2))


def _draw_proofs(axes: "Axes", left: float, place: int, cases: Sequence[str], proofs: Proofs) -> None:
    found = [proofs.proofs[case] for case in cases if case in proofs.proofs]
    proved = sum(not proof.wrong for proof in found)
    if not found:
        return
    wrong = proved < len(found)
    text = "wrong" if wrong else "✓" if proved == len(cases) else f"{proved} of {len(cases)}"
    axes.text(
        left + _WIDTH / 2,
        place,
        text,
        ha="center",
        va="center_baseline",
        fontsize=8.5,
        color=_RED if wrong else _GREEN,
    )
