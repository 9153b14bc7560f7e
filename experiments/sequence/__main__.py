"""An LSTM, attention and a feed-forward network, which fails, on the adding problem.

The task is to add two marked numbers in a sequence: see `adding_problem`. The same seed gives the same
learning curve on each backend. The test sequences are evaluated after each epoch for the curve only.
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from backends import Backend, tree
from experiments.digits.curves import (
    Trainers,
    curve_results,
    format_curves,
    format_ends,
    sum_seconds,
    train_on,
)
from experiments.sequence.adding_problem import CONSTANT_ERROR, LEAST_STEPS, Sequences, draw_sequences
from experiments.sequence.models import MODELS
from experiments.sequence.picture import draw_errors
from experiments.shared.command_line import (
    add_backends,
    add_count,
    add_dtype,
    add_names,
    load_backends,
    make_parser,
    run_script,
    select,
)
from experiments.shared.errors import UsageError
from experiments.shared.interrupted import raise_if_interrupted
from experiments.shared.records import make_comparison_record, write_json
from experiments.shared.tables import format_table
from multinn import Adam, MeanSquaredError, Trainer
from multinn.schedules import CosineDecay

TEST_EXAMPLES: Final = 2000
_LEARNING_RATES: Final = {"lstm": 0.01, "attention": 0.02, "feed-forward": 0.003}
_COLUMNS: Final = {"loss": "training error", "validation_loss": "test error"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "sequence",
        "Train an LSTM, a small transformer and a feed-forward network on the adding problem, the sum "
        "of two marked numbers in a sequence, on each backend from the same seed; compare the errors.",
    )
    add_backends(parser)
    add_names(parser, "--models", "models to train", MODELS)
    add_count(parser, "--steps", 50, "steps of a sequence")
    add_count(
        parser,
        "--shortest",
        None,
        "let lengths vary from N to --steps; the rest is padding, which a mask hides from the LSTM and "
        "the transformer (default: all sequences have --steps steps)",
    )
    add_count(parser, "--epochs", 5, "passes over the sequences")
    add_count(parser, "--examples", 10_000, "sequences to train on")
    add_count(parser, "--batch-size", 50, "sequences in a step")
    add_dtype(parser, "float64", "float32 is faster on JAX, but rounding soon separates the backends")
    return run_script(_run, parser, arguments)


def _run(options: argparse.Namespace) -> int:
    models = select(MODELS, options.models, "model")
    _check_lengths(options)
    backends = load_backends(options)
    training, test = draw_data(options)
    _print_task(options)
    runs: dict[str, Trainers] = {}
    for model in models:
        train_model = partial(train, model, options, training, test)
        runs[model] = train_on(backends, train_model, model)
        print(f"\n{format_curves(runs[model], _COLUMNS)}\n\n{format_ends(runs[model])}\n", flush=True)
    print(_format_summary(runs))
    if options.out:
        title = f"The adding problem over {_lengths(options)} steps"
        draw_errors(runs, CONSTANT_ERROR, title, options.out)
    if options.json:
        results = {model: curve_results(trainers) for model, trainers in runs.items()}
        every = [trainer for trainers in runs.values() for trainer in trainers.values()]
        record = make_comparison_record(
            "sequence", options, backends, options.dtype, results, sum_seconds(every)
        )
        write_json(options.json, record | {"constant_error": CONSTANT_ERROR})
    return 0


def draw_data(options: argparse.Namespace) -> tuple[Sequences, Sequences]:
    """Return the training and the test sequences, drawn on the host from the seed."""
    generator = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(2,)))
    shortest = options.shortest or options.steps
    return (
        draw_sequences(generator, options.examples, options.steps, shortest),
        draw_sequences(generator, TEST_EXAMPLES, options.steps, shortest),
    )


def train(
    model: str, options: argparse.Namespace, training: Sequences, test: Sequences, backend: Backend
) -> Trainer:
    """Train the model of that name, and return its trainer."""
    steps = options.epochs * math.ceil(options.examples / options.batch_size)
    trainer = Trainer(
        MODELS[model](padded=options.shortest is not None),
        MeanSquaredError(),
        Adam(CosineDecay(_LEARNING_RATES[model], steps)),
        backend=backend,
        dtype=options.dtype,
        seed=options.seed,
    )
    raise_if_interrupted(
        trainer.fit(
            *training, epochs=options.epochs, batch_size=options.batch_size, validation_data=test
        )
    )
    return trainer


def _check_lengths(options: argparse.Namespace) -> None:
    shortest = options.steps if options.shortest is None else options.shortest
    if not LEAST_STEPS <= shortest <= options.steps:
        raise UsageError(
            f"expected --shortest from {LEAST_STEPS} to --steps, got --steps {options.steps} and "
            f"--shortest {shortest}"
        )


def _print_task(options: argparse.Namespace) -> None:
    print(f"data       the sum of two marked numbers among {_lengths(options)} steps")
    print(f"sequences  {options.examples:,} to train, {TEST_EXAMPLES:,} to test")
    print(
        f"training   adam (cosine), epochs {options.epochs}, batch size {options.batch_size}, "
        f"{options.dtype}, seed {options.seed}"
    )
    print(
        f"error      mean squared; always answering 1 has an error of {CONSTANT_ERROR:.5f}\n", flush=True
    )


def _lengths(options: argparse.Namespace) -> str:
    varies = options.shortest is not None
    return f"{options.shortest} to {options.steps}" if varies else str(options.steps)


def _format_summary(runs: Mapping[str, Trainers]) -> str:
    """Return a table of the final errors on the first backend, and of the error of a constant."""
    rows = []
    for model, trainers in runs.items():
        trainer = next(iter(trainers.values()))
        error = trainer.history[-1]["validation_loss"]
        parameters = sum(leaf.size for leaf in tree.leaves(trainer.backend.to_numpy(trainer.params)))
        learned = "yes" if error < 0.1 * CONSTANT_ERROR else "NO"
        rows.append([model, f"{parameters:,}", f"{error:.5f}", f"{error / CONSTANT_ERROR:.2%}", learned])
    rows.append(["always 1", "0", f"{CONSTANT_ERROR:.5f}", "100.00%", "NO"])
    return format_table(["model", "parameters", "test error", "relative to\nalways 1", "learned"], rows)


if __name__ == "__main__":
    sys.exit(main())
