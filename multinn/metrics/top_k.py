"""Top-k accuracy."""

from dataclasses import dataclass

from backends import Array, Backend
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.host.checks import check_integers
from multinn.metrics.base import check_classes, target_classes, weighted_mean


@dataclass(frozen=True)
class TopK(Hyperparameters):
    """The share of examples whose target class has one of the k largest outputs.

    Among equal outputs, the class of the lower index wins, so for k = 1 this is `accuracy`.

    Attributes:
        k: 1 or more.

    Raises:
        TypeError, ValueError: k is not an integer of 1 or more; in a call, there are k classes or fewer.
    """

    k: int = 5

    def __post_init__(self) -> None:
        check_integers(k=self.k)

    def __call__(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> Array:
        """Return the weighted mean over the examples, with the arguments of `accuracy`."""
        xp = backend.xp
        check_classes("TopK", outputs, self.k + 1)
        targets = target_classes(backend, outputs, targets)
        labels = targets[..., None]
        every_class = xp.arange(outputs.shape[-1], dtype=targets.dtype)
        of_target = xp.where(every_class == labels, outputs, xp.zeros_like(outputs))
        score = xp.sum(of_target, axis=-1, keepdims=True)
        ahead = (outputs > score) | ((outputs == score) & (every_class < labels))
        rank = xp.sum(xp.astype(ahead, outputs.dtype), axis=-1)
        return weighted_mean(backend, rank < self.k, outputs, weights)
