"""The base class of metrics that are not means, and functions that metrics share."""

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from backends import Array, Backend, HostArray
from multinn import functional
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.losses.base import check_one_array

Metric = Callable[[Backend, Array, Array, Array | None], Array]
Reduction = str | Callable[[HostArray], HostArray]  # "mean", "sum", or CombinedMetric.combine


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
            weights: (batch,), (batch, ...) in the shape of the first axes of the entries, or None.
        """

    @abstractmethod
    def combine(self, batches: HostArray) -> HostArray:
        """Return the metric over all batches, on the host.

        Args:
            batches: (..., batches, *shape) float64; the first axes may be epochs.

        Returns:
            (...).
        """


def check_metrics(metrics: Mapping[str, Any], losses: Iterable[str]) -> None:
    """Raise TypeError unless these are metrics by name, ValueError if a name is reserved.

    Args:
        metrics: the metrics.
        losses: the names that the loss reports.
    """
    for name, metric in metrics.items():
        if not isinstance(name, str):
            raise TypeError(f"Trainer: expected a string as the name of a metric, got {name!r}")
        check_metric(f"Trainer: expected the metric {name!r}", metric)
    check_names(metrics, losses)


def check_metric(expected: str, metric: Any) -> None:
    """Raise TypeError unless this is a metric; the message begins with ``expected``."""
    if isinstance(metric, type) or not _takes_outputs(metric):
        raise TypeError(
            f"{expected} as a function of (backend, outputs, targets, weights), such as "
            f"multinn.accuracy or multinn.F1(), got {metric!r}"
        )


def reduction_of(metric: Metric) -> Reduction:
    """Return how the values of a metric for several batches are combined.

    Returns:
        "mean", weighted by the examples of each batch; "sum", as for a loss that is one; or the method
        `combine` of a `CombinedMetric`.
    """
    if isinstance(metric, CombinedMetric):
        return metric.combine
    owner = getattr(metric, "__self__", metric)  # the loss of ``SomeLoss().value``
    reduction: Reduction = getattr(owner, "reduction", "mean")
    return reduction


def mean_of_batches(values: HostArray, weights: HostArray) -> HostArray:
    """Return the mean over the last axis, the batches, on the host; 0 if all weights are 0.

    Args:
        values: (..., batches), the means of the batches.
        weights: (..., batches), the sum of the weights of each batch; one of weight 0 is left out.
    """
    total = weights.sum(axis=-1, keepdims=True)
    shares = weights / np.where(total > 0.0, total, 1.0)
    return np.asarray(np.sum(np.where(weights > 0.0, values, 0.0) * shares, axis=-1))


def check_names(names: Iterable[str], losses: Iterable[str]) -> None:
    """Raise ValueError if a metric has a name that is reserved for the history, or for a loss."""
    reserved = ("epoch", "weight", *losses)
    for name in names:
        if name in reserved or name.startswith("validation_"):
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
    """Raise ValueError unless the outputs are one array, and the targets have its shape."""
    check_one_array(name, outputs)
    if outputs.shape != targets.shape:
        raise ValueError(
            f"{name}: expected targets of shape {tuple(outputs.shape)}, as the outputs, got "
            f"{tuple(targets.shape)}{remedy}"
        )


def check_classes(name: str, outputs: Array, least: int, remedy: str = "") -> None:
    """Raise ValueError unless the outputs are (batch, ..., classes), with at least that many classes."""
    check_one_array(name, outputs)
    if outputs.ndim < 2 or outputs.shape[-1] < least:
        raise ValueError(
            f"{name}: expected scores of at least {least} classes along the last axis, got outputs of "
            f"shape {tuple(outputs.shape)}{remedy}"
        )


def weighted_mean(
    backend: Backend, values: Array, like: Array, weights: Array | None, shares: Array | None = None
) -> Array:
    """Return the mean of each example's booleans or floats, averaged over the examples by weight.

    With weights w of the entries, it is the mean of w times the value, divided by the mean of w, as a
    `multinn.losses.LossOfEntries` is.

    Args:
        backend: the backend of all arrays.
        values: (batch, ...), finite.
        like: an array; the result takes its dtype.
        weights: (batch,), (batch, ...) in the shape of the first axes of the values, or None.
        shares: (batch, ...), the share of each value in the mean of its example; None if all are equal.
    """
    xp = backend.xp
    values = xp.astype(values, like.dtype)
    if weights is not None and weights.ndim > 1:
        values = values * functional.aligned(backend, weights, values)
    if values.ndim > 1:
        axes = tuple(range(1, values.ndim))
        values = xp.mean(values, axis=axes) if shares is None else xp.sum(values * shares, axis=axes)
    if weights is None:
        return xp.mean(values)
    total = xp.sum(functional.example_weights(backend, weights))
    if weights.ndim == 1:
        values = values * weights
    return xp.sum(values) / xp.where(total > 0.0, total, xp.ones_like(total))
