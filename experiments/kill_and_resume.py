"""Kill a run at random moments, and resume from its checkpoint each time.

A process trains a network with two inputs and two heads, and saves a checkpoint after each epoch. It is
killed, another one resumes, and so on. The final network must have the same bits as a network that was
trained without a break.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from backends import Backend, get_backend, tree
from experiments.shared.command_line import add_backend, add_count, make_parser, run_script
from experiments.shared.interrupted import raise_if_interrupted
from experiments.shared.tables import paragraph
from multinn import (
    Adam,
    BatchNorm,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Heads,
    MeanSquaredError,
    Parallel,
    Select,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
    Trainer,
    schedules,
)
from multinn.host.progress import Advance, progress

_RNG = np.random.default_rng(0)
_X = {"numbers": _RNG.normal(size=(100, 8)), "word": _RNG.integers(20, size=(100, 1))}
_Y = {"size": _RNG.normal(size=(100, 2)), "kind": _RNG.integers(3, size=100)}
_WEIGHTS = {"size": _RNG.integers(2, size=(100, 2)), "kind": np.arange(100) % 3}
_KILLED = -signal.SIGKILL if os.name == "posix" else 1  # the exit status of a killed process
_SAVED = "saved"  # a worker prints this after its first epoch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; return its exit status, 1 if bits differ."""
    parser = make_parser(
        "kill_and_resume",
        "Kill a run at random moments, resume from its checkpoint each time, and compare the network "
        "with that of a run without a break.",
        pictures=False,
        record=False,
    )
    add_backend(parser)
    add_count(parser, "--kills", 20, "how often to kill the run, unless it ends before")
    add_count(parser, "--epochs", 500, "epochs of the whole run")
    parser.add_argument("--worker", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    return run_script(_run, parser, arguments)


def _run(options: argparse.Namespace) -> int:
    backend = get_backend(options.backend)
    if options.worker:
        _train(options.worker, backend, options.epochs)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint")
        with progress(options.kills, "kill") as advance:
            epochs = _kill_often(path, options, advance)
        resumed = Trainer.load(path, backend)
    print(paragraph(f"killed {len(epochs)} times, after epochs {', '.join(map(str, epochs))}"))
    undisturbed = _new_trainer(backend)
    _fit(undisturbed, options.epochs)
    if not _are_same(resumed, undisturbed):
        print("the network differs from that of the run without a break")
        return 1
    print(f"after {resumed.epoch} epochs, all bits are those of the run without a break")
    return 0


def _kill_often(path: Path, options: argparse.Namespace, advance: Advance) -> list[int]:
    """Kill workers until the last one finishes; return the last epoch saved by each killed one."""
    moments = random.Random(options.seed)
    command = [sys.executable, *(["-W", "error"] if sys.warnoptions else [])]
    command += ["-m", "experiments.kill_and_resume", "--worker", str(path)]
    command += ["--epochs", str(options.epochs)]
    command += ["--backend", options.backend] if options.backend else []
    epochs: list[int] = []
    while True:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout
            if worker.stdout.readline().strip() == _SAVED and len(epochs) < options.kills:
                time.sleep(moments.uniform(0.0, 0.05))
                worker.kill()
        if worker.returncode == 0:
            return epochs
        if worker.returncode != _KILLED:
            raise OSError(f"a worker ended with the status {worker.returncode}")
        epochs.append(Trainer.load(path, "numpy").epoch)
        advance(1, {"epoch": epochs[-1]})


def _train(path: Path, backend: Backend, epochs: int) -> None:
    """Train up to the given epoch, from the checkpoint if there is one, and save after each epoch."""
    trainer = Trainer.load(path, backend) if path.exists() else _new_trainer(backend)
    first = trainer.epoch + 1
    while trainer.epoch < epochs:
        _fit(trainer, 1)
        trainer.save(path)
        if trainer.epoch == first:
            print(_SAVED, flush=True)


def _new_trainer(backend: Backend) -> Trainer:
    word = Sequential([Select("word"), Embedding(20, 4), Flatten()])
    hidden = [Dense(32), BatchNorm(), Tanh(), Dropout(0.2)]
    heads = Parallel({"size": Dense(2), "kind": Dense(3)})
    model = Sequential([Concatenate([Select("numbers"), word]), *hidden, heads])
    loss = Heads({"size": MeanSquaredError(), "kind": SoftmaxCrossEntropy()})
    optimizer = Adam(schedules.CosineDecay(0.01, 1000, 50))
    return Trainer(model, loss, optimizer, backend=backend)


def _fit(trainer: Trainer, epochs: int) -> None:
    history = trainer.fit(_X, _Y, weights=_WEIGHTS, epochs=epochs, batch_size=32, progress=False)
    raise_if_interrupted(history)


def _are_same(one: Trainer, other: Trainer) -> bool:
    """Return whether two trainers hold the same bits, and the same history."""
    pairs = zip(
        tree.leaves(one.backend.to_numpy(one.state)),
        tree.leaves(other.backend.to_numpy(other.state)),
        strict=True,
    )
    same = all(np.array_equal(*pair) for pair in pairs) and one.history.losses == other.history.losses
    return same and (one.epoch, one.step, list(one.history)) == (
        other.epoch,
        other.step,
        list(other.history),
    )


if __name__ == "__main__":
    sys.exit(main())
