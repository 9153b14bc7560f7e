"""Large batches as the sum of small ones."""

from dataclasses import dataclass

import numpy as np

from backends import Backend, Tree, tree
from multinn.descriptions.bounds import check_integers
from multinn.optimizers.base import zeros
from multinn.optimizers.wrappers import Wrapper


@dataclass(frozen=True)
class AccumulateGradients(Wrapper):
    """Lets the wrapped optimizer update once every few steps, on the mean of their gradients.

    With a mean loss, ``steps`` batches of n examples act as one batch of ``steps`` · n, in the memory of
    n. With a sum loss, the wrapped optimizer gets the sum over all of them divided by ``steps``. Batches
    have equal weights, even if the last of an epoch is smaller. The parameters do not change between two
    updates. If an epoch or a call of `fit` ends between them, the state keeps the gradients so far for
    the next epoch or call.

    The wrapped optimizer, and the schedule of its learning rate, count updates instead of steps.

    Attributes:
        optimizer: the wrapped optimizer.
        steps: the number of gradients per update.

    Raises:
        ValueError: steps is not an integer of at least 1.

    >>> from multinn import Adam
    >>> AccumulateGradients(Adam(), 4).steps
    4
    """

    steps: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integers(self, "steps")

    def init(self, params: Tree) -> Tree:
        """Return the state of the wrapped optimizer, the sum of the gradients, and their count."""
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
        """Return the inference parameters of the wrapped optimizer."""
        return self.optimizer.inference_parameters(backend, state["optimizer"], params)
