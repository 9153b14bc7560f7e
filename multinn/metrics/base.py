"""What metrics are, and what their files share."""

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from backends import Array, Backend, HostArray
from multinn.descriptions.hyperparameters import Hyperparameters

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


def check_metrics(metrics: Mapping[str, Any]) -> None:
    """Raise TypeError if one is not a function of a metric, ValueError if one has an impossible name."""
    for name, metric in metrics.items():
        if not isinstance(name, str):
            raise TypeError(f"Trainer: expected the name of a metric as a text, got {name!r}")
        if isinstance(metric, type) or not _takes_outputs(metric):
            raise TypeError(
                f"Trainer: expected the metric {name!r} as a function of (backend, outputs, targets, "
                f"weights), such as multinn.accuracy or multinn.F1(), got {metric!r}"
            )
    check_names(metrics)


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError if a metric has a name that the history uses itself."""
    for name in names:
        if name in ("loss", "epoch", "weight") or name.startswith("validation_"):
            raise ValueError(
                f"Trainer: the history uses the name {name!r} itself: choose another for the metric"
            )


def _takes_outputs(metric: Any) -> bool:
    """Tell whether it can be called as a metric is, as far as that is known."""
    if not callable(metric):
        return False
    try:
        inspect.signature(metric).bind(None, None, None, None)
    except TypeError:
        return False
    except ValueError:  # some of what is written in C has no signature
        return True
    return True


def target_classes(backend: Backend, outputs: Array, targets: Array) -> Array:
    """Return targets as classes: of a distribution over those of the outputs, the most probable."""
    return backend.xp.argmax(targets, axis=-1) if targets.ndim == outputs.ndim else targets


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
