"""The same training on several backends: its curves side by side, and how far they are apart."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backends import Backend
from experiments.shared.tables import format_table
from multinn import History, Trainer

Trainers = Mapping[str, Trainer]
"""By the name of the backend; each after its training."""

LOSSES = ("loss", "validation_loss")
_TABLE_EPOCHS = 10


def train_on(
    backends: Mapping[str, Backend], train: Callable[[Backend], Trainer], what: str
) -> dict[str, Trainer]:
    """Train on one backend after the other, and say so.

    Args:
        backends: by the names under which they were asked for.
        train: returns a trainer after its training.
        what: is trained.
    """
    trainers = {}
    for name, backend in backends.items():
        print(f"training {what} on {name}", flush=True)
        trainers[name] = train(backend)
    return trainers


def differences(trainers: Trainers) -> dict[str, float]:
    """Return the largest relative difference of a backend's losses to the first one's, by backend.

    It is the largest of all epochs, of the losses of the training and of the test examples.
    """
    histories = [trainer.history for trainer in trainers.values()]
    return {
        name: max(_differences(trainer.history, histories[0]))
        for name, trainer in trainers.items()
        if trainer.history is not histories[0]
    }


def format_curves(trainers: Trainers, figures: Mapping[str, str]) -> str:
    """Return a table of about ten epochs, the last among them, a row for each and each backend.

    Args:
        trainers: at least one.
        figures: the columns' titles, by the names in the history. Those of an accuracy are shares.
    """
    names = list(trainers)
    reference = trainers[names[0]].history
    epochs = len(reference)
    chosen = range(epochs)[::-1][:: math.ceil(epochs / _TABLE_EPOCHS)][::-1]
    compared = len(trainers) > 1
    columns = ["epoch", "backend", *figures.values(), *(["difference"] if compared else [])]
    rows = []
    for index in chosen:
        for name, trainer in trainers.items():
            record = trainer.history[index]
            row = [f"{record['epoch']}", name, *(_cell(each, record[each]) for each in figures)]
            if compared:
                difference = _differences(trainer.history, reference)[index]
                row.append("-" if name == names[0] else f"{difference:.0e}")
            rows.append(row)
    return format_table(columns, rows)


def format_ends(trainers: Trainers) -> str:
    """Return lines that say how far the curves are from the first one, and how long they took."""
    first, *_ = trainers
    lines = [
        f"largest relative difference of the losses, {name} to {first}: {difference:.1e}"
        for name, difference in differences(trainers).items()
    ]
    for name, trainer in trainers.items():
        compile_, train = trainer.seconds.compile, trainer.seconds.train
        lines.append(f"seconds on {name}: {compile_:.2f} to compile, {train:.2f} to train")
    return "\n".join(lines)


def curve_results(trainers: Trainers) -> dict[str, Any]:
    """Return what a record keeps of the training: histories and seconds by backend, and differences."""
    return {
        "histories": {name: list(trainer.history) for name, trainer in trainers.items()},
        "seconds": {
            name: {"compile": trainer.seconds.compile, "train": trainer.seconds.train}
            for name, trainer in trainers.items()
        },
        "differences": differences(trainers),
    }


def sum_seconds(trainers: Sequence[Trainer]) -> dict[str, float]:
    """Return the seconds of all of them together."""
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


def _cell(figure: str, value: float) -> str:
    return f"{value:.2%}" if figure.endswith("accuracy") else f"{value:.5f}"
