"""Export of a trained model to a file."""

import json
from typing import Any, Protocol, cast

from backends import Tree
from multinn.descriptions.labels import describe_labels
from multinn.host.atomic import replacing
from multinn.host.paths import PathLike, check_target
from multinn.layers import Layer
from multinn.onnx.model import to_onnx
from multinn.training.trainer import Trainer


class Estimator(Protocol):
    """A fitted estimator, such as those of `multinn.sklearn`.

    Attributes:
        n_features_in_: the length of one example.
        trainer_: its trainer.
    """

    n_features_in_: int
    trainer_: Trainer

    @property
    def network_(self) -> tuple[Layer, Tree, Tree]:
        """The model, its parameters and the state of its layers."""

    def _complete_onnx(self, proto: Any) -> None:
        """Add what comes before the model, such as the encoding of a table with categories."""


def export(
    trained: Trainer | Estimator | tuple[Layer, Tree] | tuple[Layer, Tree, Tree],
    path: PathLike,
    *,
    input_shape: Any = None,
    dtype: str | None = None,
    input_dtype: Any = None,
) -> None:
    """Write a model at inference, as `to_onnx` returns it, to a file, completely or not at all.

    Args:
        trained: a trainer; a fitted estimator of `multinn.sklearn`; or a model with its parameters and,
            if it has one, the state of its layers. The outputs are those of the model. For a classifier,
            they are the probabilities of `predict_proba`, also for two classes; for a regressor, the
            predictions (batch, outputs), also for one output. The metadata of the file hold the classes
            of a classifier, as a JSON list under "classes" and their dtype under "classes_dtype":
            ``numpy.array(json.loads(classes), classes_dtype)`` is ``classes_``. With
            ``categorical_features``, each column is an input (batch, 1) named as in the table, or x0, x1
            and so on: text as strings, with "" for a missing one; categories that are whole numbers as
            int64, if none was missing in the fit; all else as floats.
        path: the path of the file, usually ending in ".onnx". An existing file is replaced.
        input_shape: as in `to_onnx`; None takes that of the trainer.
        dtype: as in `to_onnx`; None takes that of training, or "float32" for a model.
        input_dtype: as in `to_onnx`.

    Raises:
        DescriptionError: the classes of a classifier are of a dtype that JSON cannot hold.
        ImportError: onnx is not installed.
        NotImplementedError: a layer has no converter; the message names it and its place.
        NotInitializedError: the trainer has no parameters yet.
        TypeError: ``trained`` is something else, or an argument is of another type.
        ValueError: as in `to_onnx`, or input_shape is missing.
    """
    check_target(path)
    estimator, classes = None, None
    if isinstance(trained, Trainer):
        input_shape = trained.input_shape if input_shape is None else input_shape
        trees = (trained.inference_parameters, trained.state.layer_state)
        params, layer_state = trained.backend.to_numpy(trees)
        model, default = trained.model, trained.dtype
    elif hasattr(type(trained), "network_"):
        estimator = cast(Estimator, trained)
        model, params, layer_state = estimator.network_
        input_shape = (estimator.n_features_in_,) if input_shape is None else input_shape
        default = estimator.trainer_.dtype
        classes = getattr(estimator, "classes_", None)
    else:
        model, params, layer_state = _parts(trained)
        default = "float32"
    if input_shape is None:
        raise ValueError(
            "onnx: expected an input_shape, the shape of one example without the batch, got None"
        )
    dtype = default if dtype is None else dtype
    proto = to_onnx(model, params, layer_state, input_shape, dtype, input_dtype=input_dtype)
    if estimator is not None:
        estimator._complete_onnx(proto)
    if classes is not None:
        labels = describe_labels(classes, "classes_")
        proto.metadata_props.add(key="classes", value=json.dumps(labels["classes"]))
        proto.metadata_props.add(key="classes_dtype", value=labels["dtype"])
    with replacing(path) as file:
        file.write(proto.SerializeToString())


def _parts(trained: Any) -> tuple[Layer, Tree, Tree]:
    is_tuple = isinstance(trained, tuple) and len(trained) in (2, 3)
    if not is_tuple or not isinstance(trained[0], Layer):
        raise TypeError(
            "onnx: expected trained: a trainer, a fitted estimator, (model, params) or (model, params, "
            f"layer_state), got {type(trained).__name__}"
        )
    model, params, *rest = trained
    return model, params, rest[0] if rest else None
