"""Checks of targets on the host, before they reach a library that would not complain."""

import numpy as np

from backends import HostArray, Shape
from multinn.host.checks import first_place, rounded


def refuse(
    name: str, expected: str, targets: HostArray, wrong: HostArray, form: str = "", remedy: str = ""
) -> None:
    """Raise ValueError with the first of the targets where ``wrong`` is True, and its place.

    Args:
        name: of the loss.
        expected: what each target has to be.
        targets: (examples, ...).
        wrong: booleans, of the first axes of the targets.
        form: of the target in the message.
        remedy: comes last in the message.
    """
    if wrong.any():
        index, where = first_place(wrong)
        raise ValueError(f"{name}: expected {expected}, got {targets[index]:{form}} at {where}{remedy}")


def check_shape(name: str, targets: HostArray, output_shape: Shape) -> None:
    """Raise ValueError unless each target has the shape of an output."""
    if targets.shape[1:] != output_shape:
        raise ValueError(
            f"{name}: expected targets of shape {('examples', *output_shape)}, as "
            f"the model's outputs, got {targets.shape}; reshape one of them"
        )


def as_classes(
    name: str, targets: HostArray, output_shape: Shape, ignored_class: int | None = None
) -> HostArray:
    """Return integer classes as int32.

    Args:
        name: of the loss.
        targets: (examples, ...).
        output_shape: (..., classes), the shape of one output.
        ignored_class: one more that is allowed.

    Raises:
        ValueError: wrong shape, or none of the classes.
    """
    if not output_shape or targets.shape[1:] != output_shape[:-1]:
        raise ValueError(
            f"{name}: expected targets of shape {('examples', *output_shape[:-1])}, integer classes, "
            f"for outputs of shape {('examples', *output_shape)}, got {targets.shape}"
        )
    classes = output_shape[-1]
    wrong = (targets < 0) | (targets >= classes) | (targets != np.floor(targets))
    expected = f"integer classes in 0..{classes - 1}"
    if ignored_class is not None:
        wrong &= targets != ignored_class
        expected += f" or {ignored_class}, which is ignored"
    remedy = "; number the classes from 0, or give the model an output for each"
    refuse(name, expected, targets, wrong, "g", remedy)
    return targets.astype(np.int32)


def as_probabilities(name: str, targets: HostArray, dtype: str) -> HostArray:
    """Return probabilities in that dtype, divided by their sums.

    Raises:
        ValueError: one is negative, or they do not sum to 1 along the last axis.
    """
    sums = targets.sum(axis=-1, keepdims=True)
    wrong = (np.abs(sums[..., 0] - 1.0) > 1e-3) | (targets < 0).any(axis=-1)
    refuse(name, "probabilities of 0 or more that sum to 1", targets, wrong)
    return rounded(targets / sums, dtype, "targets")
