"""The optimizers of the stochastic solvers. Their states hold a scale of the learning rate."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn.optimizers import Adam, Optimizer
from multinn.optimizers.base import SCALE, scale_of_one, zeros

_RATES = ("rate", SCALE)  # the entries of a state that a new learning rate resets


@dataclass(frozen=True)
class MomentumDescent(Optimizer):
    """v ← μ v - s η g and θ ← θ + v; with Nesterov's momentum, θ ← θ + μ v - s η g, with the new v.

    As in scikit-learn, the learning rate η is part of v. The state holds μ v, from which both the next
    v and Nesterov's step are computed. It also holds η, which can change between two fits without
    compiling again, and the scale s, which is 1 until `multinn.ReduceLearningRateOnPlateau` changes it.
    Source: I. Sutskever et al., On the importance of initialization and momentum in deep learning,
    ICML 2013, section 2.
    """

    learning_rate: float
    momentum: float
    nesterov: bool

    def init(self, params: Tree) -> Tree:
        """Return η, s = 1 and μ v = 0."""
        scale = scale_of_one(params)
        rate = np.full_like(scale[SCALE], self.learning_rate)
        return {"rate": rate, "momentum": zeros(params)} | scale

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        rate = state["rate"] * state[SCALE]
        fall = tree.map(lambda g: rate * g, gradients)
        v = tree.map(lambda m, f: m - f, state["momentum"], fall)
        momentum = tree.map(lambda v: self.momentum * v, v)
        step = tree.map(lambda m, f: m - f, momentum, fall) if self.nesterov else v
        return tree.map(lambda p, s: p + s, params, step), state | {"momentum": momentum}


@dataclass(frozen=True)
class ScaledAdam(Adam):
    """Adam as in scikit-learn, with the learning rate s η, where the scale s is part of the state.

    The scale is 1 until `multinn.ReduceLearningRateOnPlateau` changes it. ε is added to √v, not to its
    corrected √v̂: θ ← θ - s η √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + ε), with m and v of the paper. Therefore
    ε replaces ε c.
    Source: D. P. Kingma and J. Ba, Adam, ICLR 2015, section 2, where ε is ε̂.
    """

    def init(self, params: Tree) -> Tree:
        """Return Adam's state, and s = 1."""
        return super().init(params) | scale_of_one(params)

    def scaled_epsilon(self, c: Array) -> float:
        """Return ε."""
        return self.epsilon


def make_optimizer(estimator: Any) -> Optimizer:
    """Return the optimizer of an estimator's solver; for lbfgs, an unused one."""
    rate = float(estimator.learning_rate_init)
    if estimator.solver == "sgd":
        return MomentumDescent(rate, float(estimator.momentum), bool(estimator.nesterovs_momentum))
    return ScaledAdam(rate, float(estimator.beta_1), float(estimator.beta_2), float(estimator.epsilon))


def transfer_state(source: Any, state: Tree, target: Any, params: Tree) -> Tree:
    """Return the state with which ``target`` continues after ``source``, at these parameters.

    If only the learning rates differ, the rate and its scale are reset. If more differs, all is.
    """
    if source == target:
        return state
    initial = target.init(params)
    if not equal_except_rate(source, target):
        return initial
    return state | {name: initial[name] for name in _RATES if name in initial}


def equal_except_rate(one: Any, other: Any) -> bool:
    """Return whether two optimizers are equal, apart from their learning rates."""
    return bool(replace(one, learning_rate=other.learning_rate) == other)
