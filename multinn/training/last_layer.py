"""A warning of a last layer that a loss does not expect."""

import warnings
from collections.abc import Iterator

from multinn.layers import Concatenate, Layer, Parallel, Sequential, Sigmoid, Softmax, Softplus
from multinn.losses import Heads, Loss

# By the `output_activation` of a loss: what it expects, and the layers that would change that.
_EXPECTED: dict[str, tuple[str, tuple[type[Layer], ...]]] = {
    "softmax": ("logits", (Softmax, Sigmoid)),
    "logistic": ("logits", (Softmax, Sigmoid)),
    "exp": ("logarithms of rates", (Softplus,)),
}


def warn_of_last_layer(model: Layer, loss: Loss) -> None:
    """Warn if the model ends in an activation, but the loss expects outputs before an activation.

    Called in the constructor of a trainer, or where its loss is set: the warning points to the caller of
    that.
    """
    warned: list[tuple[Layer, Loss]] = []
    for last, own_loss in _last_layers(model, loss):
        expected, activations = _EXPECTED.get(own_loss.output_activation, ("", ()))
        if isinstance(last, activations) and (last, own_loss) not in warned:
            warned.append((last, own_loss))
            name = type(last).__name__
            warnings.warn(
                f"Trainer: the model ends in {name}, but {type(own_loss).__name__} expects {expected}: "
                f"remove {name} from the model, and apply it to what predict returns",
                stacklevel=4,
            )


def _last_layers(model: Layer, loss: Loss) -> Iterator[tuple[Layer, Loss]]:
    """Yield each layer that computes a part of the output, with the loss of that part.

    The last layer of a Sequential computes the output, but for layers that keep the values of others.
    """
    if isinstance(model, Parallel) and isinstance(loss, Heads):
        branches = dict(zip(model.names or range(len(model.branches)), model.branches, strict=True))
        for key, own_loss in zip(loss.keys, loss.losses, strict=True):
            if key in branches:
                yield from _last_layers(branches[key], own_loss)
    elif isinstance(model, Concatenate):
        for branch in model.branches:
            yield from _last_layers(branch, loss)
    elif isinstance(model, Sequential):
        computing = [layer for layer in model.layers if not layer.keeps_values]
        if computing:
            yield from _last_layers(computing[-1], loss)
    else:
        yield model, loss
