"""The options of the language experiment."""

import argparse
import math
from pathlib import Path
from typing import Final

from experiments.shared.command_line import (
    add_backends,
    add_count,
    add_dtype,
    from_zero_below,
    make_parser,
    non_negative,
)

_COUNTS: Final = (
    (
        "epochs",
        8,
        "passes over the training windows; a character is in about four of them, at different places; "
        "numpy takes two to three times as long as jax",
    ),
    ("batch_size", 16, "windows in a step"),
    ("context", 64, "length of a window: how many characters the model sees"),
    ("width", 128, "features of a character at each position"),
    ("blocks", 3, "transformer blocks, each of attention and two dense layers"),
    ("heads", 4, "heads of each attention, which share the width"),
    ("report_every", 1, "epochs between two reports and samples"),
)
_NUMBERS: Final = (
    ("learning_rate", 0.003, math.inf, "highest learning rate, after the warm-up; it falls to zero"),
    ("weight_decay", 0.1, math.inf, "weight decay, decoupled from the gradient"),
    ("dropout", 0.2, 1.0, "dropout rate, after the embedding, each attention and each dense layer"),
    ("temperature", 0.8, math.inf, "temperature of the samples; below 1 likely characters prevail"),
)


def language_parser() -> argparse.ArgumentParser:
    """Return the parser of the experiment."""
    parser = make_parser(
        "language",
        "Train a causal transformer to predict the next character of a text, compare it with n-gram "
        "models on the last tenth of the text, which is held out, and print samples of its writing.",
    )
    add_backends(parser, "the variable MULTINN_BACKEND, else numpy; several are compared")
    parser.add_argument(
        "--text",
        type=Path,
        metavar="FILE",
        help="text to learn, in UTF-8 (default: Alice's Adventures in Wonderland)",
    )
    add_dtype(
        parser,
        "float32",
        "float64 takes about twice the time and gains little: after 2,000 steps of a small model, the "
        "losses of numpy and jax in float32 agreed to 1e-7",
    )
    for name, count, meaning in _COUNTS:
        add_count(parser, _option(name), count, meaning)
    for name, default, limit, meaning in _NUMBERS:
        kind = from_zero_below(limit)
        parser.add_argument(_option(name), type=kind, default=default, metavar="X", help=meaning)
    parser.add_argument(
        "--prompt", metavar="TEXT", help="beginning of the samples (default: a new line)"
    )
    parser.add_argument(
        "--sample-length", type=non_negative, default=200, metavar="N", help="characters of a sample"
    )
    return parser


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
