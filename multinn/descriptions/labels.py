"""Descriptions of the labels of classes, for files."""

from typing import Any, Final

import numpy as np

from backends import HostArray
from multinn.errors import DescriptionError

_KEPT: Final = "biufUmM"  # booleans, numbers, text, durations and dates


def describe_labels(labels: HostArray, name: str) -> dict[str, Any]:
    """Return a description of labels for JSON, from which `build_labels` makes the same array.

    Args:
        labels: (classes,).
        name: the name of the labels, for messages.

    Raises:
        DescriptionError: the labels are of a dtype that JSON cannot hold.
    """
    kind = labels.dtype.kind
    if kind not in _KEPT or (kind == "f" and labels.dtype.itemsize > 8):
        raise DescriptionError(
            f"{name}: a file holds labels that are numbers of at most 64 bits, booleans, text, dates or "
            f"durations, got the dtype {labels.dtype}: fit with other labels, such as y.astype(str)"
        )
    # Dates become text of ISO 8601, and durations numbers of their unit.
    written = {"M": str, "m": np.int64}.get(kind, labels.dtype)
    return {"classes": labels.astype(written).tolist(), "dtype": labels.dtype.str}


def build_labels(description: Any) -> HostArray:
    """Return the labels of a description.

    Raises:
        KeyError, TypeError, ValueError: the description is invalid.
    """
    labels = np.array(description["classes"], description["dtype"])
    if labels.dtype.kind not in _KEPT or not np.array_equal(np.unique(labels), labels):
        raise ValueError(f"expected distinct classes in ascending order, got {labels!r}")
    return labels
