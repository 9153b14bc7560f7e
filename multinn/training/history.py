"""The history of a run, and the metrics of its epochs, combined from steps and batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from backends import HostArray, Tree
from multinn.descriptions.html import paragraph
from multinn.descriptions.plots import plot_records
from multinn.descriptions.records import curves_of, table_of
from multinn.host.extras import package
from multinn.host.text import figures
from multinn.metrics.base import Reduction, mean_of_batches

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Record = dict[str, float]
Columns = dict[str, HostArray]


class History(list[Record]):
    """A list of records, one for each reported epoch: ``epoch``, ``loss``, metrics, validation_loss, ...

    A name in place of an index gives that column. `print` shows a table, notebooks show curves.

    Attributes:
        losses: the loss of every epoch, reported or not.
        interrupted: whether Ctrl-C ended the run.
        stopped: whether a callback ended the run.

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"], history[-1]["epoch"]
    ([0.5, 0.25], 2)
    >>> history
    History of 2 records
    epoch  loss
        1   0.5
        2  0.25
    """

    losses: list[float]
    interrupted: bool
    stopped: bool

    def __init__(self, records: list[Record] | None = None) -> None:
        given: Any = [] if records is None else records
        if not (isinstance(given, Sequence) and all(isinstance(each, Mapping) for each in given)):
            raise TypeError(f"History: expected records: a list of dicts, got {given!r:.100}")
        super().__init__(given)
        self.losses = []
        self.interrupted = False
        self.stopped = False

    @overload  # type: ignore[override]
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    @overload
    def __getitem__(self, index: str) -> list[float]: ...
    def __getitem__(self, index: int | slice | str) -> Record | list[Record] | list[float]:
        """Return a record, a slice of records, or the column of that name.

        Raises:
            KeyError: no record has that name.
        """
        if not isinstance(index, str):
            return super().__getitem__(index)
        if not any(index in record for record in self):
            raise KeyError(f"{index!r} was not reported, only {sorted(set().union(*self))}")
        return [record[index] for record in self if index in record]

    def plot(self) -> "list[Axes]":
        """Draw the loss and each metric by epoch in a new figure of Matplotlib.

        Each has a panel, with the curve of the training and, dashed, that of the validation. The
        vertical axis is logarithmic if the values are positive and their ratio is 100 or more.

        Returns:
            The axes of the panels; ``axes[0].figure`` is the figure.

        Raises:
            ImportError: Matplotlib is not installed.
            ValueError: there are no records.
        """
        return plot_records(self)

    def to_pandas(self) -> Any:
        """Return a DataFrame of pandas, with a row for each record and a column for each name.

        Raises:
            ImportError: pandas is not installed.
        """
        with package("pandas", "History.to_pandas needs pandas"):
            from pandas import DataFrame  # type: ignore[import-untyped]
        return DataFrame(list(self))

    def __repr__(self) -> str:
        return f"{self._title}\n{table_of(self)}".rstrip()

    def _repr_html_(self) -> str:
        last = figures(self[-1]) if self else ""
        return f"<div>{paragraph(self._title)}{curves_of(self)}{paragraph(last)}</div>"

    @property
    def _title(self) -> str:
        count = f"{len(self)} record{'s' * (len(self) != 1)}" if self else "no records"
        end = ", interrupted" * self.interrupted + ", stopped by a callback" * self.stopped
        return f"History of {count}{end}"


@dataclass(frozen=True)
class EpochMetrics:
    """The loss and the metrics of some epochs.

    Attributes:
        columns: (epochs,) float64 arrays by name: ``loss`` and the metrics.
    """

    columns: Columns

    def record(self, index: int) -> Record:
        """Return the loss and the metrics of one epoch."""
        return {name: float(column[index]) for name, column in self.columns.items()}

    def records(self, epochs: Sequence[int], indices: Sequence[int] | HostArray) -> list[Record]:
        """Return the records of some of the epochs, each with its number as ``epoch``.

        Args:
            epochs: the numbers of the epochs.
            indices: their indices in the columns.
        """
        records: list[Record] = [{"epoch": epoch} for epoch in epochs]
        at = np.asarray(indices, np.int64)
        for name, column in self.columns.items():
            for record, value in zip(records, column[at].tolist(), strict=True):
                record[name] = value
        return records


def step_columns(records: Tree, count: int | None = None) -> Columns:
    """Join the records of full and of smaller batches, as `TrainingProgram.run` returns them.

    Args:
        records: the records.
        count: the number of steps of an epoch whose records count, as the others are arbitrary numbers;
            None for all.

    Returns:
        (epochs, steps) float64 arrays by name, in the order of the steps. The arrays of a
        `CombinedMetric` have its own axes after these.
    """
    full, tail = records
    if tail is not None:
        full = {
            name: np.concatenate([values, tail[name][:, None]], axis=1) for name, values in full.items()
        }
    return {name: values[:, :count].astype(np.float64) for name, values in full.items()}


def join(columns: Sequence[Columns], axis: int) -> Columns:
    """Concatenate columns along an axis."""
    return {name: np.concatenate([each[name] for each in columns], axis=axis) for name in columns[0]}


def combine_steps(
    steps: Mapping[str, HostArray], batch_sizes: Sequence[int], reductions: Mapping[str, Reduction]
) -> EpochMetrics:
    """Return the loss and the metrics of epochs, combined from their steps.

    Args:
        steps: from `step_columns`.
        batch_sizes: the size of each batch of an epoch; weights the batches if ``steps`` has no
            ``weight``.
        reductions: from `TrainingProgram.reductions`.
    """
    weights = steps.get("weight", np.array([batch_sizes], np.float64))
    return EpochMetrics(
        {name: _combine(steps[name], weights, reduction) for name, reduction in reductions.items()}
    )


def combine_batches(
    batches: Mapping[str, HostArray], weights: HostArray, reductions: Mapping[str, Reduction]
) -> Record:
    """Combine the loss and the metrics of batches.

    A mean weights each batch by the weights of its examples, a sum adds the batches up, and a
    `CombinedMetric` combines the batches itself.

    Args:
        batches: (batches,) arrays by name.
        weights: (batches,), the sum of the weights of each batch.
        reductions: from `TrainingProgram.reductions`.
    """
    return {
        name: float(_combine(batches[name], weights, reduction))
        for name, reduction in reductions.items()
    }


def _combine(values: HostArray, weights: HostArray, reduction: Reduction) -> HostArray:
    """Combine along the axis of the batches."""
    if callable(reduction):
        return reduction(values)
    return (
        mean_of_batches(values, weights) if reduction == "mean" else np.asarray(np.sum(values, axis=-1))
    )
