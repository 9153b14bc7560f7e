"""The optimizers of the stochastic solvers, whose states hold a scale of the learning rate."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn.optimizers import Adam, Optimizer
from multinn.optimizers.base import SCALE, scale_of_one, zeros

_RATES = ("rate", SCALE)  # the entries of a state that are no sums over the steps before


@dataclass(frozen=True)
class MomentumDescent(Optimizer):
    """v ← μ v - s η g and θ ← θ + v; with Nesterov's momentum, θ ← θ + μ v - s η g, with the new v.

    As in scikit-learn, the learning rate η is part of v. The state has μ v, of which both the next v
    and Nesterov's step are made. η is part of the state, too, where it can change between two fits
    without another program; and so is its scale s, at first 1, which
    `multinn.ReduceLearningRateOnPlateau` changes.
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

    It is 1 at first; `multinn.ReduceLearningRateOnPlateau` changes it. ε stands beside √v as it is, not
    beside its correction √v̂: θ ← θ - s η √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + ε), with m and v of the
    paper. In the sums that Adam keeps, √v is √(1 - β₂) √(Σ β₂ᵏ g²), so that ε / √(1 - β₂) takes the
    place of ε c.
    Source: D. P. Kingma and J. Ba, Adam, ICLR 2015, section 2, where ε is ε̂.
    """

    def init(self, params: Tree) -> Tree:
        """Return Adam's state, and s = 1."""
        return super().init(params) | scale_of_one(params)

    def scaled_epsilon(self, c: Array) -> float:
        """Return ε / √(1 - β₂)."""
        return self.epsilon / math.sqrt(1.0 - self.beta_2)


def make_optimizer(estimator: Any) -> Optimizer:
    """Return the optimizer of an estimator's solver; of lbfgs, one that is not used."""
    rate = float(estimator.learning_rate_init)
    if estimator.solver == "sgd":
        return MomentumDescent(rate, float(estimator.momentum), bool(estimator.nesterovs_momentum))
    return ScaledAdam(rate, float(estimator.beta_1), float(estimator.beta_2), float(estimator.epsilon))


def state_after(before: Any, state: Tree, optimizer: Any, params: Tree) -> Tree:
    """Return the state with which an optimizer goes on after another.

    One with another learning rate, and nothing else, keeps its sums; they depend on what else there is.

    Args:
        before: the other.
        state: that of the other.
        optimizer: the one that goes on.
        params: where it goes on.
    """
    if before == optimizer:
        return state
    first = optimizer.init(params)
    if not keeps_sums(before, optimizer):
        return first
    return state | {name: first[name] for name in _RATES if name in first}


def keeps_sums(before: Any, optimizer: Any) -> bool:
    """Tell whether an optimizer goes on with the sums of another: they differ in the rate at most."""
    return bool(replace(before, learning_rate=optimizer.learning_rate) == optimizer)
