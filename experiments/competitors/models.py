"""Shared parts of the competitors: models that train and predict, initial parameters, settings."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from backends import HostArray, Tree, tree
from backends.blas_threads import usable_cores
from experiments.competitors.base import Competitor, Run
from experiments.competitors.networks import Network
from experiments.competitors.workloads import Workload

Setting = Callable[[], object]
"""Switches a library to one of its settings."""

TRIALS = 3
TRIAL_SECONDS = 1.0


class Model(ABC):
    """A network with its data and its optimizer, in some library."""

    @abstractmethod
    def train(self) -> object:
        """Train for all epochs of a timed run, continuing from the run before."""

    @abstractmethod
    def outputs(self) -> HostArray:
        """Return the outputs for all examples: logits, or the library's probabilities."""

    def settings(self) -> Sequence[Setting]:
        """Return settings, from which the first run selects the fastest; empty if there is no choice."""
        return ()


class ModelCompetitor(Competitor):
    """A competitor that builds a `Model`."""

    def supports(self, workload: Workload) -> bool:
        """Return True; a subclass overrides this if it cannot do every job."""
        return True

    @abstractmethod
    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> Model:
        """Return the model for the job; for the arguments see `prepare`."""

    def prepare(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> Run:
        """Build the model, and return the function that trains or predicts, with the fastest setting."""
        model = self.build(workload, x, y, seed)
        run = model.train if workload.task == "train" else model.outputs
        return on_fastest_setting(run, model.settings())


def on_fastest_setting(run: Run, settings: Sequence[Setting]) -> Run:
    """Return a function that runs with the fastest setting, which its first call finds.

    Each setting runs once to warm up and then for a second, but at most three times; the shortest time
    counts.
    """
    is_tuned = len(settings) < 2

    def tuned() -> Any:
        nonlocal is_tuned
        if not is_tuned:
            seconds = [_shortest_seconds(run, setting) for setting in settings]
            settings[int(np.argmin(seconds))]()
            is_tuned = True
        return run()

    return tuned


def _shortest_seconds(run: Run, setting: Setting) -> float:
    setting()
    run()  # PyTorch compiles anew for another number of threads
    seconds: list[float] = []
    while len(seconds) < TRIALS and sum(seconds) < TRIAL_SECONDS:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def thread_settings(set_threads: Callable[[int], object]) -> list[Setting]:
    """Return the settings "one thread" and "one thread per core"."""
    return [partial(set_threads, count) for count in sorted({1, usable_cores().count})]


def blas_thread_settings() -> list[Setting]:
    """Return the thread settings of NumPy's BLAS."""
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController()
    return thread_settings(lambda count: controller.limit(limits=count))


def initial_parameters(network: Network, seed: int) -> Tree:
    """Return the initial parameters of multinn's layers, float32, from that seed."""
    params, _ = network.model().init(np.random.default_rng(seed), network.input_shape)
    return tree.map(np.float32, params)


def epoch_batches(workload: Workload, generator: np.random.Generator) -> list[HostArray]:
    """Return the rows of each batch of an epoch, in a new random order; the last may be smaller."""
    order = generator.permutation(workload.examples)
    return [order[at : at + workload.batch_size] for at in range(0, len(order), workload.batch_size)]
