"""Models and data whose training steps are traced: one for each gradient case of a layer."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from multinn import SGD, HalfSquaredError, Layer, Masking, Sequential, Trainer
from multinn.testing.gradient_cases import LAYERS, LayerCase


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
    """Return the case's layer as a model, with a mask if it has one; None if it has several outputs."""
    point = case.draw(0)
    variables, constants = point
    if isinstance(constants["dy"], tuple):
        return None
    x = np.asarray(variables.get("x", constants.get("x")))
    if constants["mask"] is None:
        return Traced(case.layer, x, constants["dy"])
    mask = constants["mask"].reshape(*constants["mask"].shape, *(1,) * (x.ndim - 2))
    return Traced(Sequential([Masking(), case.layer]), np.where(mask, x, 0.0), constants["dy"])


def _all() -> Iterator[tuple[str, Traced]]:
    for case in LAYERS:
        if (found := _traced(case)) is not None:
            yield case.name, found


LAYER_MODELS = dict(_all())
