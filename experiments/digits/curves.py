"""The same training on several backends: learning curves side by side, and their differences."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backends import Backend
from experiments.shared.tables import format_table
from multinn import History, Trainer

Trainers = Mapping[str, Trainer]
"""Trained trainers by the name of their backend."""

LOSSES = ("loss", "validation_loss")
_TABLE_EPOCHS = 10


def train_on(
    backends: Mapping[str, Backend], train: Callable[[Backend], Trainer], what: str
) -> dict[str, Trainer]:
    """Train on one backend after the other, and print a line for each.

    Args:
        backends: by name.
        train: trains, and returns the trainer.
        what: names the model in the printed line.
    """
    trainers = {}
    for name, backend in backends.items():
        print(f"training {what} on {name}", flush=True)
        trainers[name] = train(backend)
    return trainers


def differences(trainers: Trainers) -> dict[str, float]:
    """Return the largest relative difference of the losses to those of the first backend, by backend.

    The maximum is over all epochs, and over training and test loss.
    """
    histories = [trainer.history for trainer in trainers.values()]
    return {
        name: max(_differences(trainer.history, histories[0]))
        for name, trainer in trainers.items()
        if trainer.history is not histories[0]
    }


def format_curves(trainers: Trainers, titles: Mapping[str, str]) -> str:
    """Return a table of about ten epochs, including the last: a row for each epoch and backend.

    Args:
        trainers: at least one.
        titles: the titles of the columns, by the names in the history.
    """
    names = list(trainers)
    reference = trainers[names[0]].history
    epochs = len(reference)
    shown = range(epochs)[::-1][:: math.ceil(epochs / _TABLE_EPOCHS)][::-1]
    compared = len(trainers) > 1
    columns = ["epoch", "backend", *titles.values(), *(["relative\ndifference"] if compared else [])]
    rows = []
    for index in shown:
        for name, trainer in trainers.items():
            record = trainer.history[index]
            row = [f"{record['epoch']}", name, *(_cell(each, record[each]) for each in titles)]
            if compared:
                difference = _differences(trainer.history, reference)[index]
                row.append("-" if name == names[0] else f"{difference:.1g}")
            rows.append(row)
    return format_table(columns, rows, text_columns=2)


def format_ends(trainers: Trainers) -> str:
    """Return a table of the seconds and of the differences to the first backend, a row per backend."""
    apart = differences(trainers)
    rows = [
        [
            name,
            f"{trainer.seconds.compile:.2f}",
            f"{trainer.seconds.train:.2f}",
            f"{apart[name]:.2g}" if name in apart else "-",
        ]
        for name, trainer in trainers.items()
    ]
    last = "largest relative\ndifference of losses"
    columns = ["backend", "seconds to\ncompile", "seconds to\ntrain", last]
    shown = len(columns) if apart else len(columns) - 1
    return format_table(columns[:shown], [row[:shown] for row in rows])


def curve_results(trainers: Trainers) -> dict[str, Any]:
    """Return the histories, the seconds and the differences by backend, for a record."""
    return {
        "histories": {name: list(trainer.history) for name, trainer in trainers.items()},
        "seconds": {
            name: {"compile": trainer.seconds.compile, "train": trainer.seconds.train}
            for name, trainer in trainers.items()
        },
        "differences": differences(trainers),
    }


def sum_seconds(trainers: Sequence[Trainer]) -> dict[str, float]:
    """Return the total seconds of compilation and of training."""
    return {
        "compile": sum(trainer.seconds.compile for trainer in trainers),
        "train": sum(trainer.seconds.train for trainer in trainers),
    }


def _differences(history: History, reference: History) -> list[float]:
    """Return the largest relative difference of the losses, by epoch."""
    return [
        max(abs(own[loss] - other[loss]) / abs(other[loss]) if other[loss] else 0.0 for loss in LOSSES)
        for own, other in zip(history, reference, strict=True)
    ]


def _cell(metric: str, value: float) -> str:
    return f"{value:.2%}" if metric.endswith("accuracy") else f"{value:.5f}"
