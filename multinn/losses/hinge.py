"""Hinge losses: zero once the right answer wins by a margin."""

from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, HostArray, Shape
from multinn import functional
from multinn.descriptions.bounds import check_positive
from multinn.losses.base import LossOfEntries, as_classes, check_values


@dataclass(frozen=True)
class Hinge(LossOfEntries):
    """l = Σ_j h_j / m with h_j = max(0, 1 - t_j z_j), or h_j², on scores z, targets t of -1 and 1.

    ∂h/∂z = -t where t z < 1, else 0; where t z = 1, it is undefined and taken as 0. ∂h²/∂z = 2 h ∂h/∂z.
    Targets may also be 0 and 1 instead of -1 and 1, as in Keras: 0 becomes -1.
    Source: C. Cortes and V. Vapnik, Support-vector networks, 1995; with the square, Y. Tang, Deep
    learning using linear support vector machines, 2013, section 2.2.

    Attributes:
        squared: whether h is squared.
    """

    output_activation = "logistic"
    squared: bool = False

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return h and ∂h/∂z, or h² and 2 h ∂h/∂z."""
        xp = backend.xp
        h = xp.maximum(1.0 - targets * outputs, 0.0)
        slope = -targets * _slope(backend, h, self.squared)
        values = h * h if self.squared else h
        return values, slope

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Return targets of -1 and 1, from 0 and 1 or from -1 and 1, in the shape of the outputs."""
        targets = super().prepare_targets(targets, output_shape, dtype)
        lower = 0.0 if (targets == 0).any() else -1.0
        wrong = (targets != lower) & (targets != 1)
        check_values("Hinge", "targets of 0 and 1, or of -1 and 1", targets, wrong)
        return np.where(targets == 1, targets, -np.ones_like(targets))


@dataclass(frozen=True)
class MultiClassHinge(LossOfEntries):
    """l = Σ_{k ≠ t} h_k / classes with h_k = max(0, margin + z_k - z_t), or h_k², on scores z.

    z: (batch, ..., classes), targets: integer classes (batch, ...).

    With s_k = 1 where h_k > 0, else 0 (where margin + z_k - z_t = 0, the derivative is undefined and
    taken as 0), ∂h_k/∂z_k = s_k and ∂h_k/∂z_t = -s_k. So ∂l/∂z_k = s_k / classes for k ≠ t, and
    ∂l/∂z_t = -Σ_{k ≠ t} ∂l/∂z_k. If squared, 2 h_k takes the place of s_k.
    Source: J. Weston and C. Watkins, Support vector machines for multi-class pattern recognition, 1999.
    PyTorch's MultiMarginLoss also divides by the number of classes; ``squared`` is its p = 2.

    Attributes:
        margin: by how much the score of the target class has to exceed all others.
        squared: whether each h is squared.

    Raises:
        ValueError: margin is not positive and finite.
    """

    output_activation = "softmax"
    entry_axes = 1
    margin: float = 1.0
    squared: bool = False

    def __post_init__(self) -> None:
        check_positive(self, "margin")

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l of each position, and its gradient."""
        xp = backend.xp
        classes = outputs.shape[-1]
        target = functional.one_hot(backend, targets, classes, like=outputs)
        of_target = xp.sum(functional.counted(backend, outputs, target), axis=-1, keepdims=True)
        h = xp.maximum(outputs - of_target + self.margin, 0.0)
        h = functional.counted(backend, h, 1.0 - target)
        slope = _slope(backend, h, self.squared) * (1.0 / classes)
        values = xp.sum(h * h if self.squared else h, axis=-1) * (1.0 / classes)
        gradient = slope - target * xp.sum(slope, axis=-1, keepdims=True)
        return values, gradient

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check integer classes in [0, classes)."""
        return as_classes("MultiClassHinge", targets, output_shape, instead="Hinge")


def _slope(backend: Backend, h: Array, squared: bool) -> Array:
    """Return the derivative of h², 2 h, or of h, which is 1 where h > 0, else 0."""
    return 2.0 * h if squared else backend.xp.astype(h > 0.0, h.dtype)
