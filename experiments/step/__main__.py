"""Train a network step by step in the browser: ``python -m experiments.step --help``."""

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Final

import numpy as np

from backends import HostArray
from experiments.datasets import NAMES, load
from experiments.digits.__main__ import make_model
from experiments.digits.options import OPTIMIZER_DEFAULTS, OPTIMIZERS
from experiments.shared.command_line import (
    add_backend,
    add_count,
    add_data_dir,
    from_zero_below,
    make_parser,
    run_script,
)
from experiments.shared.errors import UsageError
from experiments.step.server import serve
from experiments.xor.recipes import INPUTS, RECIPES, TARGETS
from multinn import SoftmaxCrossEntropy, Trainer

_EXAMPLES: Final = {"xor": len(INPUTS), "digits": 32, "mnist": 32}
_XOR_RATE: Final = 0.5  # with SGD; it learns XOR within 200 steps from each of the seeds 0 to 39
_PORTS: Final = 2**16


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; return its exit status."""
    return run_script(_run, _parser(), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "step",
        "Train a network step by step on a page in the browser: 2-8-1 on XOR, or 128 ReLU units on "
        "images of digits. Change inputs, targets, parameters and learning rate, and see what follows.",
        pictures=False,
        record=False,
    )
    add_backend(parser)
    parser.add_argument("--dataset", choices=("xor", *NAMES), default="xor", help="the examples")
    add_data_dir(parser)
    add_count(
        parser,
        "--examples",
        None,
        "examples in each step, the first ones (default: 4 for xor; 32 for digits, mnist)",
    )
    parser.add_argument(
        "--model", metavar="FILE", help="trainer saved by Trainer.save (default: a new network)"
    )
    parser.add_argument(
        "--optimizer",
        choices=OPTIMIZERS,
        metavar="NAME",
        help=f"optimizer of a new network: {', '.join(OPTIMIZERS)} (default: sgd)",
    )
    parser.add_argument(
        "--learning-rate",
        type=from_zero_below(math.inf),
        metavar="X",
        help="learning rate of a new network (default: 0.5 for sgd on xor; otherwise as in "
        "experiments.digits)",
    )
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="port on 127.0.0.1 (default: a free one)"
    )
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="only print the address of the page"
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    x, y = _examples(options)
    trainer = _loaded_trainer(options) if options.model else _new_trainer(options)
    if trainer.params is not None:
        x = _as_inputs(x, trainer, options)
    try:
        serve(trainer, x, y, port=options.port, browser=options.browser)
    except (TypeError, ValueError) as error:
        raise UsageError(f"--dataset {options.dataset} does not fit the model: {error}") from error
    return 0


def _examples(options: argparse.Namespace) -> tuple[HostArray, HostArray]:
    """Return the inputs and the targets of the batch."""
    if options.dataset == "xor":
        if options.data_dir:
            raise UsageError("--data-dir is for mnist, but --dataset is xor")
        x, y = INPUTS, TARGETS
    else:
        dataset = load(options.dataset, data_dir=options.data_dir)
        x, y = dataset.x_train, dataset.y_train
    count = options.examples or _EXAMPLES[options.dataset]
    if count > len(x):
        raise UsageError(f"--examples: {options.dataset} has {len(x):,}, got {count:,}")
    return x[:count], y[:count]


def _new_trainer(options: argparse.Namespace) -> Trainer:
    recipe, name = RECIPES["robust"], options.optimizer or "sgd"
    is_xor = options.dataset == "xor"
    rate = options.learning_rate
    if rate is None:
        rate = _XOR_RATE if is_xor and name == "sgd" else OPTIMIZER_DEFAULTS[name]["learning_rate"]
    return Trainer(
        recipe.model if is_xor else make_model(),
        recipe.loss if is_xor else SoftmaxCrossEntropy(),
        OPTIMIZERS[name](learning_rate=rate),
        backend=options.backend,
        seed=options.seed,
    )


def _loaded_trainer(options: argparse.Namespace) -> Trainer:
    if options.optimizer or options.learning_rate is not None:
        raise UsageError("--optimizer and --learning-rate are for a new network: leave out --model")
    try:
        return Trainer.load(options.model, options.backend)
    except (ImportError, ValueError) as error:
        raise UsageError(f"--model: {error}") from error


def _as_inputs(x: HostArray, trainer: Trainer, options: argparse.Namespace) -> HostArray:
    """Return the examples in the shape that the model takes, such as images of one channel."""
    shape = trainer.input_shape
    if math.prod(shape) != math.prod(x.shape[1:]):
        raise UsageError(
            f"--model: {options.model} takes inputs of shape {shape}, but those of --dataset "
            f"{options.dataset} have {math.prod(x.shape[1:])} numbers; choose the dataset that it was "
            "trained on"
        )
    return np.reshape(x, (len(x), *shape))


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) < _PORTS:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to {_PORTS - 1}, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
