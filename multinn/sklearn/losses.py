"""Losses as scikit-learn scales them: summed over the outputs of an example, averaged over examples."""

from dataclasses import dataclass

from backends import Array, Backend, HostArray, Shape
from multinn.losses import (
    BinaryCrossEntropy,
    Focal,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    MultiClassHinge,
    Poisson,
    SoftmaxCrossEntropy,
)
from multinn.losses.base import outputs_per_example, sum_outputs

# The losses whose targets are class indices.
CLASS_LOSSES = (SoftmaxCrossEntropy, Focal, MultiClassHinge)


@dataclass(frozen=True)
class Summed(Loss):
    """l = factor · m · l', where l' is another loss, a mean over the m outputs of an example.

    As in scikit-learn, the gradient of one output does not depend on the number of outputs.
    """

    loss: Loss
    factor: float = 1.0

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l, and factor · m times the gradient of l'."""
        values, gradient = self.loss.per_example(backend, outputs, targets)
        scale = self.factor * outputs_per_example(outputs)
        return values * scale, gradient * scale

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check targets as l' does."""
        return self.loss.prepare_targets(targets, output_shape, dtype)


@dataclass(frozen=True)
class HalfPoissonDeviance(Summed):
    """l = Σ_j (λ_j - t_j + t_j log(t_j / λ_j)) with λ = exp(z), where 0 log 0 = 0.

    It is the Poisson loss plus a term that does not depend on z and makes l = 0 at λ = t. With
    d = z - log t, a term is t (exp(d) - 1 - d) for t > 0, which keeps its digits for large t, else λ.
    """

    output_activation = "exp"
    loss: Loss = Poisson()

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l, and λ - t."""
        xp = backend.xp
        _, gradient = super().per_example(backend, outputs, targets)
        positive = targets > 0.0
        d = outputs - xp.log(xp.where(positive, targets, xp.ones_like(targets)))
        values = xp.where(positive, targets * (xp.expm1(d) - d), xp.exp(d))
        return sum_outputs(backend, values), gradient


REGRESSION_LOSSES: dict[str, Loss] = {
    "squared_error": Summed(MeanSquaredError(), 0.5),
    "poisson": HalfPoissonDeviance(),
    "absolute_error": Summed(MeanAbsoluteError()),
    "huber": Summed(Huber()),
}
BINARY_LOG_LOSS = Summed(BinaryCrossEntropy())
