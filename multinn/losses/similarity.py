"""The cosine similarity as a loss."""

from dataclasses import dataclass

from backends import Array, Backend, HostArray, Shape
from multinn.losses.base import LossOfEntries, check_several


@dataclass(frozen=True)
class CosineSimilarity(LossOfEntries):
    """l = 1 - cos(y, t), with cos(y, t) = y · t / (|y| |t|) along the last axis of y (batch, ..., n).

    With the unit vectors u = y / |y| and v = t / |t|, cos = u · v, and as ∂|y|/∂y = u,
    ∂cos/∂y = t / (|y| |t|) - (y · t) u / (|y|² |t|) = (v - cos u) / |y|, so ∂l/∂y = (cos u - v) / |y|.
    If y or t is zero, cos and the gradient are taken as 0. A vector counts as zero if all its entries
    are below the smallest normal number of the dtype. Vectors are divided by their largest entry first,
    so that no square overflows.
    """

    entry_axes = 1

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l of each vector, and (cos u - v) / |y|."""
        xp = backend.xp
        u, counts, sizes = _direction(backend, outputs)
        v, _, _ = _direction(backend, targets)
        cosine = xp.vecdot(u, v)
        gradient = cosine[..., None] * u - v
        for size in sizes:  # one after the other, as |y| may overflow
            gradient = gradient / size
        gradient = xp.where(counts, gradient, xp.zeros_like(gradient))
        return 1.0 - cosine, gradient

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check the shape: (examples, ..., n) as the outputs."""
        targets = super().prepare_targets(targets, output_shape, dtype)
        check_several("CosineSimilarity", output_shape, "a loss of numbers, such as MeanSquaredError")
        return targets


def _direction(backend: Backend, y: Array) -> tuple[Array, Array, tuple[Array, Array]]:
    """Return u, whether y is not zero, and two factors of |y|; where y is zero, 0, False, 1 and 1."""
    xp = backend.xp
    largest = xp.max(xp.abs(y), axis=-1, keepdims=True)
    counts = largest >= float(xp.finfo(y.dtype).smallest_normal)
    one = xp.ones_like(largest)
    largest = xp.where(counts, largest, one)
    scaled = xp.where(counts, y, xp.zeros_like(y)) / largest
    norm = xp.where(counts, xp.sqrt(xp.sum(scaled * scaled, axis=-1, keepdims=True)), one)
    return scaled / norm, counts, (norm, largest)
