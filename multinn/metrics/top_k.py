"""Shares of targets among the largest outputs."""

from dataclasses import dataclass

from backends import Array, Backend
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.host.checks import check_at_least_one
from multinn.metrics.base import target_classes, weighted_mean


@dataclass(frozen=True)
class TopK(Hyperparameters):
    """The share of examples whose target class has one of the k largest outputs.

    Of equal outputs, those of the first classes count as larger: for k = 1, it is `accuracy`.

    Attributes:
        k: 1 or more.

    Raises:
        TypeError, ValueError: k is no integer of 1 or more; in a call, there are k classes or fewer.
    """

    k: int = 5

    def __post_init__(self) -> None:
        check_at_least_one(k=self.k)

    def __call__(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> Array:
        """Return the weighted mean over the examples; arguments are those of `accuracy`."""
        xp = backend.xp
        classes = outputs.shape[-1] if outputs.ndim > 1 else 1
        if classes <= self.k:
            raise ValueError(
                f"TopK: expected scores of more than {self.k} classes along the last axis, got outputs "
                f"of shape {tuple(outputs.shape)}"
            )
        targets = target_classes(backend, outputs, targets)
        labels = targets[..., None]
        every_class = xp.arange(classes, dtype=targets.dtype)
        chosen = xp.where(every_class == labels, outputs, xp.zeros_like(outputs))
        score = xp.sum(chosen, axis=-1, keepdims=True)
        ahead = (outputs > score) | ((outputs == score) & (every_class < labels))
        rank = xp.sum(xp.astype(ahead, outputs.dtype), axis=-1)
        return weighted_mean(backend, rank < self.k, outputs, weights)
