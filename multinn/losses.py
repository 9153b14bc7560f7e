"""Loss functions: the value and its gradient with respect to the outputs, together.

Each loss states its value l_n for one example n, and the gradient of l_n. The base class combines the
examples: with weights w_n the loss is L = Σ_n w_n l_n / Σ_n w_n, so ∂L/∂outputs_n = (w_n / Σ w) ∂l_n;
without weights, every w_n is 1. (HalfSquaredError is the plain sum: L = Σ_n w_n l_n.)

Shapes: outputs and targets (batch, ...) unless said otherwise, weights (batch,), L without axes. Where
an example has several outputs, m of them, l_n is the mean over them.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from backends import Array, Backend
from multinn import functional
from multinn.checks import first_place, rounded
from multinn.hyperparameters import Hyperparameters

Shape = tuple[int, ...]
HostArray = np.ndarray[Any, np.dtype[Any]]


class Loss(Hyperparameters):
    """A frozen dataclass of hyperparameters that is called on outputs and targets."""

    reduction: ClassVar[Literal["mean", "sum"]] = "mean"

    @abstractmethod
    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l (batch,), and the gradient of each l_n with respect to the outputs."""

    def __call__(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> tuple[Array, Array]:
        """Return the loss L, and its gradient with respect to the outputs, in the outputs' shape.

        Args:
            backend: whose arrays the others are.
            outputs: (batch, ...) floats.
            targets: as `prepare_targets` returns them.
            weights: (batch,) floats of 0 or more, one an example, or None. If all are 0, so is L.
        """
        xp = backend.xp
        values, gradient = self.per_example(backend, outputs, targets)
        if weights is None:
            value = xp.sum(values)
            if self.reduction == "sum":
                return value, gradient
            share = 1.0 / outputs.shape[0]
            return value * share, gradient * share
        if self.reduction == "mean":
            total = xp.sum(weights)
            weights = weights / xp.where(total > 0.0, total, xp.ones_like(total))
        by_example = xp.reshape(weights, (-1,) + (1,) * (gradient.ndim - 1))
        return xp.sum(values * weights), gradient * by_example

    def value(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> Array:
        """Return the loss L alone: any loss serves as a metric."""
        return self(backend, outputs, targets, weights)[0]

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check targets on the host, before they reach a library that would not complain.

        Args:
            targets: (examples, ...), here of the shape of the outputs.
            output_shape: the shape of one output, without the batch axis.
            dtype: that of the outputs.

        Returns:
            The targets, in ``dtype``; integer classes as int32.

        Raises:
            ValueError: wrong shape or a value out of range; the message names the row.
        """
        if targets.shape[1:] != output_shape:
            raise ValueError(
                f"{type(self).__name__}: expected targets of shape {('examples', *output_shape)}, as "
                f"the model's outputs, got {targets.shape}; reshape one of them"
            )
        return rounded(targets, dtype, "targets")


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """l = Σ_j (y_j - t_j)² / m.

    ∂l/∂y_j = 2 (y_j - t_j) / m.
    """

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l, and 2 (y - t) / m."""
        error = outputs - targets
        return _mean(backend, error * error), error * (2.0 / _outputs_per_example(error))


@dataclass(frozen=True)
class HalfSquaredError(Loss):
    """L = Σ_n w_n Σ_j (y_nj - t_nj)² / 2: summed over outputs and examples, not averaged.

    ∂l/∂y_j = y_j - t_j: the loss whose gradient is the bare error, as textbooks derive backpropagation.
    """

    reduction = "sum"

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l, and y - t."""
        error = outputs - targets
        return _sum(backend, 0.5 * error * error), error


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """l = Σ_j |y_j - t_j| / m.

    ∂l/∂y_j = sign(y_j - t_j) / m; at 0, where it is undefined, 0 is taken.
    """

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l, and sign(y - t) / m."""
        xp = backend.xp
        error = outputs - targets
        return _mean(backend, xp.abs(error)), xp.sign(error) * (1.0 / _outputs_per_example(error))


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
        return _mean(backend, values), clipped * (1.0 / _outputs_per_example(error))


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """l = Σ_j -(t_j log σ(z_j) + (1 - t_j) log(1 - σ(z_j))) / m on logits z, targets t in [0, 1].

    log σ(z) = z - softplus(z) and log(1 - σ(z)) = -softplus(z), so each term is softplus(z) - t z, and
    its derivative is σ(z) - t. With softplus(z) = max(z, 0) + log(1 + exp(-|z|)), the large parts cancel
    before the small one is added, so that a small loss keeps its digits.
    """

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l, and (σ(z) - t) / m."""
        xp = backend.xp
        values = (xp.maximum(outputs, 0.0) - targets * outputs) + xp.log1p(xp.exp(-xp.abs(outputs)))
        error = functional.sigmoid(backend, outputs) - targets
        return _mean(backend, values), error * (1.0 / _outputs_per_example(error))

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check shape and range: (examples, ...) as the outputs, in [0, 1]."""
        targets = super().prepare_targets(targets, output_shape, dtype)
        outside = (targets < 0) | (targets > 1)
        if outside.any():
            index, where = first_place(outside)
            raise ValueError(
                f"BinaryCrossEntropy: expected targets in [0, 1], got {targets[index]} at {where}"
            )
        return targets


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """l = -Σ_k q_k log p_k with p = softmax(z), on logits z (batch, ..., classes).

    Targets are integer classes (batch, ...), taken as one-hot, or probabilities (batch, ..., classes);
    label smoothing s then mixes in the uniform distribution: q = (1 - s) t + s / classes.

    log p_k = z_k - log Σ_i exp(z_i), so ∂log p_k/∂z_j = δ_kj - p_j, and, as Σ_k q_k = 1,
    ∂l/∂z_j = -Σ_k q_k (δ_kj - p_j) = p_j - q_j.
    Source of the smoothing: C. Szegedy et al., Rethinking the Inception architecture, 2016, section 7.

    Attributes:
        label_smoothing: s, in [0, 1).

    Raises:
        ValueError: label_smoothing is outside [0, 1).
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.label_smoothing < 1.0:
            raise ValueError(
                f"SoftmaxCrossEntropy: expected a label_smoothing in [0, 1), got {self.label_smoothing}"
            )

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l, and (p - q) / m, where m counts the distributions of one example."""
        xp = backend.xp
        classes = outputs.shape[-1]
        if targets.ndim < outputs.ndim:
            targets = functional.one_hot(backend, targets, classes, like=outputs)
        if self.label_smoothing:
            smoothing = self.label_smoothing
            targets = (1.0 - smoothing) * targets + smoothing / classes
        log_p = functional.log_softmax(backend, outputs)
        values = -xp.vecdot(targets, log_p)
        error = xp.exp(log_p) - targets
        if values.ndim == 1:
            return values, error
        return _mean(backend, values), error * (1.0 / _outputs_per_example(values))

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check integer classes in [0, classes), or probabilities that sum to 1 along the last axis."""
        if targets.shape[1:] == output_shape:
            sums = targets.sum(axis=-1, keepdims=True)
            _check_probabilities(targets, sums)
            return rounded(targets / sums, dtype, "targets")
        if targets.shape[1:] != output_shape[:-1]:
            raise ValueError(
                "SoftmaxCrossEntropy: expected targets of shape "
                f"{('examples', *output_shape[:-1])}, integer classes, or "
                f"{('examples', *output_shape)}, probabilities, got {targets.shape}"
            )
        return _as_classes(targets, output_shape[-1])


def _check_probabilities(targets: HostArray, sums: HostArray) -> None:
    wrong = (np.abs(sums[..., 0] - 1.0) > 1e-3) | (targets < 0).any(axis=-1)
    if wrong.any():
        index, where = first_place(wrong)
        raise ValueError(
            "SoftmaxCrossEntropy: expected probabilities of 0 or more that sum to 1, "
            f"got {targets[index]} at {where}"
        )


def _as_classes(targets: HostArray, classes: int) -> HostArray:
    wrong = (targets < 0) | (targets >= classes) | (targets != np.floor(targets))
    if wrong.any():
        index, where = first_place(wrong)
        raise ValueError(
            f"SoftmaxCrossEntropy: expected integer classes in 0..{classes - 1}, "
            f"got {targets[index]:g} at {where}"
        )
    return targets.astype(np.int32)


def _sum(backend: Backend, values: Array) -> Array:
    """Sum over all axes but the first."""
    return backend.xp.sum(values, axis=tuple(range(1, values.ndim)))


def _mean(backend: Backend, values: Array) -> Array:
    return _sum(backend, values) * (1.0 / _outputs_per_example(values))


def _outputs_per_example(values: Array) -> int:
    return max(1, int(math.prod(values.shape[1:])))
