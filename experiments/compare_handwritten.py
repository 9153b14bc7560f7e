"""What the framework costs: its epochs against the same loop written by hand, as ratios, in one run."""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from backends import Backend
from experiments import handwritten
from experiments.command_line import (
    add_backends,
    chosen_backends,
    format_table,
    make_comparison_record,
    make_parser,
    positive,
    run_script,
    write_json,
)
from experiments.compare_backends_figure import draw_comparison
from experiments.workloads import settle
from multinn import SGD, Dense, ReLU, Sequential, SoftmaxCrossEntropy, Trainer
from multinn.progress import Advance, progress

INPUTS, HIDDEN, CLASSES = 784, 128, 10
LEARNING_RATE = 0.1
YARDSTICKS = {"numpy": handwritten.numpy_epoch, "jax": handwritten.jax_epoch}

OWN, HAND = "multinn", "by hand"

HostArray = np.ndarray[Any, np.dtype[Any]]
Seconds = Mapping[tuple[str, str], Sequence[float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "compare_handwritten",
        "Time an epoch of 784-128-10 in multinn against the same loop by hand: plain NumPy for the "
        "NumPy backend, jax.grad under lax.scan for the JAX backend. Below a ratio of 1, multinn is "
        "faster.",
    )
    add_backends(parser, list(YARDSTICKS))
    parser.add_argument("--examples", type=positive, default=60000, help="examples an epoch")
    parser.add_argument("--batch-size", type=positive, default=64, help="examples a step")
    parser.add_argument("--repeats", type=positive, default=11, help="timed epochs of each")
    return run_script(run, parser, arguments)


def run(options: argparse.Namespace) -> int:
    """Time, print the table, draw the chart, and write the record."""
    backends = chosen_backends(options)
    unknown = [name for name in backends if name not in YARDSTICKS]
    if options.backends and unknown:
        expected = ", ".join(YARDSTICKS)
        print(f"error: no loop by hand for {unknown[0]!r}, only for {expected}", file=sys.stderr)
        return 2
    x, y = _random_examples(options.examples, options.seed)
    seconds: dict[tuple[str, str], list[float]] = {}
    compile_seconds = 0.0
    names = [name for name in backends if name in YARDSTICKS]
    with progress(len(names) * (options.repeats + 1), "round") as advance:
        for name in names:
            trainer = _trainer(backends[name], options.seed)
            epochs = [
                _framework_epoch(trainer, x, y, options.batch_size),
                _handwritten_epoch(trainer, YARDSTICKS[name], x, y, options.batch_size),
            ]
            own, hand = _time_in_turn(epochs, options.repeats, advance)
            seconds |= {(name, OWN): own, (name, HAND): hand}
            compile_seconds += trainer.seconds.compile
    network = f"784-128-10, batch {options.batch_size}, SGD, float32"
    print(f"{network}: seconds an epoch of {options.examples}")
    print(f"examples, medians of {options.repeats} epochs in turn, compilation not counted\n")
    print(_table(names, seconds))
    if options.out:
        titles = dict.fromkeys(names, f"{network}, 1 epoch of {options.examples:,}")
        draw_comparison(titles, seconds, options.out, "compare_handwritten")
    if options.json:
        results = {
            name: {
                "multinn": seconds[name, OWN],
                "by_hand": seconds[name, HAND],
                "ratio": statistics.median(_ratios(name, seconds)),
            }
            for name in names
        }
        totals = {"compile": compile_seconds, "train": sum(map(sum, seconds.values()))}
        record = make_comparison_record(
            "compare_handwritten", options, backends, "float32", results, totals
        )
        write_json(options.json, record)
    return 0


def _table(names: Sequence[str], seconds: Seconds) -> str:
    rows = []
    for name in names:
        ratios = _ratios(name, seconds)
        medians = [
            statistics.median(values) for values in (seconds[name, OWN], seconds[name, HAND], ratios)
        ]
        rows.append([name, *(f"{figure:.3f}" for figure in [*medians, min(ratios), max(ratios)])])
    return format_table(["backend", OWN, HAND, "ratio", "least", "most"], rows)


def _ratios(name: str, seconds: Seconds) -> list[float]:
    return [own / hand for own, hand in zip(seconds[name, OWN], seconds[name, HAND], strict=True)]


def _random_examples(examples: int, seed: int) -> tuple[HostArray, HostArray]:
    generator = np.random.default_rng(seed)
    x = generator.random((examples, INPUTS), dtype=np.float32)
    return x, generator.integers(0, CLASSES, examples).astype(np.int32)


def _trainer(backend: Backend, seed: int) -> Trainer:
    model = Sequential([Dense(HIDDEN), ReLU(), Dense(CLASSES)])
    trainer = Trainer(model, SoftmaxCrossEntropy(), SGD(LEARNING_RATE), backend=backend, seed=seed)
    trainer.initialize((INPUTS,))
    return trainer


def _framework_epoch(
    trainer: Trainer, x: HostArray, y: HostArray, batch_size: int
) -> Callable[[int], float]:
    """Return a function that trains for one epoch more, and returns the seconds that it took."""

    def epoch(_index: int) -> float:
        before = trainer.seconds.train
        trainer.fit(x, y, epochs=1, batch_size=batch_size, progress=False)
        return trainer.seconds.train - before

    return epoch


def _handwritten_epoch(
    trainer: Trainer,
    make_epoch: Callable[..., handwritten.Epoch],
    x: HostArray,
    y: HostArray,
    batch_size: int,
) -> Callable[[int], float]:
    """Return the same for a yardstick, from the trainer's present parameters."""
    first, _, last = trainer.backend.to_numpy(trainer.params)
    parameters = handwritten.Parameters(first["W"], first["b"], last["W"], last["b"])
    train = make_epoch(x, y, batch_size, LEARNING_RATE)

    def epoch(index: int) -> float:
        nonlocal parameters
        start = time.perf_counter()
        order = np.random.default_rng(index).permutation(len(x))
        parameters, _ = train(parameters, order)
        return time.perf_counter() - start

    return epoch


def _time_in_turn(
    epochs: Sequence[Callable[[int], float]], repeats: int, advance: Advance
) -> list[list[float]]:
    """Run each once to compile and warm up, then in turn, first the one, then the other ahead."""
    seconds: list[list[float]] = [[] for _ in epochs]
    for index in range(repeats + 1):
        order = list(range(len(epochs)))
        for which in order if index % 2 else reversed(order):
            settle()
            taken = epochs[which](index)
            if index:
                seconds[which].append(taken)
        advance(1, {})
    return seconds


if __name__ == "__main__":
    sys.exit(main())
