"""The coefficient of determination."""

import math
from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, HostArray
from multinn.metrics.base import CombinedMetric, check_same_shape


@dataclass(frozen=True)
class R2(CombinedMetric):
    """R² = 1 - Σ w (t - y)² / Σ w (t - t̄)² of each output, averaged over the outputs.

    With n = Σ w, m the mean of t and S = Σ w (t - m)² of each batch, the sum over all batches is

        Σ w (t - t̄)² = Σ S + Σ n (m - t̄)²    where t̄ = Σ n m / Σ n,

    without cancellation where t̄ is far from 0. Source: T. F. Chan, G. H. Golub and R. J. LeVeque,
    Updating formulae and a pairwise algorithm for computing sample variances, 1979.
    Where all targets are equal, R² is 1 if all outputs are right, else 0. Whether they are equal is
    decided by their minimum and maximum, since rounding seldom leaves a sum of squares of exactly 0.

    Raises:
        ValueError: in a call, outputs and targets have different shapes.
    """

    def __call__(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> Array:
        """Return n, m, S, Σ w (t - y)², min t and max t of a batch, (6, outputs)."""
        xp = backend.xp
        check_same_shape("R2", outputs, targets)
        y, t = (xp.reshape(values, (values.shape[0], -1)) for values in (outputs, targets))
        w = xp.ones_like(y) if weights is None else xp.reshape(weights, (-1, 1)) * xp.ones_like(y)
        n = xp.sum(w, axis=0)
        m = xp.sum(w * t, axis=0) / xp.where(n > 0.0, n, xp.ones_like(n))
        squares, residuals = (xp.sum(w * (t - other) ** 2, axis=0) for other in (m, y))
        infinite = xp.full_like(w, math.inf)
        least = xp.min(xp.where(w > 0.0, t, infinite), axis=0)
        greatest = xp.max(xp.where(w > 0.0, t, -infinite), axis=0)
        return xp.stack([n, m, squares, residuals, least, greatest])

    def combine(self, batches: HostArray) -> HostArray:
        """Return R² over all batches."""
        n, m, squares, residuals, least, greatest = (batches[..., row, :] for row in range(6))
        mean = (n * m).sum(axis=-2, keepdims=True) / n.sum(axis=-2, keepdims=True)
        total = squares.sum(axis=-2) + (n * (m - mean) ** 2).sum(axis=-2)
        residual = residuals.sum(axis=-2)
        constant = np.where(residual > 0, 0.0, 1.0)
        varies = (greatest.max(axis=-2) > least.min(axis=-2)) & (total > 0)
        ratio = residual / np.where(varies, total, 1.0)
        return np.asarray(np.where(varies, 1.0 - ratio, constant).mean(axis=-1))
