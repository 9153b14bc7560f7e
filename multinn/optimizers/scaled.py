"""A learning rate that can change without another compilation."""

from dataclasses import dataclass

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn.optimizers.base import SCALE, scale_of_one
from multinn.optimizers.wrappers import Wrapper


@dataclass(frozen=True)
class ScaledLearningRate(Wrapper):
    """Multiplies the learning rate of the wrapped optimizer by a scale s from the state.

    The step of each optimizer here is proportional to its learning rate η. Where η leads from θ to θ',
    s η leads to θ + s (θ' - θ). If s = 1, θ' is used as it is, without rounding.

    The scale is 1 at first; `ReduceLearningRateOnPlateau` changes it. A wrapper that uses the parameters
    after the step, such as `ExponentialMovingAverage`, must wrap this one.

    Attributes:
        optimizer: the wrapped optimizer.

    >>> from multinn import Adam
    >>> ScaledLearningRate(Adam(0.01)).optimizer.learning_rate
    0.01
    """

    def init(self, params: Tree) -> Tree:
        """Return the state of the wrapped optimizer, and the scale."""
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
        """Return the inference parameters of the wrapped optimizer."""
        return self.optimizer.inference_parameters(backend, state["optimizer"], params)


def learning_rate_scale(backend: Backend, state: Tree) -> float:
    """Return the scale in the state of an optimizer, which may be inside other wrappers.

    Raises:
        ValueError: the state has no scale.
    """
    for path, leaf in tree.leaves_with_paths(state):
        if _is_scale(path):
            return float(backend.to_numpy(leaf)[0])
    raise ValueError(
        "the learning rate cannot change while training: wrap the optimizer, as in "
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
