"""The loss of a model with several outputs."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

from backends import Array, Backend, Tree, tree
from multinn import functional
from multinn.descriptions.named_parts import check_one_name_each, named_parts, with_names
from multinn.descriptions.types import check_type
from multinn.host.checks import check_number, kind_text
from multinn.host.trees import entries_text, is_tree
from multinn.losses.base import Loss, outputs_for


@dataclass(frozen=True, init=False)
class Heads(Loss):
    """L = Σ_k c_k L_k: a loss L_k for each of several outputs, which are a tuple or, with names, a dict.

    The output y_k is only in L_k, so ∂L/∂y_k = c_k ∂L_k/∂y_k. Targets have the structure of the outputs.

    Weights (batch,) belong to examples, and each loss gets them. Weights may also be a tuple or a dict
    with the weights of each output, as its loss takes them; 0 leaves out a target that is not known.
    With w_kn, the weight of example n for output k, W_k = Σ_n w_kn and W, the mean of all W_k, it is

        L = Σ_k c_k (W_k / W) L_k = Σ_k c_k Σ_n w_kn l_kn / W

    for mean losses: a target counts by its weight, however many targets of that output a batch has.
    `report` returns (W_k / W) L_k as "loss_" and the key of the output. If the weights of each output
    have the mean 1 over all batches, the mean of these values over the batches, weighted by W, is the
    weighted mean of l_kn over all examples.

    Attributes:
        losses: one for each output. A dict of losses gives the names, too.
        coefficients: c, one number of 0 or more for each loss, as a tuple or a dict; None for 1.
        names: the keys of the dict of outputs, one for each loss; None for a tuple.

    Raises:
        TypeError: something in ``losses`` is no loss, a coefficient no number, or a name no string.
        ValueError: there are no losses; some are means and others are sums; there is not one coefficient
            and one name for each; two losses would be reported by the same name; a coefficient is
            negative or not finite, or all are 0.

    >>> from multinn import MeanSquaredError, SoftmaxCrossEntropy
    >>> Heads({"price": MeanSquaredError(), "kind": SoftmaxCrossEntropy()}, {"price": 1.0, "kind": 0.5})
    Heads(losses=(MeanSquaredError(), SoftmaxCrossEntropy(label_smoothing=0.0, ignored_class=None)), \
coefficients=(1.0, 0.5), names=('price', 'kind'))
    """

    takes_tuple: ClassVar[bool] = True
    takes_mask: ClassVar[bool] = True

    losses: tuple[Loss, ...]
    coefficients: tuple[float, ...] | None = None
    names: tuple[str, ...] | None = None

    def __init__(
        self,
        losses: Iterable[Loss] | Mapping[str, Loss],
        coefficients: Iterable[float] | Mapping[str, float] | None = None,
        names: Iterable[str] | None = None,
    ) -> None:
        parts, own_names = named_parts("Heads", losses, names)
        object.__setattr__(self, "losses", _losses(parts))
        object.__setattr__(self, "names", own_names)
        check_one_name_each("Heads", "losses", self.losses, own_names)
        if coefficients is not None:
            coefficients = self._coefficients(coefficients)
        object.__setattr__(self, "coefficients", coefficients)
        reductions = [loss.reduction for loss in self.losses]
        if len(set(reductions)) > 1:
            found = ", ".join(
                f"the {reduction} {type(loss).__name__} of {key!r}"
                for reduction, loss, key in zip(reductions, self.losses, self.keys, strict=True)
            )
            raise ValueError(
                "Heads: expected losses that are all means over the examples, or all sums, got "
                f"{found}; use MeanSquaredError in place of HalfSquaredError"
            )
        if len(self.reductions) <= sum(len(loss.reductions) for loss in self.losses):
            raise ValueError(
                f"Heads: expected different names of all losses, got only {[*self.reductions]}; rename "
                f"one of the outputs {self.keys}"
            )

    @property
    def keys(self) -> tuple[str | int, ...]:
        """The names, or the indices, of the outputs."""
        return tuple(range(len(self.losses))) if self.names is None else self.names

    @property
    def reduction(self) -> Literal["mean", "sum"]:  # type: ignore[override]
        """Whether each loss is a mean or a sum over the examples."""
        return self.losses[0].reduction

    @property
    def reductions(self) -> dict[str, Literal["mean", "sum"]]:
        """How the values that `report` returns are combined over several batches, by name."""
        own: dict[str, Literal["mean", "sum"]] = {"loss": self.reduction}
        for key, loss in zip(self.keys, self.losses, strict=True):
            own |= {_name(key, name): reduction for name, reduction in loss.reductions.items()}
        return own

    def per_example(self, backend: Backend, outputs: Tree, targets: Tree) -> tuple[Array, Tree]:
        """Return Σ_k c_k l_k (batch,), and the gradient of each."""
        parts = [
            loss.per_example(backend, outputs_for(loss, outputs[key]), targets[key])
            for key, loss in zip(self.keys, self.losses, strict=True)
        ]
        return self._sum(backend, *zip(*parts, strict=True))

    def __call__(
        self, backend: Backend, outputs: Tree, targets: Tree, weights: Tree = None
    ) -> tuple[Array, Tree]:
        """Return L and, in the structure of the outputs, its gradient."""
        report, gradient = self.report(backend, outputs, targets, weights)
        return report["loss"], gradient

    def report(
        self, backend: Backend, outputs: Tree, targets: Tree, weights: Tree = None
    ) -> tuple[dict[str, Array], Tree]:
        """Return L as "loss" and (W_k / W) L_k as "loss_" and the key of the output; and the gradient.

        Args:
            backend: the backend of all arrays.
            outputs: a dict of arrays by name, or a tuple of arrays.
            targets: as `prepare_targets` returns them.
            weights: None, (batch,), or a dict or a tuple of the weights of each output.
        """
        has_own_weights = isinstance(weights, dict | tuple)
        is_mean_of_own = has_own_weights and self.reduction == "mean"
        shares = functional.head_shares(backend, weights) if is_mean_of_own else {}
        report: dict[str, Array] = {}
        values, gradients = [], []
        for key, loss in zip(self.keys, self.losses, strict=True):
            own_weights = weights[key] if has_own_weights else weights
            own_outputs = outputs_for(loss, outputs[key])
            own, gradient = loss.report(backend, own_outputs, targets[key], own_weights)
            if shares:
                own, gradient = _times(shares[key], own), _times(shares[key], gradient)
            values.append(own["loss"])
            gradients.append(gradient)
            report |= {_name(key, name): value for name, value in own.items()}
        value, gradient = self._sum(backend, values, gradients)
        return {"loss": value} | report, gradient

    def prepare_targets(self, targets: Tree, output_shape: Any, dtype: str) -> Tree:
        """Check and convert the targets of each output, as its loss does.

        Args:
            targets: a dict or a tuple, as the outputs.
            output_shape: a dict or a tuple of shapes.
            dtype: the dtype of the outputs.

        Raises:
            ValueError: there is not one output and one array of targets for each loss; or an error of a
                loss, which begins with the key of the output in brackets.
        """
        shapes = output_shape.values() if isinstance(output_shape, dict) else output_shape
        if not (self._fits(output_shape) and all(isinstance(shape, tuple | dict) for shape in shapes)):
            raise ValueError(
                f"Heads: expected a model whose outputs are {self._expected}, as those of Parallel, got "
                f"outputs of shape {output_shape}, without the batch"
            )
        self._check(targets, "targets")
        prepared = []
        for key, loss in zip(self.keys, self.losses, strict=True):
            try:
                prepared.append(loss.prepare_targets(targets[key], output_shape[key], dtype))
            except ValueError as error:
                raise ValueError(f"[{key!r}]: {error}") from error
        return self._tree(prepared)

    def prepare_weights(
        self,
        weights: Any,
        examples: int,
        output_shape: Any,
        dtype: str,
        *,
        all_zero: bool = False,
        name: str = "weights",
    ) -> Tree:
        """Check and convert weights on the host.

        Args:
            weights: (examples,); or a dict or a tuple of weights, as the loss of each output takes them.
            examples: the number of examples.
            output_shape: a dict or a tuple of shapes.
            dtype: the dtype of the result.
            all_zero: whether all weights may be 0, as in one batch of many.
            name: the name of the weights in messages.
        """
        if not is_tree(weights):
            return super().prepare_weights(
                weights, examples, output_shape, dtype, all_zero=all_zero, name=name
            )
        remedy = "; an output whose examples all count the same gets numpy.ones(examples)"
        if isinstance(weights, Mapping):
            weights = {key: own for key, own in weights.items() if own is not None}
        self._check(weights, name, remedy)
        return self._tree(
            loss.prepare_weights(
                weights[key],
                examples,
                output_shape[key],
                dtype,
                all_zero=all_zero,
                name=f"{name}[{key!r}]",
            )
            for key, loss in zip(self.keys, self.losses, strict=True)
        )

    def _coefficients(self, given: Any) -> tuple[float, ...]:
        """Return checked coefficients in the order of the losses."""
        if isinstance(given, Mapping) and self._fits(given):
            given = [given[key] for key in self.keys]
        if isinstance(given, Mapping | str) or not isinstance(given, Iterable):
            raise TypeError(
                f"Heads: expected coefficients: numbers, as {self._expected}, got {given!r:.100}"
            )
        coefficients = tuple(given)
        for coefficient in coefficients:
            check_number("Heads", "coefficients", coefficient)
        coefficients = tuple(map(float, coefficients))
        is_valid = all(0.0 <= c < math.inf for c in coefficients) and any(coefficients)
        if not is_valid or len(coefficients) != len(self.losses):
            raise ValueError(
                f"Heads: expected coefficients: {len(self.losses)} finite numbers of 0 or more, not all "
                f"0, got {coefficients}"
            )
        return coefficients

    def _sum(self, backend: Backend, values: Any, gradients: Any) -> tuple[Array, Tree]:
        """Return Σ_k c_k L_k and its gradients; what has the coefficient 0 is left out."""
        coefficients = self.coefficients or (1.0,) * len(self.losses)
        terms = [c * value for c, value in zip(coefficients, values, strict=True) if c]
        zeros = partial(tree.map, backend.xp.zeros_like)
        scaled = (
            _times(c, gradient) if c else zeros(gradient)
            for c, gradient in zip(coefficients, gradients, strict=True)
        )
        return sum(terms[1:], start=terms[0]), self._tree(scaled)

    def _tree(self, parts: Iterable[Any]) -> Tree:
        return with_names(parts, self.names)

    def _fits(self, values: Any) -> bool:
        """Return whether these are a dict, or a tuple, with an entry for each loss."""
        if self.names is None:
            return isinstance(values, tuple) and len(values) == len(self.losses)
        return isinstance(values, Mapping) and set(values) == set(self.names)

    def _check(self, values: Any, name: str, remedy: str = "") -> None:
        """Raise ValueError unless there is an entry for each loss."""
        if not self._fits(values):
            raise ValueError(
                f"Heads: expected {name}: {self._expected}, got {kind_text(values)}{remedy}"
            )

    @property
    def _expected(self) -> str:
        return entries_text(self._tree(self.losses))


def _losses(losses: Any) -> tuple[Loss, ...]:
    """Return the losses as a tuple, or raise TypeError or ValueError."""
    if not isinstance(losses, Iterable) or isinstance(losses, str | Loss):
        raise TypeError(f"Heads: expected losses: a dict or a tuple of losses, got {losses!r}")
    checked: tuple[Loss, ...] = tuple(losses)
    if not checked:
        raise ValueError("Heads: expected losses: at least one, got none")
    for index, loss in enumerate(checked):
        check_type("Heads", f"losses[{index}]", loss, Loss)
    return checked


def _name(key: str | int, name: str) -> str:
    """Return the name of a value that the loss of one output reports."""
    return f"loss_{key}{name.removeprefix('loss')}"


def _times(factor: Any, values: Tree) -> Tree:
    return tree.map(lambda leaf: leaf * factor, values)
