"""The coefficient of determination."""

import math
from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, HostArray
from multinn import functional
from multinn.metrics.base import CombinedMetric, check_same_shape


@dataclass(frozen=True)
class R2(CombinedMetric):
    """R² = 1 - Σ w (t - y)² / Σ w (t - t̄)² of each output, averaged over the outputs.

    With n = Σ w, m the mean of t and S = Σ w (t - m)² of each batch, the sum over all batches is

        Σ w (t - t̄)² = Σ S + Σ n (m - t̄)²    where t̄ = Σ n m / Σ n,

    without cancellation where t̄ is far from 0. The mean that a batch computes, c, is rounded. With
    D = Σ w (t - c), the exact one is m = c + D / n, and S = Σ w (t - c)² - D² / n; both are computed in
    float64, over all batches.
    Sources: T. F. Chan, G. H. Golub and R. J. LeVeque, Updating formulae and a pairwise algorithm for
    computing sample variances, 1979, for the sums; the same authors, Algorithms for computing the sample
    variance, The American Statistician 37, 1983, for the correction by D.
    Where all targets are equal, R² is 1 if all outputs are right, else 0. Whether they are equal is
    decided by their minimum and maximum, since rounding seldom leaves a sum of squares of exactly 0.

    Raises:
        ValueError: in a call, outputs and targets have different shapes.
    """

    def __call__(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> Array:
        """Return n, c, D, Σ w (t - c)², Σ w (t - y)², min t and max t of a batch, (7, outputs)."""
        xp = backend.xp
        check_same_shape("R2", outputs, targets)
        w = xp.ones_like(outputs)
        w = w if weights is None else functional.aligned(backend, weights, outputs) * w
        y, t, w = (xp.reshape(values, (values.shape[0], -1)) for values in (outputs, targets, w))
        n = xp.sum(w, axis=0)
        t = functional.counted(backend, t, w)
        c = xp.sum(w * t, axis=0) / xp.where(n > 0.0, n, xp.ones_like(n))
        from_c, error = (functional.counted(backend, t - other, w) for other in (c, y))
        sums = [xp.sum(w * each, axis=0) for each in (from_c, from_c**2, error**2)]
        infinite = xp.full_like(w, math.inf)
        least = xp.min(xp.where(w > 0.0, t, infinite), axis=0)
        greatest = xp.max(xp.where(w > 0.0, t, -infinite), axis=0)
        return xp.stack([n, c, *sums, least, greatest])

    def combine(self, batches: HostArray) -> HostArray:
        """Return R² over all batches."""
        n, c, D, squares, residuals, least, greatest = (batches[..., row, :] for row in range(7))
        shift = D / np.where(n > 0.0, n, 1.0)
        m = c + shift
        mean = (n * m).sum(axis=-2, keepdims=True) / n.sum(axis=-2, keepdims=True)
        total = (squares - D * shift + n * (m - mean) ** 2).sum(axis=-2)
        residual = residuals.sum(axis=-2)
        constant = np.where(residual > 0, 0.0, 1.0)
        varies = (greatest.max(axis=-2) > least.min(axis=-2)) & (total > 0)
        ratio = residual / np.where(varies, total, 1.0)
        return np.asarray(np.where(varies, 1.0 - ratio, constant).mean(axis=-1))
