"""Shares of right answers."""

from dataclasses import dataclass

from backends import Array, Backend
from multinn import functional
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.host.checks import check_ignored_class
from multinn.metrics.base import target_classes, weighted_mean


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
    hits, _ = _hits(backend, outputs, targets)
    return weighted_mean(backend, hits, outputs, weights)


@dataclass(frozen=True)
class Accuracy(Hyperparameters):
    """`accuracy`, in which positions whose target is the ignored class count nothing.

    As with ``SoftmaxCrossEntropy(ignored_class=...)``, the share of an example is that of its other
    positions, and 0 if there are none; such examples can be left out by a weight of 0.

    Attributes:
        ignored_class: such as -1, or None, with which it is `accuracy`.

    Raises:
        ValueError: ignored_class is no integer of 32 bits; in a call, there are fewer than 2 classes.
    """

    ignored_class: int | None = None

    def __post_init__(self) -> None:
        check_ignored_class("Accuracy", self.ignored_class)

    def __call__(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> Array:
        """Return the weighted mean over the examples; arguments are those of `accuracy`."""
        if self.ignored_class is None:
            return accuracy(backend, outputs, targets, weights)
        hits, classes = _hits(backend, outputs, targets)
        shares = functional.shares(backend, classes != self.ignored_class, like=outputs)
        values = backend.xp.astype(hits, outputs.dtype) * shares
        by_example = backend.xp.sum(values, axis=tuple(range(1, values.ndim)))
        return weighted_mean(backend, by_example, outputs, weights)


def _hits(backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
    """Return whether the largest output is at the target class, and these classes."""
    xp = backend.xp
    if outputs.ndim < 2 or outputs.shape[-1] < 2:
        raise ValueError(
            "accuracy: expected scores of at least 2 classes along the last axis, got outputs of shape "
            f"{tuple(outputs.shape)}; for one logit use binary_accuracy"
        )
    targets = target_classes(backend, outputs, targets)
    predicted = xp.astype(xp.argmax(outputs, axis=-1), targets.dtype)
    return predicted == targets, targets


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
    return weighted_mean(backend, (outputs > 0.0) == (targets > 0.5), outputs, weights)
