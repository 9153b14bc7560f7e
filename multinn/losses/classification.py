"""Losses of classes: cross-entropies, and the Kullback-Leibler divergence, of logits."""

from dataclasses import dataclass

from backends import Array, Backend, HostArray, Shape
from multinn import functional
from multinn.descriptions.bounds import check_fractions
from multinn.host.checks import check_ignored_class
from multinn.losses.base import (
    LossOfEntries,
    as_classes,
    as_probabilities,
    check_several,
    check_shape,
    check_values,
    sum_outputs,
    weighted,
)


@dataclass(frozen=True)
class BinaryCrossEntropy(LossOfEntries):
    """l = Σ_j -(t_j log σ(z_j) + (1 - t_j) log(1 - σ(z_j))) / m on logits z, targets t in [0, 1].

    log σ(z) = z - softplus(z) and log(1 - σ(z)) = -softplus(z), so each term is softplus(z) - t z, and
    its derivative is σ(z) - t. softplus(z) = max(z, 0) + log(1 + exp(-|z|)), and max(z, 0) - t z is
    ([z > 0] - t) z, so that a small loss keeps its digits. With 0 · ∞ = 0, the loss of a logit of -∞ is
    0 for t = 0, and that of ∞ is 0 for t = 1. σ(z) is 1 / (1 + exp(-z)) for z > 0, and
    exp(z) / (1 + exp(z)) else: no exponential overflows.
    """

    output_activation = "logistic"

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return the term of each output, and σ(z) - t."""
        xp = backend.xp
        positive = xp.astype(outputs > 0.0, outputs.dtype)
        small = xp.exp(-xp.abs(outputs))
        values = functional.product(backend, positive - targets, outputs) + xp.log1p(small)
        p = xp.maximum(positive, small) / (1.0 + small)
        return values, p - targets

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check shape and range: (examples, ...) as the outputs, in [0, 1]."""
        targets = super().prepare_targets(targets, output_shape, dtype)
        outside = (targets < 0) | (targets > 1)
        check_values("BinaryCrossEntropy", "targets in [0, 1]", targets, outside)
        return targets


@dataclass(frozen=True)
class SoftmaxCrossEntropy(LossOfEntries):
    """l = -Σ_k q_k log p_k with p = softmax(z), on logits z (batch, ..., classes).

    Targets are integer classes (batch, ...), taken as one-hot, or probabilities (batch, ..., classes);
    label smoothing s then mixes in the uniform distribution: q = (1 - s) t + s / classes.

    log p_k = z_k - log Σ_i exp(z_i), so ∂log p_k/∂z_j = δ_kj - p_j, and, as Σ_k q_k = 1,
    ∂l/∂z_j = -Σ_k q_k (δ_kj - p_j) = p_j - q_j. A class with q_k = 0 adds 0, even if z_k is -∞.
    Source of the smoothing: C. Szegedy et al., Rethinking the Inception architecture, 2016, section 7.

    Where an example has several positions, such as the words of a text, l is the mean over them. If
    there is an ignored class, such as -1 for padding, l is the mean over the positions with other
    targets, and 0 if there are none. With weights w_k of the positions, l is then the mean of w_k l_k
    over the positions with other targets; the weight of the example is the mean of all its w_k.

    Attributes:
        label_smoothing: s, in [0, 1).
        ignored_class: the target of positions to leave out, or None. It may be one of the classes. The
            metric for it is ``Accuracy(ignored_class)``.

    Raises:
        ValueError: label_smoothing is outside [0, 1), or ignored_class is not a 32-bit integer.
    """

    output_activation = "softmax"
    entry_axes = 1
    label_smoothing: float = 0.0
    ignored_class: int | None = None

    def __post_init__(self) -> None:
        check_fractions(self, "label_smoothing")
        check_ignored_class("SoftmaxCrossEntropy", self.ignored_class)

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l of each position, and p - q; both are finite where the target is ignored."""
        xp = backend.xp
        classes = outputs.shape[-1]
        p, shifted, log_total = functional.softmax_parts(backend, outputs)
        if targets.ndim < outputs.ndim:
            counts = functional.is_class(backend, targets, classes)
            targets = xp.astype(counts, outputs.dtype)
        else:
            counts = targets != 0.0
        if self.label_smoothing:
            smoothing = self.label_smoothing
            targets = (1.0 - smoothing) * targets + smoothing / classes
        else:
            shifted = xp.where(counts, shifted, targets)
        of_targets = xp.vecdot(targets, shifted)
        values = log_total[..., 0] - of_targets
        error = p - targets
        return values, error

    def over_entries(
        self, backend: Backend, targets: Array, values: Array, gradient: Array
    ) -> tuple[Array, Array]:
        """Return the mean over the positions whose target is not ignored, and its gradient."""
        if self.ignored_class is None:
            return super().over_entries(backend, targets, values, gradient)
        shares = functional.shares(backend, targets != self.ignored_class, like=values)
        values, gradient = weighted(backend, values, gradient, shares)
        return sum_outputs(backend, values), gradient

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check integer classes in [0, classes) or, without an ignored class, probabilities.

        Probabilities sum to 1 along the last axis.
        """
        name = "SoftmaxCrossEntropy"
        check_several(name, output_shape)
        if self.ignored_class is None and targets.shape[1:] == output_shape:
            return as_probabilities(name, targets, dtype)
        if self.ignored_class is None and targets.shape[1:] != output_shape[:-1]:
            raise ValueError(
                f"{name}: expected targets of shape "
                f"{('examples', *output_shape[:-1])}, integer classes, or "
                f"{('examples', *output_shape)}, probabilities, got {targets.shape}"
            )
        return as_classes(name, targets, output_shape, self.ignored_class)


@dataclass(frozen=True)
class KLDivergence(LossOfEntries):
    """l = Σ_k t_k log(t_k / p_k), KL(t ‖ p), with p = softmax(z), on logits z (batch, ..., classes).

    Targets are probabilities t (batch, ..., classes), and 0 log 0 = 0.

    l = Σ_k t_k log t_k - Σ_k t_k log p_k is the cross-entropy minus the entropy of the targets, which
    does not depend on z. So ∂l/∂z_j = p_j - t_j, as Σ_k t_k = 1. The minimum of l is 0.
    Source: S. Kullback and R. A. Leibler, On information and sufficiency, 1951, equation 2.4.
    """

    output_activation = "softmax"
    entry_axes = 1

    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l of each position, and p - t."""
        xp = backend.xp
        p, shifted, log_total = functional.softmax_parts(backend, outputs)
        log_t = xp.log(xp.where(targets > 0.0, targets, xp.ones_like(targets)))
        difference = log_t - (shifted - log_total)
        values = xp.vecdot(targets, functional.counted(backend, difference, targets))
        return values, p - targets

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check probabilities of the outputs' shape that sum to 1 along the last axis."""
        check_shape("KLDivergence", targets, output_shape)
        check_several("KLDivergence", output_shape)
        return as_probabilities("KLDivergence", targets, dtype)
