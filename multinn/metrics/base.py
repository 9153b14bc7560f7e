"""The base class of metrics that are not means, and functions that metrics share."""

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from backends import Array, Backend, HostArray
from multinn.descriptions.hyperparameters import Hyperparameters

Metric = Callable[[Backend, Array, Array, Array | None], Array]


class CombinedMetric(Hyperparameters):
    """The base of metrics that are not a mean over examples: they combine one array per batch."""

    @abstractmethod
    def __call__(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> Array:
        """Return an array for the batch, whose shape does not depend on the batch size.

        Args:
            backend: the backend of all arrays.
            outputs: (batch, ...).
            targets: (batch, ...).
            weights: (batch,) or None.
        """

    @abstractmethod
    def combine(self, batches: HostArray) -> HostArray:
        """Return the metric over all batches, on the host.

        Args:
            batches: (..., batches, *shape) float64; the first axes may be epochs.

        Returns:
            (...).
        """


def check_metrics(metrics: Mapping[str, Any]) -> None:
    """Raise TypeError unless these are metrics by name, ValueError if a name is reserved."""
    for name, metric in metrics.items():
        if not isinstance(name, str):
            raise TypeError(f"Trainer: expected a string as the name of a metric, got {name!r}")
        if isinstance(metric, type) or not _takes_outputs(metric):
            raise TypeError(
                f"Trainer: expected the metric {name!r} as a function of (backend, outputs, targets, "
                f"weights), such as multinn.accuracy or multinn.F1(), got {metric!r}"
            )
    check_names(metrics)


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError if a metric has a name that is reserved for the history."""
    for name in names:
        if name in ("loss", "epoch", "weight") or name.startswith("validation_"):
            raise ValueError(
                f"Trainer: the name {name!r} is reserved for the history: choose another for the metric"
            )


def _takes_outputs(metric: Any) -> bool:
    """Return whether ``metric`` can be called with four arguments; True if that is unknown."""
    if not callable(metric):
        return False
    try:
        inspect.signature(metric).bind(None, None, None, None)
    except TypeError:
        return False
    except ValueError:  # some functions written in C have no signature
        return True
    return True


def target_classes(backend: Backend, outputs: Array, targets: Array) -> Array:
    """Return integer classes: the targets, or the most probable classes if they are probabilities."""
    return backend.xp.argmax(targets, axis=-1) if targets.ndim == outputs.ndim else targets


def check_same_shape(name: str, outputs: Array, targets: Array, remedy: str = "") -> None:
    """Raise ValueError unless the targets have the outputs' shape."""
    if outputs.shape != targets.shape:
        raise ValueError(
            f"{name}: expected targets of shape {tuple(outputs.shape)}, as the outputs, got "
            f"{tuple(targets.shape)}{remedy}"
        )


def check_classes(name: str, outputs: Array, least: int, remedy: str = "") -> None:
    """Raise ValueError unless the outputs are (batch, ..., classes), with at least that many classes."""
    if outputs.ndim < 2 or outputs.shape[-1] < least:
        raise ValueError(
            f"{name}: expected scores of at least {least} classes along the last axis, got outputs of "
            f"shape {tuple(outputs.shape)}{remedy}"
        )


def weighted_mean(backend: Backend, values: Array, like: Array, weights: Array | None) -> Array:
    """Return the mean of each example's booleans or floats, averaged over the examples by weight."""
    xp = backend.xp
    values = xp.astype(values, like.dtype)
    if values.ndim > 1:
        values = xp.mean(values, axis=tuple(range(1, values.ndim)))
    if weights is None:
        return xp.mean(values)
    total = xp.sum(weights)
    return xp.sum(values * weights) / xp.where(total > 0.0, total, xp.ones_like(total))
