"""A trained model in a file of ONNX."""

import os
from typing import Any

from backends import Tree
from multinn.checkpoints.atomic import replacing
from multinn.layers import Layer
from multinn.onnx.model import to_onnx
from multinn.trainer import Trainer


def export(
    trained: Trainer | tuple[Layer, Tree] | tuple[Layer, Tree, Tree],
    path: str | os.PathLike[str],
    *,
    input_shape: Any = None,
    dtype: str | None = None,
    input_dtype: str | None = None,
) -> None:
    """Write a model at inference, as `to_onnx` makes it, to a file. It is written whole or not at all.

    Args:
        trained: a trainer; or a model with its parameters and, if it has one, the state of its layers.
        path: of the file, by custom ending in ".onnx"; one that is there is replaced.
        input_shape: the shape of one example, without the batch; that of the trainer if None.
        dtype: as of `to_onnx`; that of the trainer, or "float32", if None.
        input_dtype: as of `to_onnx`.

    Raises:
        ImportError: onnx is not installed.
        NotImplementedError: a layer has no converter; the message names it and its place.
        NotInitializedError: the trainer has no parameters yet.
        TypeError: it is neither a trainer nor such a tuple.
        ValueError: the parameters or the inputs do not fit the model, or there is no input_shape.
    """
    if isinstance(trained, Trainer):
        input_shape = trained.input_shape if input_shape is None else input_shape
        trees = (trained.inference_parameters, trained.state.layer_state)
        params, layer_state = trained.backend.to_numpy(trees)
        model, default = trained.model, trained.dtype
    else:
        model, params, layer_state = _parts(trained)
        default = "float32"
    if input_shape is None:
        raise ValueError(
            "onnx: expected an input_shape, that of one example without the batch, got None"
        )
    proto = to_onnx(model, params, layer_state, input_shape, dtype or default, input_dtype=input_dtype)
    with replacing(path) as file:
        file.write(proto.SerializeToString())


def _parts(trained: Any) -> tuple[Layer, Tree, Tree]:
    is_tuple = isinstance(trained, tuple) and len(trained) in (2, 3)
    if not is_tuple or not isinstance(trained[0], Layer):
        raise TypeError(
            "onnx: expected a trainer, (model, params) or (model, params, layer_state), got "
            f"{type(trained).__name__}"
        )
    model, params, *rest = trained
    return model, params, rest[0] if rest else None
