"""A trainer in files, in copies and in other processes."""

from typing import Any, Self

from backends import Backend, get_backend
from multinn import checkpoints
from multinn.base_trainer import BaseTrainer
from multinn.checkpoints import PathLike, Progress
from multinn.interrupts import uninterrupted


class PortableTrainer(BaseTrainer):
    """What brings a trainer elsewhere, and back."""

    def save(self, path: PathLike) -> None:
        """Write a checkpoint, from which `load` goes on as if the run had never stopped.

        One safetensors file, written whole or not at all: on any failure, what was there stays. It holds
        all that training changes, the history, and descriptions of the model, the loss, the optimizer
        and the metrics, but no data and no code.

        Args:
            path: replaced where it exists; its folder has to.

        Raises:
            DescriptionError: a class or a metric is not registered, such as a lambda.
            ImportError: safetensors is not installed.
            NotInitializedError: there are no parameters yet.
            OSError: the file cannot be written.
        """
        checkpoints.save(path, self.program, self._progress())

    @classmethod
    def load(cls, path: PathLike, backend: str | Backend | None = None) -> Self:
        """Return a trainer as it was when it was saved.

        On the backend that it was trained on, a run goes on with the same bits; on another, it agrees to
        rounding. No code in the file runs, and what it holds is checked; but a forged one can ask for
        the normalization of more features than memory holds.

        Args:
            path: of a checkpoint.
            backend: as in `backends.get_backend`; the file does not choose it.

        Raises:
            BackendError: the backend, or the dtype on it, cannot be had.
            CheckpointError: ForeignFileError, the file is something else; DamagedCheckpointError, it is
                cut off or has changed; NewerCheckpointError, it needs a later version of the library;
                InvalidCheckpointError, what it holds cannot be.
            ImportError: safetensors is not installed.
            OSError: the file cannot be read.
        """
        program, progress = checkpoints.load(path, get_backend(backend))
        trainer = cls(
            program.model,
            program.loss,
            program.optimizer,
            metrics=program.metrics,
            backend=program.backend,
            dtype=program.dtype,
            seed=progress.seed,
        )
        trainer._resume(progress)
        return trainer

    def load_state(self, path: PathLike) -> None:
        """Take from a checkpoint what training changes, and the seed; keep loss, optimizer and metrics.

        The model has to be the same, and the state of the optimizer has to fit: so training can go on
        with another learning rate. If it fails, the trainer stays as it is.

        Args:
            path: of a checkpoint.

        Raises:
            CheckpointError: as in `load`; InvalidCheckpointError, too, if it does not fit this trainer.
            ImportError, OSError: as in `load`.
        """
        self._resume(checkpoints.load_progress(path, self.program))

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy, or another process, needs: the state as arrays of NumPy."""
        return self.__dict__ | {"state": self.backend.to_numpy(self.state)}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        self.__dict__.update(attributes)
        with self.backend.precision(self.dtype):
            self.state = self.backend.from_numpy(self.state)

    def _progress(self) -> Progress:
        """Return how far training has come."""
        shapes = self._known_shapes()
        state = self.backend.to_numpy(self.state)
        return Progress(state, self.seed, self.epoch, self.step, shapes, self.history)

    def _resume(self, progress: Progress) -> None:
        """Go on from there."""
        with self.backend.precision(self.dtype):
            state = self.backend.sync(self.backend.from_numpy(progress.state))
        with uninterrupted():
            self.state = state
            self.seed = progress.seed
            self.epoch = progress.epoch
            self.step = progress.step
            self.history = progress.history
            self._shapes = progress.shapes
