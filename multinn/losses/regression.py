"""Losses of numbers: squared, absolute, and in between."""

import math
from dataclasses import dataclass

from backends import Array, Backend
from multinn.losses.base import Loss, mean_outputs, outputs_per_example, sum_outputs


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """l = Σ_j (y_j - t_j)² / m.

    ∂l/∂y_j = 2 (y_j - t_j) / m.
    """

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l, and 2 (y - t) / m."""
        error = outputs - targets
        return mean_outputs(backend, error * error), error * (2.0 / outputs_per_example(error))


@dataclass(frozen=True)
class HalfSquaredError(Loss):
    """L = Σ_n w_n Σ_j (y_nj - t_nj)² / 2: summed over outputs and examples, not averaged.

    ∂l/∂y_j = y_j - t_j: the loss whose gradient is the bare error, as textbooks derive backpropagation.
    """

    reduction = "sum"

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l, and y - t."""
        error = outputs - targets
        return sum_outputs(backend, 0.5 * error * error), error


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """l = Σ_j |y_j - t_j| / m.

    ∂l/∂y_j = sign(y_j - t_j) / m; at 0, where it is undefined, 0 is taken.
    """

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l, and sign(y - t) / m."""
        xp = backend.xp
        error = outputs - targets
        return mean_outputs(backend, xp.abs(error)), xp.sign(error) * (1.0 / outputs_per_example(error))


@dataclass(frozen=True)
class Huber(Loss):
    """l = Σ_j h(y_j - t_j) / m, where h(e) is e² / 2 for |e| <= δ, else δ (|e| - δ / 2).

    h'(e) is e for |e| <= δ, else δ sign(e): e clipped to [-δ, δ]. With c the clipped e,
    h(e) = c (e - c / 2), in both cases.
    Source: P. J. Huber, Robust estimation of a location parameter, 1964.

    Raises:
        ValueError: delta is not positive and finite.
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.delta < math.inf:
            raise ValueError(f"Huber: expected a positive, finite delta, got {self.delta}")

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l, and the clipped error / m."""
        xp = backend.xp
        error = outputs - targets
        clipped = xp.minimum(xp.maximum(error, -self.delta), self.delta)
        values = clipped * (error - 0.5 * clipped)
        return mean_outputs(backend, values), clipped * (1.0 / outputs_per_example(error))
