"""A warning of a last layer that a loss does not expect."""

import warnings

from multinn.layers import Layer, Sequential, Sigmoid, Softmax, Softplus
from multinn.losses import Loss

# By the `output_activation` of a loss: what it expects, and the layers that would change that.
_EXPECTED: dict[str, tuple[str, tuple[type[Layer], ...]]] = {
    "softmax": ("logits", (Softmax, Sigmoid)),
    "logistic": ("logits", (Softmax, Sigmoid)),
    "exp": ("logarithms of rates", (Softplus,)),
}


def warn_of_last_layer(model: Layer, loss: Loss) -> None:
    """Warn if the model ends in an activation, but the loss expects outputs before an activation.

    Called in the constructor of a trainer: the warning points to the caller of that.
    """
    expected, activations = _EXPECTED.get(loss.output_activation, ("", ()))
    last = _last_layer(model)
    if isinstance(last, activations):
        name = type(last).__name__
        warnings.warn(
            f"Trainer: the model ends in {name}, but {type(loss).__name__} expects {expected}: remove "
            f"{name} from the model, and apply it to what predict returns",
            stacklevel=4,
        )


def _last_layer(model: Layer) -> Layer:
    """Return the layer that computes the output: the last one, but for layers that keep its values."""
    if not isinstance(model, Sequential):
        return model
    computing = [layer for layer in model.layers if not layer.keeps_values]
    return _last_layer(computing[-1]) if computing else model
