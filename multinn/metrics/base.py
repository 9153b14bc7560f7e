"""What metrics are, and what their files share."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from backends import Array, Backend
from multinn.hyperparameters import Hyperparameters

HostArray = np.ndarray[Any, np.dtype[Any]]
Metric = Callable[[Backend, Array, Array, Array | None], Array]


class CombinedMetric(Hyperparameters):
    """The base of metrics that are no mean over examples: batches give an array, which is combined."""

    @abstractmethod
    def __call__(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> Array:
        """Return what the batch contributes, an array of one shape for batches of all sizes.

        Args:
            backend: whose arrays the others are.
            outputs: (batch, ...).
            targets: (batch, ...).
            weights: (batch,) or None.
        """

    @abstractmethod
    def combine(self, batches: HostArray) -> HostArray:
        """Return the figure over all batches, on the host.

        Args:
            batches: (..., batches, *shape) float64, where the first axes may be epochs.

        Returns:
            (...).
        """


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError if a metric has a name that the history uses itself."""
    for name in names:
        if name in ("loss", "epoch", "weight") or name.startswith("validation_"):
            raise ValueError(
                f"Trainer: the history uses the name {name!r} itself: choose another for the metric"
            )


def weighted_mean(backend: Backend, values: Array, like: Array, weights: Array | None) -> Array:
    """Return the mean of the examples' means, of booleans or of floats."""
    xp = backend.xp
    values = xp.astype(values, like.dtype)
    if values.ndim > 1:
        values = xp.mean(values, axis=tuple(range(1, values.ndim)))
    if weights is None:
        return xp.mean(values)
    total = xp.sum(weights)
    return xp.sum(values * weights) / xp.where(total > 0.0, total, xp.ones_like(total))
