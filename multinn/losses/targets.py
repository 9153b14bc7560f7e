"""Checks of targets on the host."""

import numpy as np

from backends import HostArray, Shape
from multinn.host.checks import first_place, rounded


def check_values(
    name: str, expected: str, targets: HostArray, wrong: HostArray, form: str = "", remedy: str = ""
) -> None:
    """Raise ValueError if ``wrong`` is True anywhere, with the first such target and its place.

    Args:
        name: the name of the loss.
        expected: a description of valid targets.
        targets: (examples, ...).
        wrong: booleans, in the shape of the first axes of the targets.
        form: the format of the target in the message.
        remedy: the end of the message.
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
        name: the name of the loss.
        targets: (examples, ...).
        output_shape: (..., classes), the shape of one output.
        ignored_class: another integer to allow.

    Raises:
        ValueError: wrong shape, or a target is not one of the classes.
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
    check_values(name, expected, targets, wrong, "g", remedy)
    return targets.astype(np.int32)


def as_probabilities(name: str, targets: HostArray, dtype: str) -> HostArray:
    """Return probabilities in that dtype, divided by their sums along the last axis.

    Raises:
        ValueError: a probability is negative, or a sum is not 1.
    """
    sums = targets.sum(axis=-1, keepdims=True)
    wrong = (np.abs(sums[..., 0] - 1.0) > 1e-3) | (targets < 0).any(axis=-1)
    check_values(name, "probabilities of 0 or more that sum to 1", targets, wrong)
    return rounded(targets / sums, dtype, "targets")
