"""A learning rate that can change while a compiled program runs on."""

from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn.optimizers.base import SCALE, scale_of_one
from multinn.optimizers.wrappers import Wrapper


@dataclass(frozen=True)
class ScaledLearningRate(Wrapper):
    """Another optimizer, whose learning rate is multiplied by a scale that its state holds.

    The update of every optimizer here is a step of η times something that η does not enter. With θ' the
    parameters after that step, those of a learning rate s η are θ + s (θ' - θ). At s = 1, that is θ'.

    The scale is 1 at first; `ReduceLearningRateOnPlateau` changes it. What follows the parameters, such
    as `ExponentialMovingAverage`, belongs outside of this wrapper.

    Attributes:
        optimizer: makes the updates.

    >>> from multinn import Adam
    >>> ScaledLearningRate(Adam(0.01)).optimizer.learning_rate
    0.01
    """

    def init(self, params: Tree) -> Tree:
        """Return the state of the other optimizer, and the scale."""
        return {"optimizer": self.optimizer.init(params)} | scale_of_one(params)

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        scale = xp.reshape(state[SCALE], ())
        updated, inner = self.optimizer.update(backend, gradients, state["optimizer"], params)
        unscaled = scale == 1.0

        def scaled(new: Array, old: Array) -> Array:
            return xp.where(unscaled, new, old + scale * (new - old))

        return tree.map(scaled, updated, params), {"optimizer": inner, SCALE: state[SCALE]}

    def inference_parameters(self, backend: Backend, state: Tree, params: Tree) -> Tree:
        """Return those of the other optimizer."""
        return self.optimizer.inference_parameters(backend, state["optimizer"], params)


def learning_rate_scale(backend: Backend, state: Tree) -> float:
    """Return the scale that the state of an optimizer holds, wherever the wrapper stands.

    Raises:
        ValueError: there is none.
    """
    for path, leaf in tree.leaves_with_paths(state):
        if _is_scale(path):
            return float(backend.to_numpy(leaf)[0])
    raise ValueError(
        "the learning rate cannot be changed while training: wrap the optimizer, as in "
        "ScaledLearningRate(Adam())"
    )


def with_learning_rate_scale(backend: Backend, state: Tree, scale: float) -> Tree:
    """Return the state of an optimizer with another scale."""

    def changed(path: str, leaf: Array) -> Array:
        if not _is_scale(path):
            return leaf
        return backend.from_numpy(np.full((1,), scale, backend.to_numpy(leaf).dtype))

    return tree.map_with_paths(changed, state)


def _is_scale(path: str) -> bool:
    return path.rpartition(".")[2] == SCALE
