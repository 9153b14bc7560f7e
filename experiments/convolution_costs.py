"""Measure how fast convolutions do their arithmetic: strided, dilated, grouped, transposed, 1D.

Groups divide the arithmetic, but not the copying of inputs and outputs: with many groups, memory traffic
dominates. On Linux, XLA allocates temporary arrays above 32 MiB anew at each call, and their page faults
can take longer than the arithmetic. This is avoided with MALLOC_ARENA_MAX=1,
MALLOC_MMAP_THRESHOLD_=4000000000 and MALLOC_TRIM_THRESHOLD_=8000000000 in the environment.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np

from backends import Array, Backend, Tree, tree
from experiments.competitors.workloads import settle
from experiments.shared.command_line import (
    add_backends,
    add_count,
    load_backends,
    make_parser,
    run_script,
)
from experiments.shared.errors import UsageError
from experiments.shared.records import make_comparison_record, write_json
from experiments.shared.tables import format_table, paragraph, ratio_text, seconds_text
from multinn import Conv1D, Conv2D, ConvTranspose2D, Layer
from multinn.host.progress import Advance, progress


@dataclass(frozen=True)
class Job:
    """A layer and its inputs.

    Attributes:
        name: the name in the table; the first job is the reference for the ratios.
        layer: the layer, without a bias.
        shape: the shape of one example.
    """

    name: str
    layer: Layer
    shape: tuple[int, ...]

    def windows(self) -> int:
        """Return how many windows of an example are multiplied by the weights."""
        if isinstance(self.layer, ConvTranspose2D):
            return int(np.prod(self.shape[:-1]))
        output_shape = self.layer.init(np.random.default_rng(0), self.shape)[1]
        return int(np.prod(output_shape[:-1]))


@dataclass
class Cost:
    """The time of one job on one backend.

    Attributes:
        job: the name of the job.
        backend: the name of the backend.
        gflop: billions of multiplications and additions of y, dx and dW, 2 for each weight and window.
        seconds: the seconds of a forward and backward pass, in each round.
    """

    job: str
    backend: str
    gflop: float
    seconds: list[float] = field(default_factory=list)


def jobs(size: int, channels: int) -> list[Job]:
    """Return the jobs, on images of that size, and on sequences as long as an image has pixels."""
    images, sequences = (size, size, channels), (size * size, channels)
    half = (size // 2, size // 2, channels)
    convolution = partial(Conv2D, channels, 3, use_bias=False)
    along_time = partial(Conv1D, channels, 9, use_bias=False)
    transposed = partial(ConvTranspose2D, channels, 3, use_bias=False)
    return [
        Job("Conv2D", convolution(), images),
        Job("Conv2D same", convolution(padding="same"), images),
        Job("Conv2D stride 2", convolution(stride=2, padding="same"), images),
        Job("Conv2D dilation 2", convolution(dilation=2, padding="same"), images),
        Job("Conv2D 4 groups", convolution(groups=4, padding="same"), images),
        Job("Conv2D depthwise", convolution(groups=channels, padding="same"), images),
        Job("Conv1D", along_time(), sequences),
        Job("Conv1D causal, dilation 4", along_time(dilation=4, padding="causal"), sequences),
        Job("ConvTranspose2D", transposed(), images),
        Job("ConvTranspose2D stride 2", transposed(stride=2, padding="same"), half),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser("convolution_costs", __doc__ or "", pictures=False)
    add_backends(parser)
    add_count(parser, "--repeats", 9, "timed rounds")
    add_count(parser, "--batch-size", 16, "examples in a pass")
    add_count(parser, "--size", 28, "height and width of the images")
    add_count(parser, "--channels", 64, "channels of inputs and outputs, a multiple of 4")
    return run_script(_run, parser, arguments)


def _run(options: argparse.Namespace) -> int:
    backends = load_backends(options)
    try:
        all_jobs = jobs(options.size, options.channels)
        for job in all_jobs:
            job.windows()
    except ValueError as error:
        raise UsageError(str(error)) from error
    start = time.perf_counter()
    with progress(len(backends) * (options.repeats + 1), "round") as advance:
        costs = [
            _measure(all_jobs, name, backend, options, advance) for name, backend in backends.items()
        ]
    text = (
        f"Forward and backward passes in float32, batch size {options.batch_size}: medians of "
        f"{options.repeats} rounds. Relative speed: GFLOP per second divided by that of "
        f"{all_jobs[0].name}, the median over the rounds."
    )
    print(paragraph(text))
    for name, own in zip(backends, costs, strict=True):
        print(f"\n{name}\n\n{_table(own)}")
    if options.json:
        results = [asdict(cost) for own in costs for cost in own]
        seconds = {"measure": time.perf_counter() - start}
        record = make_comparison_record(
            "convolution_costs", options, backends, "float32", results, seconds
        )
        write_json(options.json, record)
    return 0


def _measure(
    all_jobs: Sequence[Job], name: str, backend: Backend, options: argparse.Namespace, advance: Advance
) -> list[Cost]:
    """Time the jobs round by round, in a random order; the first round is not timed."""
    costs = []
    passes = []
    for job in all_jobs:
        params, one_pass = _prepare(job, backend, options.batch_size, options.seed)
        operations = 6.0 * params * job.windows() * options.batch_size
        costs.append(Cost(job.name, name, operations / 1e9))
        passes.append(one_pass)
    for index in range(options.repeats + 1):
        settle()
        for place in random.Random(index).sample(range(len(costs)), len(costs)):
            cost, one_pass = costs[place], passes[place]
            start = time.perf_counter()
            one_pass()
            if index:
                cost.seconds.append(time.perf_counter() - start)
        advance(1, {})
    return costs


def _prepare(job: Job, backend: Backend, batch_size: int, seed: int) -> tuple[int, Callable[[], Tree]]:
    """Return the number of parameters, and a function that runs the compiled passes."""

    def passes(params: Tree, x: Array, dy: Array) -> Tree:
        y, cache = job.layer.forward(backend, params, x)
        dx, gradients = job.layer.backward(backend, params, cache, dy)
        return y, dx, gradients

    generator = np.random.default_rng(seed)
    params, output_shape = job.layer.init(generator, job.shape)
    x, dy = (generator.normal(size=(batch_size, *shape)) for shape in (job.shape, output_shape))
    host = tree.map(lambda leaf: leaf.astype(np.float32), (params, x, dy))
    arguments = backend.from_numpy(host)
    compiled = backend.jit(passes, *arguments)
    return params["W"].size, lambda: backend.sync(compiled(*arguments))


def _table(costs: Sequence[Cost]) -> str:
    rows = []
    for cost in costs:
        pairs = zip(cost.seconds, costs[0].seconds, strict=True)
        work = cost.gflop / costs[0].gflop
        ratio = statistics.median(work * base / own for own, base in pairs)
        seconds = statistics.median(cost.seconds)
        speed = cost.gflop / seconds
        cells = [f"{cost.gflop:.3g}", seconds_text(seconds), f"{speed:.3g}", ratio_text(ratio)]
        rows.append([cost.job, *cells])
    return format_table(["layer", "GFLOP", "seconds", "GFLOP/s", "relative\nspeed"], rows)


if __name__ == "__main__":
    sys.exit(main())
