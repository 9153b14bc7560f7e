"""Checks of examples against the model and the loss, and weights of classes, on the host."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from backends import HostArray, Tree, tree
from multinn.host.checks import check_inputs, check_number, check_targets, kind_text
from multinn.host.trees import check_entries, count_of, entries_text, is_one_shape, rows_of, shape_of
from multinn.layers import Layer
from multinn.training.program import Examples, TrainingProgram
from multinn.training.shapes import output_shape_for


class PlacedExamples(NamedTuple):
    """The same checked examples on the host and on a backend."""

    host: Examples
    data: Examples


def check_examples(
    program: TrainingProgram,
    inputs: Tree,
    y: Any,
    weights: Any,
    shapes: tuple[Any, Any],
    name: str = "",
    *,
    class_weights: Mapping[Any, float] | str | None = None,
    all_zero: bool = False,
) -> Examples:
    """Return checked examples.

    Args:
        program: the model and the loss.
        inputs: from `check_inputs`.
        y: targets, as the loss takes them.
        weights: (examples,), or as `Loss.prepare_weights` takes them, or None.
        shapes: of one input and of one output in training.
        name: a prefix of x, y and weights in messages.
        class_weights: as in `Trainer.fit`.
        all_zero: whether all weights may be zero.

    Raises:
        TypeError, ValueError: the data do not fit the model or the loss.
    """
    count = count_of(inputs)
    targets = check_targets(y, count, f"{name}y")
    output_shape = check_model_inputs(program.model, inputs, shapes, f"{name}x")
    if not (program.loss.takes_tuple or is_one_shape(output_shape)):
        raise ValueError(
            f"{type(program.loss).__name__}: expected a model with one output, got outputs of shapes "
            f"{output_shape}; use Heads, with a loss for each output"
        )
    check_entries(targets, output_shape, f"{name}y", "as the model's outputs")
    try:
        prepared = program.loss.prepare_targets(targets, output_shape, program.dtype)
    except ValueError as error:
        entry = str(error).startswith("[")
        raise ValueError(f"{name}y{'' if entry else ': '}{error}") from error
    checked = partial(program.loss.prepare_weights, examples=count, output_shape=output_shape)
    if weights is not None:
        dtype = program.dtype if class_weights is None else "float64"
        weights = checked(weights, dtype=dtype, all_zero=all_zero, name=f"{name}weights")
    if class_weights is not None:
        if isinstance(targets, dict | tuple):
            raise ValueError(
                f"class_weights: expected {name}y as one array of classes, got {entries_text(targets)}; "
                "give weights in place of class_weights, with an array for each output"
            )
        weights = checked(with_class_weights(targets, class_weights, weights), dtype=program.dtype)
    return Examples(inputs, prepared, weights)


def check_model_inputs(model: Layer, inputs: Tree, shapes: tuple[Any, Any], name: str) -> Any:
    """Return the shape of an output for these inputs; shapes are those of training.

    Raises:
        ValueError: the model cannot take inputs of this shape, or their values.
    """
    check_entries(inputs, shapes[0], name)
    output_shape = shapes[1]
    if shape_of(inputs) != shapes[0]:
        output_shape = output_shape_for(model, shapes[0], inputs, name)
    try:
        model.check_inputs(inputs)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return output_shape


def check_validation_data(
    program: TrainingProgram, data: Any, shapes: tuple[Any, Any]
) -> Examples | None:
    """Return (x, y) or (x, y, weights) as checked examples; None for None."""
    if data is None:
        return None
    if not (isinstance(data, tuple | list) and len(data) in (2, 3)):
        raise ValueError(f"validation_data: expected (x, y) or (x, y, weights), got {kind_text(data)}")
    x, y, *weights = data
    inputs = check_inputs(x, program.dtype, "validation x")
    return check_examples(program, inputs, y, weights[0] if weights else None, shapes, "validation ")


def without_left_out(examples: Examples) -> Examples:
    """Return the examples; in place of each of weight 0 is a copy of another one, with weight 0.

    So nothing that is computed depends on an example that is left out: no loss, metric or gradient, in
    which 0 · ∞ would be NaN, and no statistics of a batch. The other examples are copied in turn. If all
    weights are 0, as may be in one batch of many, the inputs become zeros.
    """
    if examples.weights is None:
        return examples
    counts = counting(examples.weights)
    if counts.all():
        return examples
    if not counts.any():
        return examples._replace(x=tree.map(np.zeros_like, examples.x))
    x, targets = rows_of((examples.x, examples.targets), counting_rows(counts))
    return Examples(x, targets, examples.weights)


def counting(weights: Tree) -> HostArray:
    """Return which examples have any weight above 0, (examples,) booleans.

    >>> counting({"price": np.array([1.0, 0.0, 0.0]), "words": np.array([[0, 0], [1, 0], [0, 0]])})
    array([ True,  True, False])
    """
    of_leaves = [leaf.reshape(len(leaf), -1).any(axis=1) for leaf in tree.leaves(weights)]
    return np.asarray(np.logical_or.reduce(of_leaves))


def counting_rows(weights: Tree) -> HostArray:
    """Return a row for each example: its own or, if its weight is 0, those of the others in turn.

    >>> counting_rows(np.array([1.0, 0.0, 2.0, 0.0, 0.0])).tolist()
    [0, 0, 2, 2, 0]
    """
    counts = counting(weights)
    rows = np.arange(len(counts))
    rows[~counts] = np.resize(np.flatnonzero(counts), np.count_nonzero(~counts))
    return rows


def ready(program: TrainingProgram, examples: Examples) -> Examples:
    """Return checked examples `without_left_out`; for a mean loss, their weights have the mean 1.

    The weights of each head have the mean 1.
    """
    examples = without_left_out(examples)
    if examples.weights is None or program.loss.reduction != "mean":
        return examples
    weights = tree.map(partial(_with_mean_1, dtype=program.dtype), examples.weights)
    return examples._replace(weights=weights)


def _with_mean_1(weights: HostArray, dtype: str) -> HostArray:
    return (weights / np.mean(weights, dtype=np.float64)).astype(dtype)


def check_batch(program: TrainingProgram, batch: Any, shapes: tuple[Any, Any]) -> Examples:
    """Return a batch, (x, y) or (x, y, weights), as checked examples."""
    inputs = check_batch_inputs(program, batch)
    _, y, *weights = batch
    weights = weights[0] if weights else None
    return without_left_out(check_examples(program, inputs, y, weights, shapes, all_zero=True))


def check_batch_inputs(program: TrainingProgram, batch: Any) -> Tree:
    """Return the checked inputs of a batch."""
    if not (isinstance(batch, tuple | list) and len(batch) in (2, 3)):
        raise ValueError(f"batches: expected (x, y) or (x, y, weights) each, got {kind_text(batch)}")
    return check_inputs(batch[0], program.dtype)


def with_class_weights(
    targets: HostArray, class_weights: Mapping[Any, float] | str, weights: HostArray | None = None
) -> HostArray:
    """Return the weight of each example, multiplied by the weight of its class.

    "balanced" is n / (K n_k) for class k of K, with n_k of the n examples, so that all classes have the
    same total weight.
    Source: G. King and L. Zeng, Logistic regression in rare events data, 2001; the formula is
    scikit-learn's.

    Args:
        targets: (examples,) or (examples, 1), the class of each example.
        class_weights: numbers of 0 or more by class, 1 for a missing class; or "balanced".
        weights: (examples,) or (examples, 1) float64, or None.

    Raises:
        TypeError, ValueError: the targets are not classes, or a class or a weight is invalid.

    >>> with_class_weights(np.array([0, 0, 0, 1]), "balanced").tolist()
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0]
    """
    if targets.ndim > 2 or targets.shape[1:] not in ((), (1,)):
        count = targets.shape[0]
        raise ValueError(
            f"class_weights: expected y of shape ({count},) or ({count}, 1), one class each, got "
            f"{targets.shape}; for other targets use weights"
        )
    classes, places, counts = np.unique(targets, return_inverse=True, return_counts=True)
    factors = _class_factors(classes, counts, class_weights)[places.reshape(-1)]
    return factors if weights is None else factors.reshape(-1, *(1,) * (weights.ndim - 1)) * weights


def _class_factors(
    classes: HostArray, counts: HostArray, class_weights: Mapping[Any, float] | str
) -> HostArray:
    """Return the weight of each class."""
    if isinstance(class_weights, str) and class_weights == "balanced":
        return np.asarray(counts.sum() / (len(classes) * counts))
    if not isinstance(class_weights, Mapping):
        raise TypeError(
            f'class_weights: expected a dict of weights by class, or "balanced", got {class_weights!r}'
        )
    known = classes.tolist()
    for label, weight in class_weights.items():
        if label not in known:
            shown = ", ".join(map(str, known[:10])) + (", ..." if len(known) > 10 else "")
            raise ValueError(f"class_weights: no example has the class {label!r}, y has {shown}")
        check_number("class_weights", f"the weight of class {label!r}", weight)
        if not 0.0 <= weight < math.inf:
            raise ValueError(
                f"class_weights: expected a finite weight of 0 or more, got {weight} for class {label!r}"
            )
    return np.array([class_weights.get(label, 1.0) for label in known], np.float64)
