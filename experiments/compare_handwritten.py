"""What the framework costs: its epochs against the same loop written by hand, as ratios, in one run."""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backends import installed_backends
from experiments import handwritten
from experiments.command_line import (
    format_table,
    make_parser,
    plain_options,
    positive,
    run_script,
    versions,
    write_json,
)
from multinn import SGD, Dense, ReLU, Sequential, SoftmaxCrossEntropy, Trainer
from multinn.progress import progress

INPUTS, HIDDEN, CLASSES = 784, 128, 10
LEARNING_RATE = 0.1
YARDSTICKS = {"numpy": handwritten.numpy_epoch, "jax": handwritten.jax_epoch}

HostArray = np.ndarray[Any, np.dtype[Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "compare_handwritten",
        "Time an epoch of 784-128-10 in multinn against the same loop by hand: plain NumPy for the "
        "NumPy backend, jax.grad under lax.scan for the JAX backend. Below a ratio of 1, multinn is "
        "faster.",
    )
    parser.add_argument("--examples", type=positive, default=60000, help="examples an epoch")
    parser.add_argument("--batch-size", type=positive, default=64, help="examples a step")
    parser.add_argument("--repeats", type=positive, default=11, help="timed epochs of each")
    return run_script(run, parser, arguments)


def run(options: argparse.Namespace) -> int:
    """Time, print the table, and write the record."""
    x, y = _random_examples(options.examples, options.seed)
    names = [name for name in installed_backends() if name in YARDSTICKS]
    epochs: dict[str, Callable[[int], float]] = {}
    trainers = {}
    for name in names:
        trainers[name] = _trainer(name, options.seed)
        epochs[f"{name} multinn"] = _framework_epoch(trainers[name], x, y, options.batch_size)
        epochs[f"{name} by hand"] = _handwritten_epoch(
            trainers[name], YARDSTICKS[name], x, y, options.batch_size
        )
    seconds = _time_interleaved(epochs, options.repeats)
    rows, results = [], {}
    for name in names:
        own, hand = seconds[f"{name} multinn"], seconds[f"{name} by hand"]
        ratios = [a / b for a, b in zip(own, hand, strict=True)]
        results[name] = {"multinn": own, "by_hand": hand, "ratio": statistics.median(ratios)}
        figures = [statistics.median(own), statistics.median(hand), statistics.median(ratios)]
        rows.append([name, *(f"{figure:.3f}" for figure in [*figures, min(ratios), max(ratios)])])
    print(
        f"784-128-10, batch {options.batch_size}, SGD, float32: seconds an epoch of {options.examples}"
    )
    print(f"examples, medians of {options.repeats} epochs, interleaved, compilation not counted\n")
    print(format_table(["backend", "multinn", "by hand", "ratio", "least", "most"], rows))
    if options.json:
        record = {
            "experiment": "compare_handwritten",
            "options": plain_options(options),
            "results": results,
            "versions": versions(*(trainer.backend for trainer in trainers.values())),
        }
        write_json(options.json, record)
    return 0


def _random_examples(examples: int, seed: int) -> tuple[HostArray, HostArray]:
    generator = np.random.default_rng(seed)
    x = generator.random((examples, INPUTS), dtype=np.float32)
    return x, generator.integers(0, CLASSES, examples).astype(np.int32)


def _trainer(backend: str, seed: int) -> Trainer:
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


def _time_interleaved(epochs: dict[str, Callable[[int], float]], repeats: int) -> dict[str, list[float]]:
    """Run each once to compile and warm up, then all in turn; return the seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    with progress(repeats + 1, "round") as advance:
        for index in range(repeats + 1):
            for name, epoch in epochs.items():
                taken = epoch(index)
                if index:
                    seconds[name].append(taken)
            advance(1, {})
    return seconds


if __name__ == "__main__":
    sys.exit(main())
