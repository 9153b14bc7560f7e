"""From what each step of a run recorded to what its epochs report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backends import HostArray, Tree
from multinn.history import Record
from multinn.training import Reduction

Columns = dict[str, HostArray]


@dataclass(frozen=True)
class EpochFigures:
    """What some epochs report.

    Attributes:
        columns: (epochs,) float64 arrays by name: ``loss`` and the metrics.
    """

    columns: Columns

    def record(self, index: int) -> Record:
        """Return the figures of one of the epochs."""
        return {name: float(column[index]) for name, column in self.columns.items()}

    def records(self, epochs: Sequence[int], indices: Sequence[int]) -> list[Record]:
        """Return the figures of some of the epochs, with the number of each as ``epoch``.

        Args:
            epochs: the number of each.
            indices: which they are here.
        """
        records: list[Record] = [{"epoch": epoch} for epoch in epochs]
        for name, column in self.columns.items():
            for record, value in zip(records, column[list(indices)].tolist(), strict=True):
                record[name] = value
        return records


def step_columns(records: Tree) -> Columns:
    """Join the records of full and of smaller batches, as `TrainingProgram.run` returns them.

    Returns:
        (epochs, steps) float64 arrays by name, the steps in their order; of a `CombinedMetric`, with its
        axes after these.
    """
    full, tail = records
    if tail is not None:
        full = {
            name: np.concatenate([values, tail[name][:, None]], axis=1) for name, values in full.items()
        }
    return {name: values.astype(np.float64) for name, values in full.items()}


def joined(columns: Sequence[Columns], axis: int) -> Columns:
    """Return columns one after another along an axis."""
    return {name: np.concatenate([each[name] for each in columns], axis=axis) for name in columns[0]}


def epoch_figures(
    steps: Mapping[str, HostArray], batch_sizes: Sequence[int], reductions: Mapping[str, Reduction]
) -> EpochFigures:
    """Combine the figures of steps to those of epochs.

    Args:
        steps: as `step_columns` returns them.
        batch_sizes: the size of each batch of an epoch, which counts where there is no ``weight``.
        reductions: as `TrainingProgram.reductions`.
    """
    weights = steps.get("weight", np.array([batch_sizes], np.float64))
    return EpochFigures(
        {name: _combined(steps[name], weights, reduction) for name, reduction in reductions.items()}
    )


def combine(
    batches: Mapping[str, HostArray], weights: HostArray, reductions: Mapping[str, Reduction]
) -> Record:
    """Combine the figures of some batches, each an array (batches,), to one figure each.

    A mean weighs each batch by its examples, or by the sum of their weights; a sum is added up; a
    `CombinedMetric` combines them itself.
    """
    return {
        name: float(_combined(batches[name], weights, reduction))
        for name, reduction in reductions.items()
    }


def _combined(values: HostArray, weights: HostArray, reduction: Reduction) -> HostArray:
    """Combine along the axis of the batches."""
    if callable(reduction):
        return reduction(values)
    if reduction == "mean":
        total = weights.sum(axis=-1, keepdims=True)
        values = values * (weights / np.where(total > 0.0, total, 1.0))  # some batches may weigh nothing
    return np.asarray(np.sum(values, axis=-1))
