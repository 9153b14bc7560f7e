"""The base class of losses, and sums and means over the entries of an example."""

import math
from abc import abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np

from backends import Array, Backend, HostArray, Shape
from multinn import functional
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.host.checks import check_weights, rounded
from multinn.host.entries import first_place
from multinn.host.trees import entries_text
from multinn.layers.base import Masked, values_of


class Loss(Hyperparameters):
    """A frozen dataclass of hyperparameters that is called on outputs and targets.

    Attributes:
        output_activation: the function from outputs to predictions: the identity, σ, softmax or exp.
        reduction: whether L is the mean or the sum of the l_n.
        takes_tuple: whether outputs and targets are several arrays, dicts or tuples.
        takes_mask: whether the outputs may be `Masked`. Other losses get only the values.
    """

    output_activation: ClassVar[Literal["identity", "logistic", "softmax", "exp"]] = "identity"
    reduction: ClassVar[Literal["mean", "sum"]] = "mean"
    takes_tuple: ClassVar[bool] = False
    takes_mask: ClassVar[bool] = False

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
            weights: (batch,) floats of 0 or more, one per example, or None; for a `LossOfEntries` also
                (batch, ...). If all are 0, L is 0. An example or an entry of weight 0 adds 0 to L and
                has the gradient 0, even if its loss is not finite.

        Raises:
            ValueError: the weights have a shape that the loss does not take.
        """
        xp = backend.xp
        if weights is None:
            values, gradient = self.per_example(backend, outputs, targets)
            value = xp.sum(values)
            if self.reduction == "sum":
                return value, gradient
            share = 1.0 / values.shape[0]
            return value * share, gradient * share
        if self.reduction == "mean":
            smallest = float(xp.finfo(weights.dtype).smallest_normal)  # if all weights are 0
            total = xp.sum(functional.example_weights(backend, weights))
            weights = weights / xp.maximum(total, smallest)
        values, gradient = self.per_weighted_example(backend, outputs, targets, weights)
        return xp.sum(values), gradient

    def per_weighted_example(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array
    ) -> tuple[Array, Array]:
        """Return w_n l_n (batch,) and, in the outputs' shape, the gradient of each."""
        if weights.ndim > 1:
            raise ValueError(
                f"{type(self).__name__}: expected weights of shape (batch,), one per example, got "
                f"{tuple(weights.shape)}; more weights need a loss that is a LossOfEntries"
            )
        return weighted(backend, *self.per_example(backend, outputs, targets), weights)

    @property
    def reductions(self) -> "dict[str, Literal['mean', 'sum']]":
        """How the values that `report` returns are combined over several batches, by name."""
        return {"loss": self.reduction}

    def report(
        self, backend: Backend, outputs: Any, targets: Any, weights: Any = None
    ) -> tuple[dict[str, Array], Any]:
        """Return the values to report by name, L as "loss" among them, and the gradient of L.

        Args:
            backend: the backend of all arrays.
            outputs: as in a call.
            targets: as in a call.
            weights: as in a call.
        """
        value, gradient = self(backend, outputs, targets, weights)
        return {"loss": value}, gradient

    def value(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array | None = None
    ) -> Array:
        """Return only the loss L, so that a loss can serve as a metric.

        Raises:
            ValueError: there are several outputs, but the loss takes one.
        """
        if not self.takes_tuple:
            check_one_array(type(self).__name__, values_of(outputs))
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

    def prepare_weights(
        self,
        weights: Any,
        examples: int,
        output_shape: Any,
        dtype: str,
        *,
        all_zero: bool = False,
        name: str = "weights",
    ) -> Any:
        """Check and convert weights on the host.

        Args:
            weights: (examples,) numbers of 0 or more; for a `LossOfEntries` also (examples, ...), in the
                shape of the first axes of its entries.
            examples: the number of examples.
            output_shape: the shape of one output, without the batch axis.
            dtype: the dtype of the result.
            all_zero: whether all weights may be 0, as in one batch of many.
            name: the name of the weights in messages.

        Raises:
            TypeError: the weights are not numeric.
            ValueError: the shape is wrong, a weight is negative, NaN or infinite, or all are 0.
        """
        entries = self.entry_shape(output_shape)
        return check_weights(weights, examples, dtype, all_zero=all_zero, name=name, entries=entries)

    def entry_shape(self, output_shape: Shape) -> Shape:
        """Return the shape of the entries of one output: (), as l_n is no mean of entries."""
        return ()


