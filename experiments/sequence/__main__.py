"""The adding problem, for an LSTM, for attention, and for a feed-forward network, which fails.

The sum of two marked numbers in a sequence is what is asked for: see `adding_problem`. The same seed
gives the same curve on each backend. The test sequences are looked at after each epoch, for the curve,
and decide nothing.
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
from experiments.sequence.figure import draw_errors
from experiments.sequence.models import MODELS
from experiments.shared.command_line import (
    add_backends,
    chosen_backends,
    comma_separated,
    make_parser,
    positive,
    run_script,
)
from experiments.shared.interrupted import whole
from experiments.shared.records import make_comparison_record, write_json
from experiments.shared.tables import format_table
from multinn import Adam, MeanSquaredError, Trainer
from multinn.schedules import CosineDecay

TEST_EXAMPLES: Final = 2000
_LEARNING_RATES: Final = {"lstm": 0.01, "attention": 0.02, "feed-forward": 0.003}
_FIGURES: Final = {"loss": "training error", "validation_loss": "test error"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "sequence",
        "Train an LSTM, a small transformer and a feed-forward network on the adding problem, the sum "
        "of two marked numbers in a sequence, on each backend from the same seed; compare the errors.",
    )
    add_backends(parser)
    parser.add_argument(
        "--models",
        type=comma_separated,
        metavar="NAME,...",
        help=f"which to train, of {','.join(MODELS)}; all if left out",
    )
    parser.add_argument("--steps", type=positive, default=50, metavar="N", help="of each sequence")
    parser.add_argument(
        "--shortest",
        type=positive,
        metavar="N",
        help="let lengths vary from so many steps on, with padding, of which the LSTM and the "
        "transformer are told by a mask; all sequences are equally long if left out",
    )
    parser.add_argument(
        "--epochs", type=positive, default=5, metavar="N", help="passes over the examples"
    )
    parser.add_argument(
        "--examples", type=positive, default=10_000, metavar="N", help="sequences to train on"
    )
    parser.add_argument("--batch-size", type=positive, default=50, metavar="N", help="sequences a step")
    parser.add_argument(
        "--dtype",
        choices=("float64", "float32"),
        default="float64",
        help="float32 is faster on JAX; with it, rounding soon sets the backends apart",
    )
    return run_script(lambda options: _run(options, parser), parser, arguments)


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    _check(options, parser)
    backends = chosen_backends(options)
    training, test = draw_data(options)
    _print_task(options)
    runs: dict[str, Trainers] = {}
    for model in dict.fromkeys(options.models or MODELS):
        train_model = partial(train, model, options, training, test)
        runs[model] = train_on(backends, train_model, model)
        print(f"\n{format_curves(runs[model], _FIGURES)}\n\n{format_ends(runs[model])}\n", flush=True)
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
    """Return the training and the test sequences, on the host: the same for all backends."""
    generator = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(2,)))
    shortest = options.shortest or options.steps
    return (
        draw_sequences(generator, options.examples, options.steps, shortest),
        draw_sequences(generator, TEST_EXAMPLES, options.steps, shortest),
    )


def train(
    model: str,
    options: argparse.Namespace,
    training: Sequences,
    test: Sequences,
    backend: Backend,
) -> Trainer:
    """Return a trainer of the model of that name after its training."""
    steps = options.epochs * math.ceil(options.examples / options.batch_size)
    trainer = Trainer(
        MODELS[model](padded=options.shortest is not None),
        MeanSquaredError(),
        Adam(CosineDecay(_LEARNING_RATES[model], steps)),
        backend=backend,
        dtype=options.dtype,
        seed=options.seed,
    )
    whole(
        trainer.fit(
            *training, epochs=options.epochs, batch_size=options.batch_size, validation_data=test
        )
    )
    return trainer


def _check(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    for model in options.models or []:
        if model not in MODELS:
            known = ", ".join(MODELS)
            parser.error(f"argument --models: unknown model {model!r}, expected some of {known}")
    shortest = options.steps if options.shortest is None else options.shortest
    if not LEAST_STEPS <= shortest <= options.steps:
        parser.error(
            f"expected sequences of {LEAST_STEPS} steps or more, and --shortest of at most --steps, got "
            f"--steps {options.steps} and --shortest {shortest}"
        )


def _print_task(options: argparse.Namespace) -> None:
    print(f"data       the sum of two marked numbers among {_lengths(options)} steps")
    print(f"sequences  {options.examples:,} to train, {TEST_EXAMPLES:,} to test")
    print(
        f"training   adam (cosine), epochs {options.epochs}, batch size {options.batch_size}, "
        f"{options.dtype}, seed {options.seed}"
    )
    print(f"error      mean squared; that of always answering 1 is {CONSTANT_ERROR:.5f}\n", flush=True)


def _lengths(options: argparse.Namespace) -> str:
    varies = options.shortest is not None
    return f"{options.shortest} to {options.steps}" if varies else str(options.steps)


def _format_summary(runs: Mapping[str, Trainers]) -> str:
    """Return a table of the errors in the end, on the first backend, beside that of a constant."""
    rows = []
    for model, trainers in runs.items():
        trainer = next(iter(trainers.values()))
        error = trainer.history[-1]["validation_loss"]
        parameters = sum(leaf.size for leaf in tree.leaves(trainer.backend.to_numpy(trainer.params)))
        learned = "yes" if error < 0.1 * CONSTANT_ERROR else "NO"
        rows.append([model, f"{parameters:,}", f"{error:.5f}", f"{error / CONSTANT_ERROR:.2%}", learned])
    rows.append(["always 1", "0", f"{CONSTANT_ERROR:.5f}", "100.00%", "NO"])
    return format_table(["model", "parameters", "test error", "of always 1", "learned"], rows)


if __name__ == "__main__":
    sys.exit(main())
