"""The options of the digits experiment, with defaults that depend on other options."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from experiments.datasets import NAMES
from experiments.shared.command_line import add_backend, from_zero_below, make_parser, positive
from multinn import SGD, Adagrad, Adam, AdamW, Optimizer, RMSProp

#: The optimizers by their names on the command line.
OPTIMIZERS: Final[dict[str, Callable[..., Optimizer]]] = {
    "adamw": AdamW,
    "adam": Adam,
    "sgd": SGD,
    "rmsprop": RMSProp,
    "adagrad": Adagrad,
}

#: Defaults that depend on the data set.
DATASET_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "digits": {"epochs": 30, "batch_size": 32},
    "mnist": {"epochs": 6, "batch_size": 64},
}

_PLAIN: Final = {"schedule": "constant", "weight_decay": 0.0, "label_smoothing": 0.0}

#: Defaults that depend on the optimizer. Those of adamw were chosen on a part of the training images
#: that was held out for this; the others are plain, and have the usual learning rates.
OPTIMIZER_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "adamw": {
        "learning_rate": 0.006,
        "schedule": "cosine",
        "weight_decay": 0.1,
        "label_smoothing": 0.05,
    },
    "adam": {"learning_rate": 0.001, **_PLAIN},
    "sgd": {"learning_rate": 0.1, **_PLAIN},
    "rmsprop": {"learning_rate": 0.001, **_PLAIN},
    "adagrad": {"learning_rate": 0.02, **_PLAIN},
}

SCHEDULES: Final = ("cosine", "constant")


def digits_parser() -> argparse.ArgumentParser:
    """Return the parser; what it parses is completed by `with_defaults`."""
    parser = make_parser(
        "digits",
        "Train a classifier of handwritten digits, with one hidden layer of 128 ReLU, on the 8 x 8 "
        "images that are bundled with scikit-learn or on MNIST, and report its test accuracy.",
    )
    add_backend(parser)
    parser.add_argument("--dataset", choices=NAMES, default="digits", help="what to train on")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of MNIST's four IDX files")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="adamw", help="how to train")
    parser.add_argument(
        "--dtype",
        choices=("float64", "float32"),
        default="float64",
        help="float32 takes about half the time; with it, rounding soon sets the backends apart",
    )
    for name, kind, meaning in (
        ("epochs", positive, "passes over the training images"),
        ("batch_size", positive, "images a step"),
        ("learning_rate", from_zero_below(math.inf), "that of the first step"),
        ("weight_decay", from_zero_below(math.inf), "decoupled from the gradient"),
        ("label_smoothing", from_zero_below(1.0), "share of the uniform distribution in the targets"),
    ):
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            metavar="N" if kind is positive else "X",
            default=argparse.SUPPRESS,
            help=f"{meaning} {_defaults_text(name)}",
        )
    parser.add_argument(
        "--schedule",
        choices=SCHEDULES,
        default=argparse.SUPPRESS,
        help=f"of the learning rate: cosine falls to zero {_defaults_text('schedule')}",
    )
    return parser


def with_defaults(options: argparse.Namespace) -> argparse.Namespace:
    """Return the options, completed by what depends on the data set and on the optimizer."""
    defaults = DATASET_DEFAULTS[options.dataset] | OPTIMIZER_DEFAULTS[options.optimizer]
    return argparse.Namespace(**defaults | vars(options))


def _defaults_text(option: str) -> str:
    """Return the defaults of an option in words, such as "(default: 30 for digits; 6 for mnist)"."""
    by_value: dict[Any, list[str]] = {}
    for name, defaults in (DATASET_DEFAULTS | OPTIMIZER_DEFAULTS).items():
        if option in defaults:
            by_value.setdefault(defaults[option], []).append(name)
    parts = [f"{value} for {', '.join(names)}" for value, names in by_value.items()]
    return f"(default: {'; '.join(parts)})"
