"""The base class of losses, and sums and means over the entries of an example."""

import math
from abc import abstractmethod
from typing import ClassVar, Literal

from backends import Array, Backend, HostArray, Shape
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.host.checks import rounded
from multinn.losses.targets import check_shape


class Loss(Hyperparameters):
    """A frozen dataclass of hyperparameters that is called on outputs and targets.

    Attributes:
        output_activation: the function from outputs to predictions: the identity, σ, softmax or exp.
        reduction: whether L is the mean or the sum of the l.
    """

    output_activation: ClassVar[Literal["identity", "logistic", "softmax", "exp"]] = "identity"
    reduction: ClassVar[Literal["mean", "sum"]] = "mean"

    @abstractmethod
    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l (batch,) and, in the outputs' shape, the gradient of each l_n."""

    def __call__(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> tuple[Array, Array]:
        """Return the loss L and, in the outputs' shape, its gradient.

        Args:
            backend: the backend of all arrays.
            outputs: (batch, ...) floats.
            targets: as `prepare_targets` returns them.
            weights: (batch,) floats of 0 or more, one per example, or None. If all are 0, L is 0.
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
        """Return only the loss L, so that a loss can serve as a metric."""
        return self(backend, outputs, targets, weights)[0]

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check and convert targets on the host, since array libraries may accept wrong ones silently.

        Args:
            targets: (examples, ...), in the outputs' shape unless a loss says otherwise.
            output_shape: the shape of one output, without the batch axis.
            dtype: the dtype of the outputs.

        Returns:
            The targets, in ``dtype``; integer classes as int32.

        Raises:
            ValueError: wrong shape or a value out of range; the message names the row.
        """
        check_shape(type(self).__name__, targets, output_shape)
        return rounded(targets, dtype, "targets")


def sum_outputs(backend: Backend, values: Array) -> Array:
    """Return the sum over all axes except the first."""
    xp = backend.xp
    if math.prod(values.shape[1:]) == 1:
        return xp.reshape(values, (values.shape[0],))
    return xp.sum(values, axis=tuple(range(1, values.ndim)))


def mean_outputs(backend: Backend, values: Array) -> Array:
    """Return the mean over all axes except the first."""
    return sum_outputs(backend, values) * (1.0 / outputs_per_example(values))


def outputs_per_example(values: Array) -> int:
    """Return m, the number of entries of one example."""
    return max(1, int(math.prod(values.shape[1:])))


def mean_positions(backend: Backend, values: Array, gradient: Array) -> tuple[Array, Array]:
    """Return the mean over the positions of each example, and its gradient.

    Args:
        backend: the backend of all arrays.
        values: (batch, ...), one per position; (batch,) if an example is one position.
        gradient: (batch, ..., classes), the gradient of each value.
    """
    if values.ndim == 1:
        return values, gradient
    return mean_outputs(backend, values), gradient * (1.0 / outputs_per_example(values))
