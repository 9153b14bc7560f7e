"""Focal losses: cross-entropies with small weights for well-classified examples."""

import math
from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, HostArray, Shape
from multinn import functional
from multinn.descriptions.bounds import check_nonnegative
from multinn.losses.base import LossOfEntries, as_classes, check_values


@dataclass(frozen=True)
class Focal(LossOfEntries):
    """l = -α_t (1 - q)^γ log q with q = p_t, p = softmax(z), on logits z (batch, ..., classes).

    Targets are integer classes t (batch, ...).

    With r = 1 - q, ∂q/∂z_k = q (δ_kt - p_k) and ∂log q/∂z_k = δ_kt - p_k, so that

        ∂l/∂z_k = -α_t (r^γ - γ r^(γ-1) q log q) (δ_kt - p_k) = α_t r^γ (1 + γ q c) (p_k - δ_kt)

    with c = -log(q) / r. No digits are lost as q -> 1: r is the sum of the other p_k, log q is computed
    as log(1 - r) where r < 1/2, c -> 1, and p_t - 1 is -r. As q -> 0, log q comes from the log-softmax.
    Source: T.-Y. Lin et al., Focal loss for dense object detection, 2017, equation 5.

    Attributes:
        gamma: γ, 0 or more; 0 is the cross-entropy.
        alpha: α, one number per class, one for all, or None for 1. The loss is a mean over examples,
            not divided by the sum of their α.

    Raises:
        ValueError: gamma or a number in alpha is negative or not finite.
    """

    output_activation = "softmax"
    entry_axes = 1
    gamma: float = 2.0
    alpha: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_nonnegative(self, "gamma")
        if self.alpha is None:
            return
        weights = np.asarray(self.alpha)
        are_numbers = weights.dtype.kind in "iuf" and weights.ndim < 2 and weights.size
        if not are_numbers or not ((weights >= 0) & (weights < math.inf)).all():
            raise ValueError(
                "Focal: expected alpha to be a finite number of 0 or more, or one for each class, "
                f"got {self.alpha!r}"
            )
        # A tuple can be hashed, a list cannot.
        weights = weights.astype(np.float64)
        alpha = tuple(weights.tolist()) if weights.ndim else weights.item()
        object.__setattr__(self, "alpha", alpha)

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l of each position, and its gradient."""
        xp = backend.xp
        target = functional.one_hot(backend, targets, outputs.shape[-1], like=outputs)
        p, shifted, log_total = functional.softmax_parts(backend, outputs)
        others = p * (1.0 - target)
        r = xp.sum(others, axis=-1, keepdims=True)
        q = xp.sum(p * target, axis=-1, keepdims=True)
        close = xp.log1p(-xp.minimum(r, 0.5))
        of_target = xp.sum(functional.counted(backend, shifted, target), axis=-1, keepdims=True)
        log_q = xp.where(r < 0.5, close, of_target - log_total)
        one = xp.ones_like(r)
        c = xp.where(r > 0.0, -log_q / xp.where(r > 0.0, r, one), one)
        factor = r**self.gamma * self._weights(backend, target)
        q_c = q * functional.counted(backend, c, q)
        gradient = factor * (1.0 + self.gamma * q_c) * (others - r * target)
        values = -factor * functional.counted(backend, log_q, factor)
        return xp.squeeze(values, axis=-1), gradient

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check integer classes in [0, classes), and that alpha fits their number."""
        targets = as_classes("Focal", targets, output_shape, instead="BinaryFocal")
        if isinstance(self.alpha, tuple) and len(self.alpha) != output_shape[-1]:
            raise ValueError(
                f"Focal: expected one alpha for each of the {output_shape[-1]} classes, "
                f"got {len(self.alpha)}"
            )
        return targets

    def _weights(self, backend: Backend, target: Array) -> Array | float:
        """Return α_t: (batch, ..., 1) if there is one per class, else a number."""
        xp = backend.xp
        if isinstance(self.alpha, tuple):
            return xp.sum(target * xp.asarray(self.alpha, dtype=target.dtype), axis=-1, keepdims=True)
        return 1.0 if self.alpha is None else self.alpha


@dataclass(frozen=True)
class BinaryFocal(LossOfEntries):
    """l = -Σ_j a_j (1 - q_j)^γ log(q_j) / m on logits z, targets t of 0 and 1.

    q = σ(s) is the probability of t, with s = z where t = 1 and s = -z where t = 0. a is α where t = 1
    and 1 - α where t = 0; without α, a = 1.

    ∂q/∂s = q (1 - q) and ∂log q/∂s = 1 - q, so the derivative of each term with respect to s is
    -a (1 - q)^γ ((1 - q) - γ q log q), and ∂s/∂z is 1 or -1. 1 - q is σ(-s), log q is log σ(s).
    Source: T.-Y. Lin et al., Focal loss for dense object detection, 2017, equation 5.

    Attributes:
        gamma: γ, 0 or more; 0 is the cross-entropy.
        alpha: α in [0, 1], or None.

    Raises:
        ValueError: gamma is negative or not finite, or alpha outside [0, 1].
    """

    output_activation = "logistic"
    gamma: float = 2.0
    alpha: float | None = None

    def __post_init__(self) -> None:
        check_nonnegative(self, "gamma")
        if self.alpha is not None and not 0.0 <= self.alpha <= 1.0:
            raise ValueError(f"BinaryFocal: expected an alpha in [0, 1], got {self.alpha}")

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return the term of each output, and its derivative."""
        sign = 2.0 * targets - 1.0
        s = sign * outputs
        q, r = functional.sigmoid(backend, s), functional.sigmoid(backend, -s)
        log_q = functional.log_sigmoid(backend, s)
        factor = r**self.gamma
        if self.alpha is not None:
            factor = factor * (targets * self.alpha + (1.0 - targets) * (1.0 - self.alpha))
        q_log_q = q * functional.counted(backend, log_q, q)
        slope = factor * (self.gamma * q_log_q - r) * sign
        values = -factor * functional.counted(backend, log_q, factor)
        return values, slope

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check shape and values: (examples, ...) as the outputs, 0 or 1."""
        targets = super().prepare_targets(targets, output_shape, dtype)
        check_values("BinaryFocal", "targets of 0 and 1", targets, (targets != 0) & (targets != 1))
        return targets
