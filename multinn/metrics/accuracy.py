"""Accuracy: the share of right predictions."""

from dataclasses import dataclass

from backends import Array, Backend
from multinn import functional
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.host.checks import check_ignored_class
from multinn.metrics.base import check_classes, check_same_shape, target_classes, weighted_mean


def accuracy(backend: Backend, outputs: Array, targets: Array, weights: Array | None = None) -> Array:
    """Return the share of examples whose largest output is at the target class.

    Args:
        backend: the backend of all arrays.
        outputs: (batch, ..., classes) scores: logits or probabilities.
        targets: (batch, ...) integer classes, or (batch, ..., classes) probabilities.
        weights: (batch,), (batch, ...) in the shape of the first axes of the targets, or None.

    Raises:
        ValueError: there are fewer than 2 classes.
    """
    hits, _ = _hits(backend, outputs, targets)
    return weighted_mean(backend, hits, outputs, weights)


@dataclass(frozen=True)
class Accuracy(Hyperparameters):
    """`accuracy` without the positions whose target is the ignored class.

    The accuracy of an example is that of its other positions, or 0 if there are none, as the loss is
    with ``SoftmaxCrossEntropy(ignored_class=...)``. A weight of 0 leaves such an example out.

    Attributes:
        ignored_class: an integer such as -1; None gives `accuracy`.

    Raises:
        ValueError: ignored_class is not a 32-bit integer; in a call, there are fewer than 2 classes.
    """

    ignored_class: int | None = None

    def __post_init__(self) -> None:
        check_ignored_class("Accuracy", self.ignored_class)

    def __call__(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> Array:
        """Return the weighted mean over the examples, with the arguments of `accuracy`."""
        if self.ignored_class is None:
            return accuracy(backend, outputs, targets, weights)
        hits, classes = _hits(backend, outputs, targets)
        shares = functional.shares(backend, classes != self.ignored_class, like=outputs)
        return weighted_mean(backend, hits, outputs, weights, shares)


def _hits(backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
    """Return whether the largest output is at the target class, and the target classes."""
    xp = backend.xp
    check_classes("accuracy", outputs, 2, "; for one logit use binary_accuracy")
    targets = target_classes(backend, outputs, targets)
    predicted = xp.astype(xp.argmax(outputs, axis=-1), targets.dtype)
    return predicted == targets, targets


def binary_accuracy(
    backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
) -> Array:
    """Return the share of logits on the right side of 0, for targets of 0 and 1 in the same shape.

    Raises:
        ValueError: outputs and targets have different shapes.
    """
    check_same_shape("binary_accuracy", outputs, targets)
    return weighted_mean(backend, (outputs > 0.0) == (targets > 0.5), outputs, weights)
