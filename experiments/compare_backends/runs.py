"""Timing of the competitors at one workload: each in processes of its own, in turn, round by round."""

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

# Held against one run in float64: in float32, Adam turns a rounding error in a gradient near zero
# into a step of full size, and the runs part.
AGREEMENT = 1e-9
# Enough for whole and smaller batches, and few enough not to take longer than the timing.
EXAMPLES_TO_AGREE_ON = 1000


@dataclass
class Timing:
    """What one competitor took for one workload.

    Attributes:
        workload: the name of the job.
        competitor: the name of who did it.
        first_call: seconds to prepare and for the first run in the first process, with all that is
            compiled or tried out on the way; None if it did not get there.
        compile: seconds of that to compile; None if the competitor does not know.
        steady: seconds of each timed run after that.
        wall: the same by the clock on the wall, where the competitor has a clock of its own.
        peak_megabytes: how far memory rose above what libraries and data take, in any of the processes;
            None if unknown.
        versions: of the competitor's libraries.
        failed: None, or why it did not get to the end.
        difference: of ours, the largest difference of a parameter to that of the first backend after one
            run in float64, in units of the largest parameter of the same array; None if not compared.
        not_compared: None, or why there was no run in float64.
    """

    workload: str
    competitor: str
    first_call: float | None = None
    compile: float | None = None
    steady: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    peak_megabytes: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    failed: str | None = None
    difference: float | None = None
    not_compared: str | None = None

    @property
    def median(self) -> float | None:
        """The median of the timed runs, if there were any."""
        return statistics.median(self.steady) if self.steady else None


def ratio(one: Timing, other: Timing | None) -> float | None:
    """Return the median of the ratios of the seconds, round by round; None if there are no rounds."""
    if other is None:
        return None
    # Who failed or was interrupted has fewer rounds.
    ratios = [own / base for own, base in zip(one.steady, other.steady, strict=False) if base]
    return statistics.median(ratios) if ratios else None


@dataclass(frozen=True)
class Rounds:
    """How to measure.

    Attributes:
        repeats: timed runs of each competitor.
        processes: how many a competitor has, one after the other, for its runs: where its memory lies is
            luck, and can make all runs of a process twice as slow as those of another.
        examples: the most that a workload may have, or None.
        seed: of all randomness.
        timeout: seconds that one run may take.
    """

    repeats: int
    processes: int
    examples: int | None
    seed: int
    timeout: float

    def of_each_process(self) -> list[range]:
        """Return the numbers of the rounds that each process does."""
        share = -(-self.repeats // self.processes)
        starts = range(0, self.repeats, share)
        return [range(start, min(start + share, self.repeats)) for start in starts]

    def calls(self, competitors: int) -> int:
        """Return how often `measure` advances the progress."""
        return competitors * (self.repeats + len(self.of_each_process()))


def measure(
    workload: Workload, timings: Sequence[Timing], rounds: Rounds, advance: Advance, keep: Keep
) -> None:
    """Fill in the timings of one workload, as they come.

    Args:
        workload: the job.
        timings: of each competitor, still empty.
        rounds: how to measure.
        advance: called after each run.
        keep: called whenever there is more to keep.
    """
    for numbers in rounds.of_each_process():
        with ExitStack() as stack:
            entrants = [_start(stack, timing, rounds) for timing in timings if timing.failed is None]
            for entrant in entrants:
                entrant.attempt(entrant.loaded)
            for entrant in entrants:
                settle(workload.input_bytes)
                entrant.attempt(entrant.first_run)
                advance(1, {workload.name: numbers.start})
            keep()
            for number in numbers:
                # Nobody always runs after the same one.
                for entrant in random.Random(number).sample(entrants, len(entrants)):
                    settle(workload.input_bytes)
                    entrant.attempt(entrant.timed_run)
                    advance(1, {workload.name: number + 1})
                keep()
            for entrant in entrants:
                entrant.attempt(entrant.end)
            keep()


@dataclass
class _Entrant:
    """A competitor's process and its timing; after a failure, it does nothing more."""

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
        self.timing.steady.append(answer["seconds"])
        self.timing.wall.append(answer["wall"])

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
    """Fill in how far the parameters of our backends part in one run in float64, on fewer examples.

    Args:
        workload: a job of training.
        backends: by the name of the competitor.
        timings: of these, the first of them the one that the others are held against.
        seed: of the run.
    """
    smaller = all_workloads(min(workload.examples, EXAMPLES_TO_AGREE_ON))[workload.name]
    x, y = smaller.data()
    reference = None
    for timing in timings:
        try:
            params = parameters_in_float64(smaller, backends[timing.competitor], x, y, seed)
        except Exception as error:  # anybody's backend: it says no more than that this one fails
            timing.not_compared = f"{type(error).__name__}: {' '.join(str(error).split())}"
            continue
        reference = params if reference is None else reference
        timing.difference = max(tree.leaves(tree.map(_difference, params, reference)))


def _difference(own: HostArray, other: HostArray) -> float:
    largest = max(float(np.max(np.abs(other))), 1e-30)
    return float(np.max(np.abs(own - other))) / largest
