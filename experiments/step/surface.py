"""The outputs of a network of two inputs and one output, over the plane of its inputs."""

from typing import Any

import numpy as np

from backends import HostArray, get_backend
from multinn import Trainer, functional

_SIZE = 31  # 961 predictions, in one batch
_MARGIN = 0.25  # around the examples, of their range


def surface(trainer: Trainer, x: HostArray, y: HostArray) -> dict[str, Any] | None:
    """Return the outputs on a grid around the examples, for JSON.

    With a loss on logits, such as the binary cross-entropy, the outputs are probabilities.

    Args:
        trainer: the trainer, with parameters.
        x: (examples, 2), the inputs of the examples.
        y: (examples, 1), their targets.

    Returns:
        ``columns`` and ``rows``, the smallest and largest value of each input; ``size``, the number of
        points in a row of the grid; ``values``, the outputs at each point, row by row;
        ``range``, the smallest and largest target; ``points``, the two inputs, the target and the output
        of each example. None if the network has other inputs or outputs, or its outputs are not finite.
    """
    if x.shape[1:] != (2,) or y.shape[1:] != (1,) or x.dtype.kind != "f":
        return None
    low, high = x.min(axis=0), x.max(axis=0)
    margin = np.where(high > low, _MARGIN * (high - low), 1.0)
    columns, rows = np.stack([low - margin, high + margin]).T
    axes = [np.linspace(first, last, _SIZE) for first, last in (columns, rows)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    values, outputs = _predict(trainer, grid), _predict(trainer, x)
    if not (np.isfinite(values).all() and np.isfinite(outputs).all()):
        return None
    return {
        "columns": columns.tolist(),
        "rows": rows.tolist(),
        "size": _SIZE,
        "values": np.round(values.astype(np.float64), 4).tolist(),
        "range": [float(y.min()), float(y.max())],
        "points": np.column_stack([x, y, outputs]).tolist(),
    }


def _predict(trainer: Trainer, x: HostArray) -> HostArray:
    """Return the outputs (n,), as probabilities if they are logits."""
    outputs: HostArray = trainer.predict(x)[:, 0]
    if trainer.program.loss.output_activation != "logistic":
        return outputs
    return np.asarray(functional.sigmoid(get_backend("numpy"), outputs))
