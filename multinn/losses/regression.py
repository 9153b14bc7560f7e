"""Losses of numbers: squared and absolute errors, Huber, and Poisson for counts."""

from dataclasses import dataclass

from backends import Array, Backend, HostArray, Shape
from multinn import functional
from multinn.descriptions.bounds import check_positive
from multinn.losses.base import LossOfEntries, check_values


@dataclass(frozen=True)
class MeanSquaredError(LossOfEntries):
    """l = Σ_j (y_j - t_j)² / m.

    ∂l/∂y_j = 2 (y_j - t_j) / m.
    """

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return (y - t)², and 2 (y - t)."""
        error = outputs - targets
        return error * error, error + error  # XLA would merge 2.0 with other constant factors


@dataclass(frozen=True)
class HalfSquaredError(LossOfEntries):
    """L = Σ_n w_n Σ_j (y_nj - t_nj)² / 2: summed over outputs and examples, not averaged.

    ∂l/∂y_j = y_j - t_j: the loss whose gradient is the bare error, as textbooks derive backpropagation.
    """

    reduction = "sum"

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return (y - t)² / 2, and y - t."""
        error = outputs - targets
        return 0.5 * error * error, error


@dataclass(frozen=True)
class MeanAbsoluteError(LossOfEntries):
    """l = Σ_j |y_j - t_j| / m.

    ∂l/∂y_j = sign(y_j - t_j) / m; at 0, it is undefined and taken as 0.
    """

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return |y - t|, and sign(y - t)."""
        xp = backend.xp
        error = outputs - targets
        return xp.abs(error), xp.sign(error)


@dataclass(frozen=True)
class Huber(LossOfEntries):
    """l = Σ_j h(y_j - t_j) / m, where h(e) is e² / 2 for |e| <= δ, else δ (|e| - δ / 2).

    h'(e) is e for |e| <= δ, else δ sign(e), which is e clipped to [-δ, δ]. With c the clipped e,
    h(e) = c (e - c / 2) in both cases.
    Source: P. J. Huber, Robust estimation of a location parameter, 1964.

    Raises:
        ValueError: delta is not positive and finite.
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, "delta")

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return h(y - t), and the clipped error."""
        xp = backend.xp
        error = outputs - targets
        clipped = xp.minimum(xp.maximum(error, -self.delta), self.delta)
        values = clipped * (error - 0.5 * clipped)
        return values, clipped


@dataclass(frozen=True)
class Poisson(LossOfEntries):
    """l = Σ_j (exp(z_j) - t_j z_j) / m on log rates z, targets t of 0 or more, such as counts.

    A Poisson variable of rate λ = exp(z) has the value t with probability λ^t exp(-λ) / t!, whose
    negative logarithm is exp(z) - t z + log(t!). The last term does not depend on z, and only ``full``
    includes it. ∂l/∂z_j = (exp(z_j) - t_j) / m.
    exp(z), and so the loss, overflows in float32 for z above 88, in float64 above 709. Where t = 0, the
    loss of a log rate of -∞ is 0.

    Attributes:
        full: whether to include log(t!).
    """

    output_activation = "exp"
    full: bool = False

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return the term of each output, and exp(z) - t."""
        rates = backend.xp.exp(outputs)
        values = rates - functional.product(backend, targets, outputs)
        if self.full:
            values = values + functional.log_factorial(backend, targets)
        return values, rates - targets

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check shape and range: (examples, ...) as the outputs, 0 or more."""
        targets = super().prepare_targets(targets, output_shape, dtype)
        check_values("Poisson", "targets of 0 or more", targets, targets < 0)
        return targets
