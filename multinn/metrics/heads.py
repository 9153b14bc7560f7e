"""The metric of one of several outputs."""

from dataclasses import dataclass
from operator import itemgetter
from typing import ClassVar

from backends import Array, Backend, HostArray, Tree
from multinn import functional
from multinn.descriptions.hyperparameters import Description, Hyperparameters
from multinn.errors import DescriptionError
from multinn.host.trees import count_of, entries_text, entry_names
from multinn.layers.base import values_of
from multinn.losses import Loss
from multinn.losses.base import outputs_for
from multinn.metrics.base import Metric, Reduction, check_metric, mean_of_batches, reduction_of
from multinn.metrics.descriptions import build_metric, describe_metric, loss_of


@dataclass(frozen=True)
class OfHead(Hyperparameters):
    """A metric of one of several outputs, and of its targets.

    A call with a metric that is a mean returns it together with the sum of its weights, by which the
    means of several batches are weighted, as each output may have weights of its own.

    Attributes:
        entry: the key of the output in a dict, or its index in a tuple.
        metric: a metric, or the name of a registered one; or a loss, for its value.

    Raises:
        TypeError: the metric is none.
        ValueError: in a call, the outputs have no such entry.

    >>> from multinn import accuracy
    >>> OfHead("kind", accuracy).to_dict()
    {'class': 'OfHead', 'entry': 'kind', 'metric': 'accuracy'}
    """

    takes_mask: ClassVar[bool] = True

    entry: str | int
    metric: Metric | Loss | str

    def __post_init__(self) -> None:
        metric = self.metric
        if isinstance(metric, str):
            try:
                metric = build_metric(metric)
            except DescriptionError as error:
                raise ValueError(f"OfHead: expected metric: {error}") from None
        check_metric("OfHead: expected metric", metric)
        object.__setattr__(self, "metric", loss_of(metric) or metric)

    def to_dict(self) -> Description:
        """Return a description for JSON, with the name of a metric that is a function."""
        return {"class": "OfHead", "entry": self.entry, "metric": describe_metric(self.metric)}

    @property
    def reduction(self) -> Reduction:
        """How the values of several batches are combined: a mean by its weights."""
        reduction = reduction_of(self._function)
        return _combined_means if reduction == "mean" else reduction

    def __call__(self, backend: Backend, outputs: Tree, targets: Tree, weights: Tree = None) -> Array:
        """Return the metric of the output with that key; for a mean, also the sum of its weights, (2,).

        Args:
            backend: the backend of all arrays.
            outputs: a dict or a tuple of arrays.
            targets: a dict or a tuple of arrays.
            weights: None, (batch,), or a dict or a tuple of the weights of each output.
        """
        of_head = itemgetter(self.entry)
        known = values_of(outputs)
        if self.entry not in (entry_names(known) or ()):
            raise ValueError(
                f"OfHead: expected outputs with the entry {self.entry!r}, got {entries_text(known)}"
            )
        own_outputs, own_targets = outputs_for(self._function, of_head(outputs)), of_head(targets)
        own_weights = of_head(weights) if isinstance(weights, dict | tuple) else weights
        value = self._function(backend, own_outputs, own_targets, own_weights)
        if reduction_of(self._function) != "mean":
            return value
        xp = backend.xp
        total = xp.full_like(value, count_of(own_targets))
        if own_weights is not None:
            total = xp.sum(functional.example_weights(backend, own_weights))
        return xp.stack([value, total])

    @property
    def _function(self) -> Metric:
        return self.metric.value if isinstance(self.metric, Loss) else self.metric  # type: ignore[return-value]


def _combined_means(batches: HostArray) -> HostArray:
    """Return the mean over all batches of means and sums of weights, (..., batches, 2)."""
    return mean_of_batches(batches[..., 0], batches[..., 1])
