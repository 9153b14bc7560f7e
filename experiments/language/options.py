"""The options of the language experiment."""

import argparse
import math
from pathlib import Path
from typing import Final

from experiments.shared.command_line import (
    comma_separated,
    from_zero_below,
    make_parser,
    non_negative,
    positive,
)

_NUMBERS: Final = (
    ("learning_rate", 0.003, math.inf, "the highest, after the warm-up; then it falls to zero"),
    ("weight_decay", 0.1, math.inf, "decoupled from the gradient"),
    ("dropout", 0.2, 1.0, "the fraction that is dropped of what each part of a block adds"),
    ("temperature", 0.8, math.inf, "of the samples: below 1 they keep to likely characters"),
)
_COUNTS: Final = (
    (
        "epochs",
        8,
        "passes; in each, a character is in about four windows, at different places; numpy takes two "
        "to three times as long as jax",
    ),
    ("batch_size", 16, "windows a step"),
    ("context", 64, "how many characters the model sees"),
    ("width", 128, "numbers that stand for a character at each place"),
    ("blocks", 3, "of attention and of two fully connected layers"),
    ("heads", 4, "of each attention; they share the width"),
    ("report_every", 1, "epochs between two reports and samples"),
)


def language_parser() -> argparse.ArgumentParser:
    """Return the parser of the experiment."""
    parser = make_parser(
        "language",
        "Train a causal transformer to predict the next character of a text, compare it with n-gram "
        "models on the last tenth of the text, which it never sees, and let it write.",
    )
    parser.add_argument(
        "--backends",
        "--backend",
        type=comma_separated,
        metavar="NAME,...",
        help="numpy, jax, jax:gpu:1, ...; several are compared; the environment variable "
        "MULTINN_BACKEND if left out",
    )
    parser.add_argument(
        "--text",
        type=Path,
        metavar="FILE",
        help="in UTF-8; Alice's Adventures in Wonderland if left out",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        default="float32",
        help="float64 takes about twice the time, and float32 does as well: after 2,000 steps of a "
        "small model, the losses of numpy and jax agreed to 1e-7",
    )
    for name, count, meaning in _COUNTS:
        parser.add_argument(_option(name), type=positive, default=count, metavar="N", help=meaning)
    for name, default, limit, meaning in _NUMBERS:
        kind = from_zero_below(limit)
        parser.add_argument(_option(name), type=kind, default=default, metavar="X", help=meaning)
    parser.add_argument(
        "--prompt", metavar="TEXT", help="what the samples begin with; a new line if left out"
    )
    parser.add_argument(
        "--sample-length", type=non_negative, default=200, metavar="N", help="characters of a sample"
    )
    return parser


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
