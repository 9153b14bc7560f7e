"""Models and data whose training steps are traced: one for each gradient case of a layer."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from multinn import SGD, HalfSquaredError, Layer, Masking, Sequential, Trainer
from multinn.testing.gradient_cases import LAYERS, LayerCase
from multinn.testing.gradient_cases.base import x_of


class Traced(NamedTuple):
    """A model with the inputs and targets of some examples."""

    model: Layer
    x: np.ndarray
    y: np.ndarray

    def trainer(self, **keywords: Any) -> Trainer:
        """Return a trainer of the model by plain SGD, in float64."""
        arguments = {"optimizer": SGD(0.01), "backend": "numpy", "dtype": "float64"} | keywords
        return Trainer(self.model, HalfSquaredError(), **arguments)


def _traced(case: LayerCase) -> Traced | None:
    """Return the layer as a model, with a mask if it has one; None if x or y are several arrays."""
    point = case.draw(0)
    constants = point.constants
    x = x_of(point)
    if not (isinstance(constants["dy"], np.ndarray) and isinstance(x, np.ndarray)):
        return None
    if constants["mask"] is None:
        return Traced(case.layer, x, constants["dy"])
    mask = constants["mask"].reshape(*constants["mask"].shape, *(1,) * (x.ndim - 2))
    return Traced(Sequential([Masking(), case.layer]), np.where(mask, x, 0.0), constants["dy"])


def _all() -> Iterator[tuple[str, Traced]]:
    for case in LAYERS:
        if (found := _traced(case)) is not None:
            yield case.name, found


LAYER_MODELS = dict(_all())
