"""The metric of one of several outputs."""

from dataclasses import dataclass
from operator import itemgetter
from typing import ClassVar

from backends import Array, Backend, Tree
from multinn import functional
from multinn.descriptions.hyperparameters import Description, Hyperparameters
from multinn.errors import DescriptionError
from multinn.host.trees import entries_text, entry_names
from multinn.layers.base import values_of
from multinn.losses import Loss
from multinn.losses.base import outputs_for
from multinn.metrics.base import Metric, Reduction, check_metric, reduction_of
from multinn.metrics.descriptions import build_metric, describe_metric, loss_of


@dataclass(frozen=True)
class OfHead(Hyperparameters):
    """A metric of one of several outputs, and of its targets.

    If each output has weights of its own, a metric that is a mean is multiplied by W_k / W, as the loss
    of the output is in `multinn.Heads`, so that its mean over many batches is weighted correctly.

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
        """How the values of several batches are combined, as by `reduction_of` the metric."""
        return reduction_of(self._function)

    def __call__(self, backend: Backend, outputs: Tree, targets: Tree, weights: Tree = None) -> Array:
        """Return the metric of the output with that key.

        Args:
            backend: the backend of all arrays.
            outputs: a dict or a tuple of arrays.
            targets: a dict or a tuple of arrays.
            weights: None, (batch,), or a dict or a tuple of the weights of each output.
        """
        of_head = itemgetter(self.entry)
        if self.entry not in (entry_names(values_of(outputs)) or ()):
            raise ValueError(
                f"OfHead: expected outputs with the entry {self.entry!r}, got {entries_text(outputs)}"
            )
        own_outputs = outputs_for(self._function, of_head(outputs))
        if not isinstance(weights, dict | tuple):
            return self._function(backend, own_outputs, of_head(targets), weights)
        value = self._function(backend, own_outputs, of_head(targets), of_head(weights))
        if self.reduction != "mean":
            return value
        return value * functional.head_share(backend, weights, self.entry)

    @property
    def _function(self) -> Metric:
        return self.metric.value if isinstance(self.metric, Loss) else self.metric  # type: ignore[return-value]
