"""Stochastic gradient descent."""

from dataclasses import dataclass

from backends import Backend, Tree, tree
from multinn.descriptions.bounds import check_fractions
from multinn.optimizers.base import Descent, LearningRate, zero_state, zeros


@dataclass(frozen=True)
class SGD(Descent):
    """Stochastic gradient descent: θ ← θ - η g.

    With momentum μ: v ← μ v + g and θ ← θ - η v; with Nesterov's, θ ← θ - η (g + μ v).
    Source: I. Sutskever et al., On the importance of initialization and momentum in deep learning,
    ICML 2013, section 2, with the learning rate taken out of v, as PyTorch has it.

    Raises:
        ValueError: a hyperparameter is out of range, or nesterov is True without momentum.
    """

    learning_rate: LearningRate = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self, "momentum")
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("SGD: nesterov needs a momentum above 0, got 0.0")

    def init(self, params: Tree) -> Tree:
        """Return the step and, with momentum, v = 0."""
        return zero_state(params) | {"v": zeros(params) if self.momentum else None}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        direction, v = gradients, None
        if self.momentum:
            v = tree.map(lambda v, g: self.momentum * v + g, state["v"], gradients)
            direction = v
        if self.nesterov:
            direction = tree.map(lambda g, v: g + self.momentum * v, gradients, v)
        params = self.descend(backend, direction, state, params)
        return params, {"step": state["step"] + 1, "v": v}
