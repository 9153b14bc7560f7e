"""What a competitor is: a way to do a workload's job, timed in a process of its own."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar

from backends import HostArray
from experiments.competitors.workloads import Workload

Run = Callable[[], Any]
"""Does all the work of one timed run, and returns when it is done, on the device, too."""


class Competitor(ABC):
    """One library, or one way to use it.

    A process makes one competitor, and calls `load`, `prepare`, and then what `prepare` returned, first
    once to warm up, then once a round. It imports optional libraries in its methods only, so that the
    process that compares can look at the class where they are not installed.

    Attributes:
        name: as in tables and in ``--competitors``.
        requires: the modules that must be importable, such as ``("jax", "optax")``.
        compile_seconds: what compiling took, if the competitor knows; read after the first run.
    """

    name: str
    requires: ClassVar[tuple[str, ...]] = ()
    compile_seconds: float | None = None

    @abstractmethod
    def supports(self, workload: Workload) -> bool:
        """Return whether it can do this job; asked where its libraries may not be installed."""

    @abstractmethod
    def prepare(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> Run:
        """Build the model, bring the data where it is wanted, and return what is timed.

        What a run trained is where the next one goes on: no run initializes anew.

        Args:
            workload: the job.
            x: its inputs, as from `Workload.data`; not to be changed.
            y: its targets, likewise.
            seed: of the first parameters and of the orders of the examples.
        """

    def load(self) -> None:
        """Import the libraries; memory is counted from here, and nothing here is timed."""
        for module in self.requires:
            import_module(module)

    def clock(self) -> float:
        """Return the time in seconds; a run took what this differs by before and after it."""
        return time.perf_counter()
