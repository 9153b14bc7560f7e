"""Checks of examples against the model and the loss, on the host."""

from typing import Any, NamedTuple

import numpy as np

from backends import HostArray, Shape
from multinn.checks import check_input_shape, check_inputs, check_targets, check_weights
from multinn.layers import Layer
from multinn.training import Examples, TrainingProgram


class PlacedExamples(NamedTuple):
    """Checked examples on the host, and the same on a backend."""

    host: Examples
    data: Examples


def check_examples(
    program: TrainingProgram,
    inputs: HostArray,
    y: Any,
    weights: Any,
    shapes: tuple[Shape, Shape],
    name: str = "",
    *,
    all_zero: bool = False,
) -> Examples:
    """Return checked examples.

    Args:
        program: the model and the loss.
        inputs: from `check_inputs`.
        y: targets, as the loss wants them.
        weights: (examples,) or None.
        shapes: those of one input and of one output.
        name: what comes before x and y in messages.
        all_zero: whether all weights may be zero.

    Raises:
        TypeError, ValueError: they do not fit the model or the loss.
    """
    input_shape, output_shape = shapes
    count = inputs.shape[0]
    targets = check_targets(y, count, f"{name}y")
    checked = (
        None if weights is None else check_weights(weights, count, program.dtype, all_zero=all_zero)
    )
    check_model_inputs(program.model, inputs, input_shape, f"{name}x")
    try:
        prepared = program.loss.prepare_targets(targets, output_shape, program.dtype)
    except ValueError as error:
        raise ValueError(f"{name}y: {error}") from error
    return Examples(inputs, prepared, checked)


def check_model_inputs(model: Layer, inputs: HostArray, input_shape: Shape, name: str) -> None:
    """Raise ValueError unless the inputs have that shape, and values that the model can take."""
    check_input_shape(inputs, input_shape, name)
    try:
        model.check_inputs(inputs)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def check_validation_data(
    program: TrainingProgram, data: Any, shapes: tuple[Shape, Shape]
) -> Examples | None:
    """Return a pair (x, y) as checked examples; None for None."""
    if data is None:
        return None
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise ValueError("validation_data: expected a pair (x, y)")
    x, y = data
    inputs = check_inputs(x, program.dtype, "validation x")
    return check_examples(program, inputs, y, None, shapes, "validation ")


def with_mean_weight_one(program: TrainingProgram, examples: Examples) -> Examples:
    """Return the examples with weights that are relative to their mean, where the loss is a mean."""
    if examples.weights is None or program.loss.reduction != "mean":
        return examples
    mean = np.mean(examples.weights, dtype=np.float64)
    return examples._replace(weights=(examples.weights / mean).astype(program.dtype))


def check_batch(program: TrainingProgram, batch: Any, shapes: tuple[Shape, Shape]) -> Examples:
    """Return a batch, (x, y) or (x, y, weights), as checked examples."""
    inputs = check_batch_inputs(program, batch)
    _, y, *weights = batch
    return check_examples(program, inputs, y, weights[0] if weights else None, shapes, all_zero=True)


def check_batch_inputs(program: TrainingProgram, batch: Any) -> HostArray:
    """Return the checked inputs of a batch."""
    if not (isinstance(batch, tuple | list) and len(batch) in (2, 3)):
        raise ValueError(f"batches: expected (x, y) or (x, y, weights) each, got {batch!r:.100}")
    return check_inputs(batch[0], program.dtype)
