"""Large batches in small pieces."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from backends import Backend, Tree, tree
from multinn.optimizers.base import zeros
from multinn.optimizers.wrappers import Wrapper


@dataclass(frozen=True)
class AccumulateGradients(Wrapper):
    """Another optimizer that makes one update for every few steps, on the mean of their gradients.

    With a loss that is a mean, ``steps`` batches of n examples are one batch of ``steps`` · n, in the
    memory of n. With a loss that is a sum, the other optimizer sees the sum over them all divided by
    ``steps``. Each batch counts the same, also the smaller one at the end of an epoch. Between two
    updates the parameters stay. The mean crosses the ends of epochs and of calls of `fit`: gradients
    that do not fill a mean at the end of a run wait in the state, and the next `fit` adds to them.

    The other optimizer counts its own updates: so does the schedule of its learning rate.

    Attributes:
        optimizer: makes the updates.
        steps: how many gradients make one.

    Raises:
        ValueError: steps is not an integer of at least 1.

    >>> from multinn import Adam
    >>> AccumulateGradients(Adam(), 4).steps
    4
    """

    steps: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.steps, Integral) or self.steps < 1:
            raise ValueError(
                f"AccumulateGradients: expected steps, an integer of at least 1, got {self.steps!r}"
            )

    def init(self, params: Tree) -> Tree:
        """Return the state of the other optimizer, a sum of zeros, and how many gradients are in it."""
        return {
            "optimizer": self.optimizer.init(params),
            "sum": zeros(params),
            "count": np.zeros((1,), np.int32),
        }

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        xp = backend.xp
        total = tree.map(lambda s, g: s + g, state["sum"], gradients)
        count = state["count"] + 1
        complete = xp.reshape(count == self.steps, ())
        mean = tree.map(lambda s: s / float(self.steps), total)
        before = (params, state["optimizer"])
        after = self.optimizer.update(backend, mean, state["optimizer"], params)
        params, inner = tree.map(lambda new, old: xp.where(complete, new, old), after, before)
        total, count = tree.map(lambda s: xp.where(complete, xp.zeros_like(s), s), (total, count))
        return params, {"optimizer": inner, "sum": total, "count": count}

    def inference_parameters(self, backend: Backend, state: Tree, params: Tree) -> Tree:
        """Return those of the other optimizer."""
        return self.optimizer.inference_parameters(backend, state["optimizer"], params)
