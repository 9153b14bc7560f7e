"""Errors of training, of descriptions and of checkpoints."""


class DivergenceError(ArithmeticError):
    """The loss, a parameter or the optimizer's state became NaN or infinite.

    Attributes:
        epoch: the epoch, counted from 1, in which it happened.
        step: the step within that epoch, counted from 1.
    """

    def __init__(self, epoch: int, step: int, what: str) -> None:
        super().__init__(
            f"training diverged: {what} at epoch {epoch}, step {step}. The trainer holds the "
            "last finite parameters, or those that EarlyStopping restored. Try a smaller learning rate, "
            "ClipByGlobalNorm, or inputs scaled to about 1"
        )
        self.epoch = epoch
        self.step = step


class NotInitializedError(RuntimeError):
    """The trainer has no parameters yet."""


class DescriptionError(ValueError):
    """Something cannot be described, or a description is not one of what it should be."""


class CheckpointError(ValueError):
    """A file cannot be loaded as a checkpoint: one of the four below."""


class ForeignFileError(CheckpointError):
    """The file is something else, no checkpoint of this library."""


class DamagedCheckpointError(CheckpointError):
    """The file is not what was written: it is cut off, or some of its bits have changed."""


class NewerCheckpointError(CheckpointError):
    """The file is in a format that only a later version of the library can read."""


class InvalidCheckpointError(CheckpointError):
    """The file is whole, but what it holds cannot be, or does not fit the trainer."""
