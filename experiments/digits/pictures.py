"""The pictures of the digits experiment: confusion matrix and sample predictions."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import HostArray
from experiments.datasets import Dataset
from experiments.shared.pictures import COLORS, new_figure, save_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure


_RIGHT, _WRONG = COLORS[0], COLORS[1]
_COLUMNS = 10
_WRONG_ROWS = 2


def draw_confusion_matrix(confusion: HostArray, network: str, folder: Path, name: str) -> Path:
    """Draw the confusion matrix; the more mistakes, the darker.

    Args:
        confusion: (classes, classes) counts, true labels in rows.
        network: describes the network, for the title.
        folder: where ``NAME_confusion_matrix.png`` is saved.
        name: the name of the data set.
    """
    classes = range(len(confusion))
    mistakes = np.where(np.eye(len(confusion), dtype=bool), 0, confusion)
    most = max(1, mistakes.max())
    with style():
        figure = new_figure(6.6, 6.4)
        axes = figure.subplots()
        axes.grid(visible=False)
        shown = np.ma.masked_equal(mistakes, 0)
        axes.imshow(shown, cmap="Oranges", vmin=-0.1 * most, vmax=1.25 * most)
        axes.spines[:].set(visible=True, color="#b0b0b0")
        for row in classes:
            for column in classes:
                _write_count(axes, row, column, int(confusion[row, column]), dark=0.75 * most)
        axes.set_xticks(classes)
        axes.set_yticks(classes)
        axes.tick_params(length=0)
        axes.set_xlabel("predicted label")
        axes.set_ylabel("true label")
        total, right = confusion.sum(), np.trace(confusion)
        axes.set_title(f"{network}\n{right:,} of {total:,} test images right ({right / total:.2%})")
        return save_figure(figure, folder, f"{name}_confusion_matrix")


def _write_count(axes: "Axes", row: int, column: int, count: int, dark: float) -> None:
    if row == column:
        axes.add_patch(_square(column, row, facecolor="#e4e4e4"))
        axes.text(column, row, f"{count}", ha="center", va="center", weight="bold")
    elif count:
        color = "white" if count > dark else "black"
        axes.text(column, row, f"{count}", ha="center", va="center", color=color)


def _square(column: int, row: int, **look: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1.0, 1.0, **look)


def draw_samples(
    dataset: Dataset, probabilities: HostArray, network: str, folder: Path, name: str
) -> Path:
    """Draw test images with their predictions: the most confident mistakes, and a right one per label.

    Args:
        dataset: its test images are drawn.
        probabilities: (examples, classes), predicted for the test images.
        network: describes the network, for the title.
        folder: where ``NAME_samples.png`` is saved.
        name: the name of the data set, or of the experiment.
    """
    is_right = np.argmax(probabilities, axis=1) == dataset.y_test
    wrong = _most_confident(probabilities, np.flatnonzero(~is_right))
    right = _first_of_each_label(dataset.y_test, is_right)
    shown = wrong[: _WRONG_ROWS * _COLUMNS]
    rows = max(1, math.ceil(len(shown) / _COLUMNS))
    with style():
        heights = [0.3 + 1.4 * rows, 0.3 + 1.4]
        figure = new_figure(10.0, 0.4 + sum(heights))
        figure.suptitle(
            f"Predicted labels with their probabilities, on test images: {network}", x=0.01, ha="left"
        )
        upper, lower = figure.subfigures(2, 1, height_ratios=heights, squeeze=False).ravel()
        which = f"the {len(shown)} most confident" if len(shown) < len(wrong) else "all of them"
        title = f"✗ {len(wrong):,} wrong" + (f": {which}" if shown.size else "")
        _draw_images(upper, title, rows, dataset, probabilities, shown, "✗", _WRONG)
        title = f"✓ {is_right.sum():,} right" + (": the first of each label" if right.size else "")
        _draw_images(lower, title, 1, dataset, probabilities, right, "✓", _RIGHT)
        return save_figure(figure, folder, f"{name}_samples")


def _draw_images(
    part: "SubFigure",
    title: str,
    rows: int,
    dataset: Dataset,
    probabilities: HostArray,
    indices: HostArray,
    sign: str,
    color: str,
) -> None:
    part.suptitle(title, x=0.01, ha="left", color=color, weight="bold", fontsize=10)
    panels = part.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes in panels[len(indices) :]:
        axes.set_axis_off()
    for axes, index in zip(panels, indices, strict=False):
        label, predicted = dataset.y_test[index], np.argmax(probabilities[index])
        axes.imshow(dataset.x_test[index].reshape(dataset.image_shape), cmap="gray_r", vmin=0, vmax=1)
        axes.grid(visible=False)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set(visible=True, color=color, linewidth=2.0)
        axes.set_title(
            f"{sign} {predicted} ({probabilities[index, predicted]:.0%})\n"
            f"true {label} ({probabilities[index, label]:.0%})",
            loc="center",
            fontsize=9,
            color=color,
        )


def _most_confident(probabilities: HostArray, indices: HostArray) -> HostArray:
    """Return the indices sorted by the probability of the prediction, highest first."""
    order = np.argsort(-np.max(probabilities[indices], axis=1), kind="stable")
    return indices[order]


def _first_of_each_label(labels: HostArray, is_right: HostArray) -> HostArray:
    """Return the index of the first right example of each label that has one."""
    candidates = np.flatnonzero(is_right)
    _, first = np.unique(labels[candidates], return_index=True)
    return candidates[first]
