"""The options of the digits experiment, with defaults that depend on other options."""

import argparse
import math
from collections.abc import Callable
from typing import Any, Final

from experiments.shared.command_line import (
    add_backend,
    add_dataset,
    add_dtype,
    defaults_text,
    from_zero_below,
    make_parser,
    positive,
)
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

#: Defaults that depend on the optimizer. Those of adamw were tuned on held-out training images; the
#: others have the usual learning rates, and no regularization.
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

DTYPE_NOTE: Final = "float32 takes about half the time, but rounding soon separates the backends"


def digits_parser() -> argparse.ArgumentParser:
    """Return the parser, whose options are to be completed by `with_defaults`."""
    parser = make_parser(
        "digits",
        "Train a classifier of handwritten digits, with one hidden layer of 128 ReLU units, on the "
        "8 x 8 images that are bundled with scikit-learn or on MNIST, and report its test accuracy.",
    )
    add_backend(parser)
    add_dataset(parser)
    add_dtype(parser, "float64", DTYPE_NOTE)
    defaults = DATASET_DEFAULTS | OPTIMIZER_DEFAULTS
    parser.add_argument(
        "--optimizer",
        choices=OPTIMIZERS,
        default="adamw",
        metavar="NAME",
        help=f"optimizer: {', '.join(OPTIMIZERS)}",
    )
    for name, kind, meaning in (
        ("epochs", positive, "passes over the training images"),
        ("batch_size", positive, "images in a step"),
        ("learning_rate", from_zero_below(math.inf), "learning rate of the first step"),
        ("weight_decay", from_zero_below(math.inf), "weight decay, decoupled from the gradient"),
        ("label_smoothing", from_zero_below(1.0), "share of the uniform distribution in the targets"),
    ):
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            metavar="N" if kind is positive else "X",
            default=argparse.SUPPRESS,
            help=f"{meaning} {defaults_text(name, defaults)}",
        )
    parser.add_argument(
        "--schedule",
        choices=("cosine", "constant"),
        default=argparse.SUPPRESS,
        help="schedule of the learning rate; cosine falls to zero "
        + defaults_text("schedule", defaults),
    )
    return parser


def with_defaults(options: argparse.Namespace) -> argparse.Namespace:
    """Return the options with the defaults that depend on the data set and on the optimizer."""
    defaults = DATASET_DEFAULTS[options.dataset] | OPTIMIZER_DEFAULTS[options.optimizer]
    return argparse.Namespace(**defaults | vars(options))
