"""Lion: every parameter moves by the same length."""

from dataclasses import dataclass

from backends import Backend, Tree, tree
from multinn.descriptions.bounds import check_fractions
from multinn.optimizers.base import Descent, LearningRate, zero_state


@dataclass(frozen=True)
class Lion(Descent):
    """θ ← θ - η sign(β₁ m + (1 - β₁) g), then m ← β₂ m + (1 - β₂) g.

    Each parameter moves by η. Good values of η are 3 to 10 times smaller than for Adam, and those of λ
    larger by the same factor.
    Source: X. Chen et al., Symbolic discovery of optimization algorithms, NeurIPS 2023, algorithm 2.

    Raises:
        ValueError: a hyperparameter is out of range.
    """

    learning_rate: LearningRate = 0.0001
    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self, "beta_1", "beta_2")

    def init(self, params: Tree) -> Tree:
        """Return the step, and m = 0."""
        return zero_state(params, "m")

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        beta_1, beta_2 = self.beta_1, self.beta_2
        direction = tree.map(
            lambda m, g: backend.xp.sign(beta_1 * m + (1.0 - beta_1) * g), state["m"], gradients
        )
        m = tree.map(lambda m, g: beta_2 * m + (1.0 - beta_2) * g, state["m"], gradients)
        params = self.descend(backend, direction, state, params)
        return params, {"step": state["step"] + 1, "m": m}
