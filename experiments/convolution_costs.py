"""What convolutions cost for their arithmetic: strided, dilated, in groups, transposed, along time.

Groups divide the arithmetic, but not the copies of rows of the inputs and sums of rows of the outputs:
with many groups, it is memory that is paid for. On Linux, XLA's temporary arrays above 32 MiB come from
fresh memory at every call, and can cost more in page faults than in arithmetic; with MALLOC_ARENA_MAX=1,
MALLOC_MMAP_THRESHOLD_=4000000000 and MALLOC_TRIM_THRESHOLD_=8000000000 in the environment they do not.
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
    chosen_backends,
    make_parser,
    positive,
    run_script,
)
from experiments.shared.records import make_comparison_record, write_json
from experiments.shared.tables import format_table
from multinn import Conv1D, Conv2D, ConvTranspose2D, Layer
from multinn.host.progress import Advance, progress
from multinn.layers.images.windows import from_planes, to_planes


@dataclass(frozen=True)
class Job:
    """A layer and its inputs.

    Attributes:
        name: for the table; that of the first job is what the others are held against.
        layer: the layer, whose parameters are W alone.
        shape: of one example.
    """

    name: str
    layer: Layer
    shape: tuple[int, ...]

    def windows(self) -> int:
        """Return how many windows of an example meet the weights."""
        if isinstance(self.layer, ConvTranspose2D):
            return int(np.prod(self.shape[:-1]))
        output_shape = self.layer.init(np.random.default_rng(0), self.shape)[1]
        return int(np.prod(output_shape[:-1]))


@dataclass
class Cost:
    """What one job takes on one backend.

    Attributes:
        job: its name.
        backend: the name of the backend.
        gflop: billions of multiplications and additions of y, dx and dW, 2 for each weight and window.
        seconds: of each forward and backward pass together, round by round.
    """

    job: str
    backend: str
    gflop: float
    seconds: list[float] = field(default_factory=list)


def jobs(size: int, channels: int) -> list[Job]:
    """Return the jobs, on images of that size, and on sequences as long as these have pixels."""
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
    """Run the script, and return its exit status.

    Args:
        arguments: those of the command line if None.
    """
    parser = make_parser("convolution_costs", __doc__ or "", figures=False)
    add_backends(parser)
    parser.add_argument("--repeats", type=positive, default=9, help="timed passes of each job")
    parser.add_argument("--batch-size", type=positive, default=16, help="examples in a pass")
    parser.add_argument("--size", type=positive, default=28, help="height and width of the images")
    parser.add_argument(
        "--channels", type=positive, default=64, help="of inputs and outputs, a multiple of 4"
    )
    return run_script(_run, parser, arguments)


def _run(options: argparse.Namespace) -> int:
    backends = chosen_backends(options)
    try:
        all_jobs = jobs(options.size, options.channels)
        for job in all_jobs:
            job.windows()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    start = time.perf_counter()
    with progress(len(backends) * (options.repeats + 1), "round") as advance:
        costs = [
            _measure(all_jobs, name, backend, options, advance) for name, backend in backends.items()
        ]
    print(
        f"Forward and backward passes in float32, batch {options.batch_size}: medians of "
        f"{options.repeats} rounds\n"
    )
    for name, own in zip(backends, costs, strict=True):
        print(f"{name}\n\n{_table(own)}\n")
    print(f"ratio: of GFLOP a second, to {all_jobs[0].name}, round by round")
    if options.json:
        results = [asdict(cost) for own in costs for cost in own]
        seconds = {"measure": time.perf_counter() - start}
        record = make_comparison_record(
            "convolution_costs", options, backends, "float32", results, seconds
        )
        write_json(options.json, record)
    return 0


def _measure(
    all_jobs: Sequence[Job],
    name: str,
    backend: Backend,
    options: argparse.Namespace,
    advance: Advance,
) -> list[Cost]:
    """Time the jobs round by round, each in an order of its own; the first round is not timed."""
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
    """Return how many parameters there are, and what runs the compiled passes.

    Inputs and outputs are planes, as they are between two such layers.
    """
    axes = len(job.shape) + 1

    def passes(params: Tree, planes: Array, dY: Array) -> Tree:
        x, dy = (from_planes(backend, each, axes) for each in (planes, dY))
        y, cache = job.layer.forward(backend, params, x)
        dx, gradients = job.layer.backward(backend, params, cache, dy)
        return to_planes(backend, y), to_planes(backend, dx), gradients

    generator = np.random.default_rng(seed)
    params, output_shape = job.layer.init(generator, job.shape)
    planes, dY = (
        generator.normal(size=(shape[-1], *(1,) * (4 - axes), *shape[:-1], batch_size))
        for shape in (job.shape, output_shape)
    )
    host = tree.map(lambda leaf: leaf.astype(np.float32), (params, planes, dY))
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
        cells = (f"{cost.gflop:.3g}", f"{seconds:.4f}", f"{cost.gflop / seconds:.3g}", f"{ratio:.2f}")
        rows.append([cost.job, *cells])
    return format_table(["layer", "GFLOP", "seconds", "GFLOP/s", "ratio"], rows)


if __name__ == "__main__":
    sys.exit(main())
