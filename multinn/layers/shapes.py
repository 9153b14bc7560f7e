"""Shapes: checks of input shapes, and arrays as matrices."""

from backends import Array, Backend, Shape
from multinn.layers.base import Layer


def check_axes(layer: Layer, input_shape: Shape, kind: str, *axes: str, minimum: int = 1) -> None:
    """Raise ValueError unless the shape has these axes, each of at least the minimum length.

    Args:
        layer: the layer, for the message.
        input_shape: the shape of one example, without the batch axis.
        kind: what the inputs are, such as "images".
        axes: the names of the axes, without the batch.
        minimum: the length that each axis has at least.
    """
    if len(input_shape) != len(axes) or min(input_shape) < minimum:
        last_is_missing = len(input_shape) == len(axes) - 1 and axes[-1] == "channels"
        raise ValueError(
            f"{type(layer).__name__}: expected {kind} of shape (batch, {', '.join(axes)}), "
            f"got {('batch', *input_shape)}"
            + ("; add an axis for the channel with x[..., None]" if last_is_missing else "")
        )


def check_features(layer: Layer, input_shape: Shape) -> int:
    """Return the length of the last axis, the number of features or channels.

    Raises:
        ValueError: there is no such axis, or its length is 0.
    """
    if not input_shape or input_shape[-1] < 1:
        raise ValueError(
            f"{type(layer).__name__}: expected inputs of shape (batch, ..., features), "
            f"got {('batch', *input_shape)}"
        )
    return input_shape[-1]


def as_matrix(backend: Backend, x: Array) -> Array:
    """Return x as a matrix: all axes but the last become one."""
    return x if x.ndim == 2 else backend.xp.reshape(x, (-1, x.shape[-1]))


def sum_of_rows(backend: Backend, x: Array) -> Array:
    """Return the sum over all axes but the last."""
    return backend.xp.sum(x, axis=tuple(range(x.ndim - 1)))
