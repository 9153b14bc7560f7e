"""The tour: one network on every installed backend, its gradients checked, its time compared."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from backends import installed_backends
from experiments.check_gradients import __main__ as check_gradients
from experiments.compare_backends import __main__ as compare_backends
from experiments.datasets import load
from experiments.digits import __main__ as digits
from experiments.digits.options import digits_parser, with_defaults
from experiments.shared.command_line import run_script
from experiments.shared.tables import format_table
from multinn.testing.gradient_cases import CASES

_EPOCHS = "10"
_PARTS = ("Dense", "ReLU", "Sequential perceptron", "SoftmaxCrossEntropy")  # all others take minutes
_TIMING = ("--workloads", "mnist,predict", "--repeats", "3", "--processes", "1", "--examples", "6400")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.demo",
        description="Train the same network on the bundled handwritten digits on every installed "
        "backend, check its gradients, compare the timings, and draw the pictures.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/demo"), metavar="DIR", help="folder for the pictures"
    )
    return run_script(run, parser, arguments)


def run(options: argparse.Namespace) -> int:
    """Run the parts one after another; the first failure ends it."""
    start = time.perf_counter()
    names = installed_backends()
    print(
        f"Backends: {', '.join(names)}\n\n"
        "1. a network learns handwritten digits on each of them\n"
        "2. its gradients are checked, and proved by computer algebra\n"
        "3. the time of training and of prediction is compared\n\n"
        f"This takes less than a minute on two cores. Pictures: {options.out}"
    )
    _headline("1. The same training on each backend")
    _train_digits(names, options.out)
    _headline("2. The gradients of that network")
    cases = [case for case in CASES if case.name.startswith(_PARTS)]
    status = check_gradients.main(["--brief", "--out", str(options.out)], cases)
    if status:
        return status
    _headline("3. The time of each backend")
    status = compare_backends.main(["--out", str(options.out), *_TIMING])
    print(f"\n{time.perf_counter() - start:.0f} s in all. The pictures are in {options.out}.")
    return status


def _train_digits(names: Sequence[str], folder: Path) -> None:
    """Train on each backend, print one table, and draw the pictures of the first."""
    dataset = load("digits")
    rows = []
    first = None
    for name in names:
        arguments = ["--backend", name, "--epochs", _EPOCHS, "--out", str(folder)]
        options = with_defaults(digits_parser().parse_args(arguments))
        trainer = digits.make_trainer(options, len(dataset.x_train))
        history = digits.train(trainer, dataset, options)
        probabilities = digits.predict_probabilities(trainer, dataset.x_test)
        if first is None:
            first = probabilities
            digits.draw(trainer, dataset, probabilities, options)
        rows.append(
            [
                name,
                f"{history[-1]['validation_accuracy']:.2%}",
                f"{history[-1]['validation_loss']:.4f}",
                "-" if name == names[0] else f"{np.max(np.abs(probabilities - first)):.0e}",
                f"{trainer.seconds.compile:.2f}",
                f"{trainer.seconds.train:.2f}",
            ]
        )
    columns = ["backend", "test accuracy", "loss", "difference", "compile (s)", "train (s)"]
    print(
        f"\n{digits.network_name(dataset)}, ReLU and softmax, {_EPOCHS} epochs in float64\n\n"
        f"{format_table(columns, rows)}\n\n"
        f"difference: the largest of a predicted probability from that on {names[0]}"
    )


def _headline(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
