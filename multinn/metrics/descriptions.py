"""Descriptions of metrics, for checkpoints."""

from typing import Any

from multinn.descriptions.hyperparameters import Description, Hyperparameters, build
from multinn.descriptions.names import name_of, named
from multinn.errors import DescriptionError
from multinn.losses import Loss
from multinn.metrics.base import Metric


def describe_metric(metric: Any) -> str | Description:
    """Return the name of a registered function, or the description of a callable object.

    ``SomeLoss().value`` is described as the loss itself.

    Raises:
        DescriptionError: the function is not registered, such as a lambda; or see
            `Hyperparameters.to_dict`.
    """
    if isinstance(metric, Hyperparameters):
        return metric.to_dict()
    loss = loss_of(metric)
    return name_of(metric) if loss is None else loss.to_dict()


def loss_of(metric: Any) -> Loss | None:
    """Return the loss of a metric that is ``SomeLoss().value``, else None."""
    owner = getattr(metric, "__self__", None)
    is_value = isinstance(owner, Loss) and getattr(metric, "__name__", None) == "value"
    return owner if is_value else None


def build_metric(description: Any) -> Metric:
    """Return the metric of a description.

    Raises:
        DescriptionError: it is not the description of a metric.
    """
    is_name = isinstance(description, str)
    metric: Any = named(description) if is_name else build(Hyperparameters, description)
    if isinstance(metric, Loss):
        return metric.value
    if isinstance(metric, type) or not callable(metric):
        raise DescriptionError(f"expected a description of a metric, got {description!r}")
    checked: Metric = metric
    return checked
