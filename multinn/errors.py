"""Errors of training, of descriptions, of checkpoints and of traces."""


class DivergenceError(ArithmeticError):
    """The loss, a parameter or the optimizer's state became NaN or infinite.

    Attributes:
        epoch: the epoch of the divergence, counted from 1.
        step: the step within that epoch, counted from 1.
    """

    def __init__(self, epoch: int, step: int, what: str) -> None:
        super().__init__(
            f"training diverged: {what} at epoch {epoch}, step {step}. The trainer holds the "
            "last finite parameters, or the best ones if EarlyStopping restored them. Try a smaller "
            "learning rate, ClipByGlobalNorm, or inputs scaled to about 1"
        )
        self.epoch = epoch
        self.step = step


class NotInitializedError(RuntimeError):
    """The trainer has no parameters yet."""


class DescriptionError(ValueError):
    """An object cannot be described, or a description is invalid."""


class CheckpointError(ValueError):
    """A file cannot be loaded as a checkpoint; the four subclasses say why."""


class ForeignFileError(CheckpointError):
    """The file is not a checkpoint of this library."""


class DamagedCheckpointError(CheckpointError):
    """The file is truncated, or some of its bits have changed."""


class NewerCheckpointError(CheckpointError):
    """The file is in a format that only a later version of the library can read."""


class InvalidCheckpointError(CheckpointError):
    """The file is undamaged, but its content is invalid or does not fit the trainer."""


class TraceError(ValueError):
    """A file or a text is no trace of this library, or it is damaged or of a later version."""
