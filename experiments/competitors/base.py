"""The interface of competitors: ways to do a workload's job, each timed in a process of its own."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar

from backends import HostArray
from experiments.competitors.workloads import Workload

Run = Callable[[], Any]
"""Does the work of one timed run, and returns when it is done, also on the device."""


class Competitor(ABC):
    """A library, or one way to use it.

    A process creates one competitor and calls `load`, then `prepare`, then the function that `prepare`
    returned: once to warm up, and once per round. Optional libraries are imported only in the methods,
    so that the comparing process can create competitors that are not installed.

    Attributes:
        name: the name in tables and in ``--competitors``.
        requires: the modules that must be importable, such as ``("jax", "optax")``.
        compile_seconds: the seconds of compilation, if known; read after the first run.
    """

    name: str
    requires: ClassVar[tuple[str, ...]] = ()
    compile_seconds: float | None = None

    @abstractmethod
    def supports(self, workload: Workload) -> bool:
        """Return whether it can do this job; its libraries may not be installed."""

    @abstractmethod
    def prepare(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> Run:
        """Build the model, copy the data to the device, and return the function that is timed.

        Each run continues the training of the run before.

        Args:
            workload: the job.
            x: the inputs of `Workload.data`, read-only.
            y: the targets, read-only.
            seed: the seed of the initial parameters and of the order of the examples.
        """

    def load(self) -> None:
        """Import the libraries; this is not timed, and their memory is not counted."""
        for module in self.requires:
            import_module(module)

    def training_seconds(self) -> float | None:
        """Return the seconds that all runs so far spent in training; None if this is not known."""
        return None
