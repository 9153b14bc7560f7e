"""Metrics: functions of outputs and targets that are reported, not minimized.

A metric is called as ``metric(backend, outputs, targets, weights)`` and returns the weighted mean over
the examples of a batch, an array without axes. ``SomeLoss().value`` is one too.
"""

from collections.abc import Callable

from backends import Array, Backend

Metric = Callable[[Backend, Array, Array, Array | None], Array]


def accuracy(backend: Backend, outputs: Array, targets: Array, weights: Array | None = None) -> Array:
    """Return the share of examples whose largest output is at the target class.

    Args:
        backend: whose arrays the others are.
        outputs: (batch, ..., classes) scores: logits or probabilities.
        targets: (batch, ...) integer classes, or (batch, ..., classes) probabilities.
        weights: (batch,) or None.

    Raises:
        ValueError: there are fewer than 2 classes.
    """
    xp = backend.xp
    if outputs.ndim < 2 or outputs.shape[-1] < 2:
        raise ValueError(
            "accuracy: expected scores of at least 2 classes along the last axis, got outputs of shape "
            f"{tuple(outputs.shape)}; for one logit use binary_accuracy"
        )
    if targets.ndim == outputs.ndim:
        targets = xp.argmax(targets, axis=-1)
    predicted = xp.astype(xp.argmax(outputs, axis=-1), targets.dtype)
    return _weighted_mean(backend, predicted == targets, outputs, weights)


def binary_accuracy(
    backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
) -> Array:
    """Return the share of logits on the right side of 0, for targets of 0 and 1 in the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    if outputs.shape != targets.shape:
        raise ValueError(
            f"binary_accuracy: expected targets of shape {tuple(outputs.shape)}, as the outputs, "
            f"got {tuple(targets.shape)}"
        )
    return _weighted_mean(backend, (outputs > 0.0) == (targets > 0.5), outputs, weights)


def _weighted_mean(backend: Backend, hits: Array, like: Array, weights: Array | None) -> Array:
    xp = backend.xp
    values = xp.astype(hits, like.dtype)
    if values.ndim > 1:
        values = xp.mean(values, axis=tuple(range(1, values.ndim)))
    if weights is None:
        return xp.mean(values)
    total = xp.sum(weights)
    return xp.sum(values * weights) / xp.where(total > 0.0, total, xp.ones_like(total))
