"""Models and data whose training steps are traced: one for each gradient case of a layer."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from backends import Tree, tree
from multinn import SGD, HalfSquaredError, Heads, Layer, Loss, Masking, Sequential, Trainer
from multinn.testing.gradient_cases import LAYERS, LayerCase
from multinn.testing.gradient_cases.base import x_of


class Traced(NamedTuple):
    """A model with the inputs and targets of some examples."""

    model: Layer
    x: Tree
    y: Tree

    def trainer(self, **keywords: Any) -> Trainer:
        """Return a trainer of the model by plain SGD, in float64."""
        arguments = {"optimizer": SGD(0.01), "backend": "numpy", "dtype": "float64"} | keywords
        return Trainer(self.model, _loss(self.y), **arguments)


def _loss(y: Tree) -> Loss:
    """Return half of the squared error, for each of several targets."""
    if isinstance(y, dict):
        return Heads({name: _loss(own) for name, own in y.items()})
    return Heads(map(_loss, y)) if isinstance(y, tuple) else HalfSquaredError()


def _traced(case: LayerCase) -> Traced | None:
    """Return the layer as a model, with a mask if it has one; None if only some inputs have one."""
    point = case.draw(0)
    constants = point.constants
    x = x_of(point)
    if not tree.leaves(constants["mask"]):
        return Traced(case.layer, x, constants["dy"])
    if not isinstance(x, np.ndarray):
        return None
    mask = constants["mask"].reshape(*constants["mask"].shape, *(1,) * (x.ndim - 2))
    return Traced(Sequential([Masking(), case.layer]), np.where(mask, x, 0.0), constants["dy"])


def _all() -> Iterator[tuple[str, Traced]]:
    for case in LAYERS:
        if (found := _traced(case)) is not None:
            yield case.name, found


LAYER_MODELS = dict(_all())
