"""Precision, recall and F1: figures from how often classes are predicted, and rightly."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, HostArray
from multinn import functional
from multinn.metrics.base import CombinedMetric, target_classes

_AVERAGES = ("binary", "macro", "micro")


@dataclass(frozen=True)
class ClassCounts(CombinedMetric):
    """The base of figures from three counts a class: predicted rightly, predicted, and there.

    Examples count by their weights. A figure of 0 / 0 is 0.

    Attributes:
        average: "binary", outputs are logits, 1 is predicted above 0, and the figure is that of class 1,
            with targets of 0 and 1 in the same shape; "macro", outputs are scores (batch, ..., classes),
            and the figure is the mean of those of all classes that are there or predicted; "micro",
            likewise, but the counts of all classes are added up first.

    Raises:
        ValueError: average is something else; in a call, the shapes do not fit it.
    """

    average: str = "binary"

    def __post_init__(self) -> None:
        if self.average not in _AVERAGES:
            raise ValueError(
                f"{type(self).__name__}: expected the average 'binary', 'macro' or 'micro', "
                f"got {self.average!r}"
            )

    @abstractmethod
    def _figure(self, right: HostArray, predicted: HostArray, there: HostArray) -> HostArray:
        """Return the figure from counts."""

    def __call__(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> Array:
        """Return the counts of a batch, (3, classes)."""
        xp = backend.xp
        predicted, there = self._one_hot(backend, outputs, targets)
        right = predicted * there
        counts = (right, predicted, there)
        if weights is not None:
            counts = tuple(count * xp.reshape(weights, (-1, 1, 1)) for count in counts)
        return xp.stack([xp.sum(count, axis=(0, 1)) for count in counts])

    def combine(self, batches: HostArray) -> HostArray:
        """Return the figure from the sums of the counts."""
        counts = batches.sum(axis=-3)
        if self.average == "micro":
            counts = counts.sum(axis=-1, keepdims=True)
        right, predicted, there = (counts[..., row, :] for row in range(3))
        known = predicted + there > 0
        figures = np.where(known, self._figure(right, predicted, there), 0.0)
        return np.asarray(_ratio(figures.sum(axis=-1), known.sum(axis=-1)))

    def _one_hot(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return which classes are predicted, and which are there, each (batch, positions, classes)."""
        xp = backend.xp
        name, given = type(self).__name__, tuple(outputs.shape)
        if self.average == "binary":
            if given != tuple(targets.shape):
                raise ValueError(
                    f"{name}: expected targets of shape {given}, as the outputs, got "
                    f"{tuple(targets.shape)}; for scores of classes use average='macro'"
                )
            hot = (xp.astype(outputs > 0.0, outputs.dtype), xp.astype(targets > 0.5, outputs.dtype))
            return tuple(xp.reshape(values, (given[0], -1, 1)) for values in hot)
        if len(given) < 2 or given[-1] < 2:
            raise ValueError(
                f"{name}: expected scores of at least 2 classes along the last axis, got outputs "
                f"of shape {given}; for logits of one class use average='binary'"
            )
        targets = target_classes(backend, outputs, targets)
        labels = (xp.argmax(outputs, axis=-1), targets)
        hot = tuple(functional.one_hot(backend, each, given[-1], outputs) for each in labels)
        return tuple(xp.reshape(values, (given[0], -1, given[-1])) for values in hot)


@dataclass(frozen=True)
class Precision(ClassCounts):
    """How much of what is predicted as a class is of that class.

    Attributes:
        average: as in `ClassCounts`.
    """

    def _figure(self, right: HostArray, predicted: HostArray, there: HostArray) -> HostArray:
        return _ratio(right, predicted)


@dataclass(frozen=True)
class Recall(ClassCounts):
    """How much of a class is predicted as that class.

    Attributes:
        average: as in `ClassCounts`.
    """

    def _figure(self, right: HostArray, predicted: HostArray, there: HostArray) -> HostArray:
        return _ratio(right, there)


@dataclass(frozen=True)
class F1(ClassCounts):
    """The harmonic mean of precision and recall.

    2 / (1 / P + 1 / R) with P = right / predicted and R = right / there, which is
    2 right / (predicted + there).
    Source: C. J. van Rijsbergen, Information Retrieval, 1979, chapter 7, with equal importance.

    Attributes:
        average: as in `ClassCounts`.
    """

    def _figure(self, right: HostArray, predicted: HostArray, there: HostArray) -> HostArray:
        return _ratio(2.0 * right, predicted + there)


def _ratio(part: HostArray, whole: HostArray) -> HostArray:
    return np.asarray(part / np.where(whole > 0, whole, 1.0))
