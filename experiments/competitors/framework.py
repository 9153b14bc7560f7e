"""multinn itself, on any backend."""

from typing import Any

from backends import Backend, HostArray, get_backend
from experiments.competitors.base import Competitor, Run
from experiments.competitors.workloads import Workload
from experiments.shared.interrupted import raise_if_interrupted
from multinn import Trainer


class Framework(Competitor):
    """multinn's trainer.

    The time of training is the trainer's own: the planning of the epochs with their random orders, and
    the steps. Each call of `fit` also checks the examples and copies them to the backend.
    """

    def __init__(self, backend: str) -> None:
        """Use the backend of that name; see `backends.get_backend`."""
        self.name = f"multinn {backend}"
        self._backend = backend
        self._trainer: Trainer | None = None

    def load(self) -> None:
        """Import and start the array library."""
        get_backend(self._backend)

    def supports(self, workload: Workload) -> bool:
        """Return True."""
        return True

    def prepare(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> Run:
        """Return a function that trains for the epochs of another run, or that predicts."""
        trainer = workload.trainer(get_backend(self._backend), seed)

        def run() -> None:
            train(workload, trainer, x, y)
            self.compile_seconds = trainer.seconds.compile

        def predict() -> HostArray:
            outputs: HostArray = trainer.predict(x)
            self.compile_seconds = trainer.seconds.compile
            return outputs

        if workload.task == "predict":
            return predict
        self._trainer = trainer
        return run

    def training_seconds(self) -> float | None:
        """Return the trainer's seconds of training so far; None if nothing is trained."""
        return None if self._trainer is None else self._trainer.seconds.train


def train(workload: Workload, trainer: Trainer, x: HostArray, y: HostArray) -> None:
    """Train for the epochs of one run, in one compiled call."""
    raise_if_interrupted(
        trainer.fit(
            x,
            y,
            epochs=workload.epochs,
            batch_size=workload.batch_size,
            shuffle=workload.shuffle,
            report_every=workload.epochs,
            progress=False,
        )
    )


def parameters_in_float64(
    workload: Workload, backend: Backend, x: HostArray, y: HostArray, seed: int
) -> Any:
    """Return the parameters after one run in float64, a tree of NumPy arrays."""
    trainer = workload.trainer(backend, seed, "float64")
    train(workload, trainer, x, y)
    return backend.to_numpy(trainer.params)