class LossOfEntries(Loss):
    """A loss whose l_n is the mean over the entries of example n, or their sum as `reduction` says.

    The entries are the outputs or, where the last axis of the outputs has one score for each class, the
    positions before that axis. They have the shape (batch, ...). With m entries per example and weights
    w_nk of the entries,

        l_n(w) = Σ_k w_nk l_nk / m        w_n = Σ_k w_nk / m, the weight of the example
        L = Σ_n l_n(w) / Σ_n w_n          ∂L/∂outputs_nk = w_nk ∂l_nk / (m Σ_n w_n)

    For a loss that is a sum, L = Σ_n Σ_k w_nk l_nk. Where all weights of an example are equal, that is L
    with the weights of examples. Weights in the shape of the first axes of the entries, such as
    (batch, time) for outputs (batch, time, features), are those of all entries there.

    A subclass defines `per_entry`. An override of `per_example` would not apply to weights of entries.

    Attributes:
        entry_axes: the number of last axes of the outputs that one entry has: 1 if each has scores of
            classes, or is a vector.
    """

    entry_axes: ClassVar[int] = 0

    @abstractmethod
    def per_entry(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return the loss l_nk of each entry and, in the outputs' shape, the gradient of each."""

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l (batch,) and, in the outputs' shape, the gradient of each l_n."""
        return self.over_entries(backend, targets, *self.per_entry(backend, outputs, targets))

    def per_weighted_example(
        self, backend: Backend, outputs: Array, targets: Array, weights: Array
    ) -> tuple[Array, Array]:
        """Return w_n l_n or, with weights of entries, l_n(w) (batch,), and the gradient of each."""
        if weights.ndim == 1:
            return super().per_weighted_example(backend, outputs, targets, weights)
        entries = weighted(backend, *self.per_entry(backend, outputs, targets), weights)
        return self.over_entries(backend, targets, *entries)

    def over_entries(
        self, backend: Backend, targets: Array, values: Array, gradient: Array
    ) -> tuple[Array, Array]:
        """Return the mean or the sum over the entries of each example, and its gradient."""
        if self.reduction == "sum":
            return sum_outputs(backend, values), gradient
        return mean_positions(backend, values, gradient)

    def entry_shape(self, output_shape: Shape) -> Shape:
        """Return the shape of the entries of one output."""
        return output_shape[: len(output_shape) - self.entry_axes]


def outputs_for(function: Any, y: Array | Masked) -> Array | Masked:
    """Return a model's outputs for a loss or a metric: with their mask only if it takes one."""
    part = getattr(function, "__self__", function)  # the loss of a metric such as CTC().value
    return y if getattr(part, "takes_mask", False) else values_of(y)


def weighted(backend: Backend, values: Array, gradient: Array, weights: Array) -> tuple[Array, Array]:
    """Return values and their gradient times the weights, and 0 where the weight is 0.

    Args:
        backend: the backend of all arrays.
        values: (batch, ...); where the weight is 0, they may be infinite or NaN.
        gradient: the shape of the values, perhaps with more axes at its end.
        weights: (batch, ...), in the shape of the first axes of the values.

    Raises:
        ValueError: the weights have another shape.
    """
    of_values, of_gradient = (functional.aligned(backend, weights, each) for each in (values, gradient))
    values = functional.counted(backend, values, of_values) * of_values
    return values, functional.counted(backend, gradient, of_gradient) * of_gradient


def sum_outputs(backend: Backend, values: Array) -> Array:
    """Return the sum over all axes except the first."""
    xp = backend.xp
    if math.prod(values.shape[1:]) == 1:
        return xp.reshape(values, (values.shape[0],))
    return xp.sum(values, axis=tuple(range(1, values.ndim)))


def mean_outputs(backend: Backend, values: Array) -> Array:
    """Return the mean over all axes except the first."""
    count, total = outputs_per_example(values), sum_outputs(backend, values)
    return total if count == 1 else total * (1.0 / count)


def outputs_per_example(values: Array) -> int:
    """Return m, the number of entries of one example."""
    return max(1, int(math.prod(values.shape[1:])))


def mean_positions(backend: Backend, values: Array, gradient: Array) -> tuple[Array, Array]:
    """Return the mean over the positions or the outputs of each example, and its gradient.

    Args:
        backend: the backend of all arrays.
        values: (batch, ...), one per position; (batch,) if an example is one position.
        gradient: (batch, ...) or (batch, ..., classes), the gradient of each value.
    """
    count, mean = outputs_per_example(values), mean_outputs(backend, values)
    return mean, gradient if count == 1 else gradient * (1.0 / count)


def check_values(
    name: str, expected: str, targets: HostArray, wrong: HostArray, form: str = "", remedy: str = ""
) -> None:
    """Raise ValueError if ``wrong`` is True anywhere, with the first such target and its place.

    Args:
        name: the name of the loss.
        expected: a description of valid targets.
        targets: (examples, ...).
        wrong: booleans, in the shape of the first axes of the targets.
        form: the format of the target in the message.
        remedy: the end of the message.
    """
    if wrong.any():
        index, where = first_place(wrong)
        raise ValueError(f"{name}: expected {expected}, got {targets[index]:{form}} at {where}{remedy}")


def check_shape(name: str, targets: HostArray, output_shape: Shape) -> None:
    """Raise ValueError unless each target has the shape of an output."""
    if targets.shape[1:] != output_shape:
        raise ValueError(
            f"{name}: expected targets of shape {('examples', *output_shape)}, as "
            f"the model's outputs, got {targets.shape}; reshape one of them"
        )


def check_one_array(name: str, outputs: Any) -> None:
    """Raise ValueError unless the outputs are one array, as a metric of a single output expects."""
    if isinstance(outputs, dict | tuple):
        raise ValueError(
            f"{name}: expected one array of outputs, got {entries_text(outputs)}; use OfHead for the "
            "metric of one output"
        )


def check_several(name: str, output_shape: Shape, instead: str = "BinaryCrossEntropy") -> None:
    """Raise ValueError unless outputs have a last axis of at least 2: from 1, nothing could be learned.

    Args:
        name: the name of the loss.
        output_shape: the shape of one output.
        instead: the loss to use for one output instead.
    """
    if not output_shape or output_shape[-1] < 2:
        raise ValueError(
            f"{name}: expected at least 2 outputs along the last axis, got outputs of shape "
            f"{('examples', *output_shape)}; for one output use {instead}"
        )


def as_classes(
    name: str,
    targets: HostArray,
    output_shape: Shape,
    ignored_class: int | None = None,
    *,
    instead: str = "BinaryCrossEntropy",
) -> HostArray:
    """Return integer classes as int32.

    Args:
        name: the name of the loss.
        targets: (examples, ...).
        output_shape: (..., classes), the shape of one output.
        ignored_class: another integer to allow.
        instead: the loss to use for one output instead.

    Raises:
        ValueError: there are fewer than 2 classes, the shape is wrong, or a target is not one of the
            classes.
    """
    check_several(name, output_shape, instead)
    if targets.shape[1:] != output_shape[:-1]:
        raise ValueError(
            f"{name}: expected targets of shape {('examples', *output_shape[:-1])}, integer classes, "
            f"for outputs of shape {('examples', *output_shape)}, got {targets.shape}"
        )
    classes = output_shape[-1]
    wrong = (targets < 0) | (targets >= classes) | (targets != np.floor(targets))
    expected = f"integer classes in 0..{classes - 1}"
    if ignored_class is not None:
        wrong &= targets != ignored_class
        expected += f" or {ignored_class}, which is ignored"
    remedy = "; number the classes from 0, or give the model an output for each"
    check_values(name, expected, targets, wrong, "g", remedy)
    return targets.astype(np.int32)


def as_probabilities(name: str, targets: HostArray, dtype: str) -> HostArray:
    """Return probabilities in that dtype, divided by their sums along the last axis.

    Raises:
        ValueError: a probability is negative, or a sum is not 1.
    """
    sums = targets.sum(axis=-1, keepdims=True)
    wrong = (np.abs(sums[..., 0] - 1.0) > 1e-3) | (targets < 0).any(axis=-1)
    check_values(name, "probabilities of 0 or more that sum to 1", targets, wrong)
    return rounded(targets / sums, dtype, "targets")
