"""Precision, recall and F1."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, HostArray
from multinn import functional
from multinn.descriptions.bounds import check_choice
from multinn.metrics.base import CombinedMetric, check_classes, check_same_shape, target_classes


@dataclass(frozen=True)
class ClassCounts(CombinedMetric):
    """The base of metrics from three counts per class: true positives, predicted, and present.

    Each example, or each position, is counted with its weight. A ratio of 0 / 0 is 0.

    Attributes:
        average: "binary": outputs are logits, those above 0 predict class 1, targets are 0 or 1 in the
            same shape, and the metric is that of class 1. "macro": outputs are scores
            (batch, ..., classes), and the metric is the mean over all classes that are present or
            predicted. "micro": as "macro", but the counts of all classes are summed first.

    Raises:
        ValueError: average is something else; in a call, the shapes do not fit it.
    """

    average: str = "binary"

    def __post_init__(self) -> None:
        check_choice(self, "average", "binary", "macro", "micro")

    @abstractmethod
    def _metric(self, right: HostArray, predicted: HostArray, present: HostArray) -> HostArray:
        """Return the metric of each class."""

    def __call__(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> Array:
        """Return the counts of a batch, (3, classes)."""
        xp = backend.xp
        predicted, present = self._one_hot(backend, outputs, targets)
        right = predicted * present
        counts = (right, predicted, present)
        if weights is not None:
            entries = outputs if self.average == "binary" else outputs[..., 0]
            weights = functional.aligned(backend, weights, entries)
            of_positions = xp.reshape(xp.broadcast_to(weights, entries.shape), predicted[..., :1].shape)
            counts = tuple(count * of_positions for count in counts)
        return xp.stack([xp.sum(count, axis=(0, 1)) for count in counts])

    def combine(self, batches: HostArray) -> HostArray:
        """Return the metric from the sums of the counts."""
        counts = batches.sum(axis=-3)
        if self.average == "micro":
            counts = counts.sum(axis=-1, keepdims=True)
        right, predicted, present = (counts[..., row, :] for row in range(3))
        known = predicted + present > 0
        metrics = np.where(known, self._metric(right, predicted, present), 0.0)
        return np.asarray(_ratio(metrics.sum(axis=-1), known.sum(axis=-1)))

    def _one_hot(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return which classes are predicted and which are present, each (batch, positions, classes)."""
        xp = backend.xp
        name = type(self).__name__
        if self.average == "binary":
            check_same_shape(name, outputs, targets, "; for scores of classes use average='macro'")
            hot = (xp.astype(outputs > 0.0, outputs.dtype), xp.astype(targets > 0.5, outputs.dtype))
            return tuple(xp.reshape(values, (values.shape[0], -1, 1)) for values in hot)
        check_classes(name, outputs, 2, "; for logits of one class use average='binary'")
        targets = target_classes(backend, outputs, targets)
        labels = (xp.argmax(outputs, axis=-1), targets)
        hot = tuple(functional.one_hot(backend, each, outputs.shape[-1], outputs) for each in labels)
        return tuple(xp.reshape(values, (outputs.shape[0], -1, outputs.shape[-1])) for values in hot)


@dataclass(frozen=True)
class Precision(ClassCounts):
    """The share of right predictions among all predictions of a class.

    Attributes:
        average: as in `ClassCounts`.
    """

    def _metric(self, right: HostArray, predicted: HostArray, present: HostArray) -> HostArray:
        return _ratio(right, predicted)


@dataclass(frozen=True)
class Recall(ClassCounts):
    """The share of a class that is predicted as that class.

    Attributes:
        average: as in `ClassCounts`.
    """

    def _metric(self, right: HostArray, predicted: HostArray, present: HostArray) -> HostArray:
        return _ratio(right, present)


@dataclass(frozen=True)
class F1(ClassCounts):
    """The harmonic mean of precision and recall.

    2 / (1 / P + 1 / R) with P = right / predicted and R = right / present, which is
    2 right / (predicted + present).
    Source: C. J. van Rijsbergen, Information Retrieval, 1979, chapter 7, with equal importance.

    Attributes:
        average: as in `ClassCounts`.
    """

    def _metric(self, right: HostArray, predicted: HostArray, present: HostArray) -> HostArray:
        return _ratio(2.0 * right, predicted + present)


def _ratio(part: HostArray, whole: HostArray) -> HostArray:
    return np.asarray(part / np.where(whole > 0, whole, 1.0))
