"""Timing the competitors on one workload: each in its own processes, in turn, round by round."""

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from backends import Backend, HostArray, tree
from experiments.competitors.framework import parameters_in_float64
from experiments.competitors.process import WorkerFailedError, WorkerProcess
from experiments.competitors.workloads import Workload, all_workloads, settle
from multinn.host.progress import Advance

Keep = Callable[[], None]

# For one run in float64: in float32, Adam turns a rounding error in a gradient near zero into a step of
# full size, and the runs diverge.
AGREEMENT = 1e-9
# Enough for full batches and a smaller last one, and few enough to take less time than the timing.
EXAMPLES_TO_COMPARE = 1000


@dataclass
class Timing:
    """The measurements of one competitor on one workload.

    Attributes:
        workload: the name of the job.
        competitor: the name of the competitor.
        first_call: seconds of the preparation and the first run in the first process, compilation and
            the search for settings included; None if it failed before.
        compile: the part of these seconds that was spent compiling; None if unknown.
        calls: the seconds of each timed run, of `fit` or of the competitor's whole loop.
        training: those of them that were spent in training, without the check and the copy of the
            examples; empty if unknown.
        peak_megabytes: the rise of the memory above libraries and data, the maximum over the processes;
            None if unknown.
        versions: of the competitor's libraries.
        failed: the reason of a failure, or None.
        difference: for our backends, the largest difference of a parameter to that of the first backend
            after one run in float64, relative to the largest of its array; None if not compared.
        not_compared: the reason why there was no run in float64, or None.
    """

    workload: str
    competitor: str
    first_call: float | None = None
    compile: float | None = None
    calls: list[float] = field(default_factory=list)
    training: list[float] = field(default_factory=list)
    peak_megabytes: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    failed: str | None = None
    difference: float | None = None
    not_compared: str | None = None

    @property
    def median(self) -> float | None:
        """The median of the timed runs; None if there are none."""
        return statistics.median(self.calls) if self.calls else None

    @property
    def median_training(self) -> float | None:
        """The median of the seconds of training; None if unknown."""
        return statistics.median(self.training) if self.training else None


def ratio(one: Timing, other: Timing | None) -> float | None:
    """Return the median of the ratios of the seconds, round by round; None if there are no rounds."""
    if other is None:
        return None
    # A competitor that failed or was interrupted has fewer rounds.
    ratios = [own / base for own, base in zip(one.calls, other.calls, strict=False) if base]
    return statistics.median(ratios) if ratios else None


@dataclass(frozen=True)
class Rounds:
    """How to measure.

    Attributes:
        repeats: timed runs of each competitor.
        processes: how many processes share the runs of a competitor, one after the other. The placement
            of memory is random, and can make all runs of one process twice as slow as those of another.
        examples: the maximal number of examples of a workload, or None.
        seed: the seed of all random numbers.
        timeout: the time limit of a run in seconds.
    """

    repeats: int
    processes: int
    examples: int | None
    seed: int
    timeout: float

    def of_each_process(self) -> list[range]:
        """Return the numbers of the rounds that each process runs."""
        share = -(-self.repeats // self.processes)
        starts = range(0, self.repeats, share)
        return [range(start, min(start + share, self.repeats)) for start in starts]

    def calls(self, competitors: int) -> int:
        """Return how often `measure` advances the progress."""
        return competitors * (self.repeats + len(self.of_each_process()))


def measure(
    workload: Workload, timings: Sequence[Timing], rounds: Rounds, advance: Advance, keep: Keep
) -> None:
    """Measure one workload, and fill in its timings.

    Args:
        workload: the job.
        timings: empty timings, one per competitor.
        rounds: how to measure.
        advance: called after each run.
        keep: called after each round, to save the timings.
    """
    for process, numbers in enumerate(rounds.of_each_process(), start=1):
        with ExitStack() as stack:
            entrants = [_start(stack, timing, rounds) for timing in timings if timing.failed is None]
            for entrant in entrants:
                entrant.attempt(entrant.loaded)
            for entrant in entrants:
                settle(workload.input_bytes)
                entrant.attempt(entrant.first_run)
                advance(1, {f"{workload.name} first run, process": process})
            keep()
            for number in numbers:
                # In random order, so that no competitor always runs after the same one.
                for entrant in random.Random(number).sample(entrants, len(entrants)):
                    settle(workload.input_bytes)
                    entrant.attempt(entrant.timed_run)
                    advance(1, {f"{workload.name} round": number + 1})
                keep()
            for entrant in entrants:
                entrant.attempt(entrant.end)
            keep()


@dataclass
class _Entrant:
    """A competitor's process and its timing; it does nothing after a failure."""

    process: WorkerProcess
    timing: Timing

    def attempt(self, part: Callable[[], None]) -> None:
        if self.timing.failed is None:
            try:
                part()
            except WorkerFailedError as error:
                self.timing.failed = str(error)

    def loaded(self) -> None:
        self.timing.versions = self.process.receive()["versions"]

    def first_run(self) -> None:
        answer = self.process.ask("prepare")
        if self.timing.first_call is None:
            self.timing.first_call, self.timing.compile = answer["first_call"], answer["compile"]

    def timed_run(self) -> None:
        answer = self.process.ask("run")
        self.timing.calls.append(answer["call"])
        if answer["training"] is not None:
            self.timing.training.append(answer["training"])

    def end(self) -> None:
        peak = self.process.quit()["peak_megabytes"]
        known = [each for each in (peak, self.timing.peak_megabytes) if each is not None]
        self.timing.peak_megabytes = max(known, default=None)


def _start(stack: ExitStack, timing: Timing, rounds: Rounds) -> _Entrant:
    process = WorkerProcess(
        timing.competitor, timing.workload, rounds.examples, rounds.seed, rounds.timeout
    )
    return _Entrant(stack.enter_context(process), timing)


def compare_parameters(
    workload: Workload, backends: Mapping[str, Backend], timings: Sequence[Timing], seed: int
) -> None:
    """Compare the parameters of our backends after one run in float64, on fewer examples.

    Args:
        workload: a job of training.
        backends: by the name of the competitor.
        timings: those of the backends, whose differences are filled in; the first is the reference.
        seed: the seed of the run.
    """
    smaller = all_workloads(min(workload.examples, EXAMPLES_TO_COMPARE))[workload.name]
    x, y = smaller.data()
    reference = None
    for timing in timings:
        try:
            params = parameters_in_float64(smaller, backends[timing.competitor], x, y, seed)
        except Exception as error:  # a third-party backend may raise anything
            timing.not_compared = f"{type(error).__name__}: {' '.join(str(error).split())}"
            continue
        reference = params if reference is None else reference
        timing.difference = _difference(tree.leaves(params), tree.leaves(reference))


def _difference(own: Sequence[HostArray], other: Sequence[HostArray]) -> float:
    """Return the largest difference of a parameter relative to the largest of its array.

    Biases before a batch normalization are zero up to rounding: the scale is at least a thousandth of
    the largest parameter.
    """
    sizes = [float(np.max(np.abs(array))) for array in other]
    differences = [float(np.max(np.abs(a - b))) for a, b in zip(own, other, strict=True)]
    least = 1e-3 * max(sizes)
    return max(each / max(size, least) for each, size in zip(differences, sizes, strict=True))
