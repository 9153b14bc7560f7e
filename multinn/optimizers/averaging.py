"""An average of the parameters over the steps of training."""

from dataclasses import dataclass

import numpy as np

from backends import Backend, Tree, tree
from multinn.descriptions.bounds import check_fractions
from multinn.optimizers.base import steps_done, sum_of_powers
from multinn.optimizers.wrappers import Wrapper


@dataclass(frozen=True)
class ExponentialMovingAverage(Wrapper):
    """Averages the parameters of the wrapped optimizer over all steps, for inference.

    The average does not change training; `Trainer.evaluate` and `Trainer.predict` use it, as it
    fluctuates less than θ. It is the weighted mean a of θ after each step, in which θ of k steps ago has
    the weight βᵏ. The weights sum to b_t = 1 + β + ⋯ + βᵗ⁻¹ = β b_{t-1} + 1, and from
    b_t a_t = β b_{t-1} a_{t-1} + θ,

        a ← a + w (θ - a)    where w = 1 / b_t.

    At t = 1, w is 1: the initial parameters have no weight. A wrapper that skips updates, such as
    `AccumulateGradients`, must wrap this one.

    Sources: B. T. Polyak and A. B. Juditsky, Acceleration of stochastic approximation by averaging,
    SIAM Journal on Control and Optimization 30, 1992; D. P. Kingma and J. Ba, Adam, ICLR 2015,
    section 7.2.

    Attributes:
        optimizer: the wrapped optimizer.
        decay: β; the average covers about the last 1 / (1 - β) steps.

    Raises:
        ValueError: decay is not in [0, 1).

    >>> from multinn import Adam
    >>> ExponentialMovingAverage(Adam()).decay
    0.999
    """

    decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self, "decay")

    def init(self, params: Tree) -> Tree:
        """Return the wrapped optimizer's state, the step, and the parameters as the first average."""
        return {
            "optimizer": self.optimizer.init(params),
            "step": np.zeros((1,), np.int32),
            "average": tree.map(np.copy, params),
        }

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        t = steps_done(backend, state, params) + 1.0
        weight = 1.0 / sum_of_powers(backend, self.decay, t)
        params, inner = self.optimizer.update(backend, gradients, state["optimizer"], params)
        average = tree.map(lambda a, p: a + weight * (p - a), state["average"], params)
        return params, {"optimizer": inner, "step": state["step"] + 1, "average": average}

    def inference_parameters(self, backend: Backend, state: Tree, params: Tree) -> Tree:
        """Return the average."""
        return state["average"]
