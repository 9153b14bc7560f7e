"""Errors of training."""


class DivergenceError(ArithmeticError):
    """The loss, a parameter or the optimizer's state became NaN or infinite.

    Attributes:
        epoch: the epoch, counted from 1, in which it happened.
        step: the step within that epoch, counted from 1.
    """

    def __init__(self, epoch: int, step: int, what: str) -> None:
        super().__init__(
            f"training diverged: {what} at epoch {epoch}, step {step}. The trainer holds the "
            "last finite parameters. Try a smaller learning rate, ClipByGlobalNorm, or inputs "
            "scaled to about 1"
        )
        self.epoch = epoch
        self.step = step


class NotInitializedError(RuntimeError):
    """The trainer has no parameters yet."""
