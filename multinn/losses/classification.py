"""Losses of classes: cross-entropies on logits."""

from dataclasses import dataclass

from backends import Array, Backend
from multinn import functional
from multinn.losses.base import Loss, mean_outputs, mean_positions, outputs_per_example
from multinn.losses.targets import HostArray, Shape, as_classes, as_probabilities, refuse


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
        return mean_outputs(backend, values), error * (1.0 / outputs_per_example(error))

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check shape and range: (examples, ...) as the outputs, in [0, 1]."""
        targets = super().prepare_targets(targets, output_shape, dtype)
        outside = (targets < 0) | (targets > 1)
        refuse("BinaryCrossEntropy", "targets in [0, 1]", targets, outside)
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
        return mean_positions(backend, values, xp.exp(log_p) - targets)

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check integer classes in [0, classes), or probabilities that sum to 1 along the last axis."""
        if targets.shape[1:] == output_shape:
            return as_probabilities("SoftmaxCrossEntropy", targets, dtype)
        if targets.shape[1:] != output_shape[:-1]:
            raise ValueError(
                "SoftmaxCrossEntropy: expected targets of shape "
                f"{('examples', *output_shape[:-1])}, integer classes, or "
                f"{('examples', *output_shape)}, probabilities, got {targets.shape}"
            )
        return as_classes("SoftmaxCrossEntropy", targets, output_shape)
