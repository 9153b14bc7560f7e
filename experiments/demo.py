"""The tour: one network on every installed backend, matching gradients, timings, pictures."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from backends import installed_backends
from experiments.check_gradients import __main__ as check_gradients
from experiments.compare_backends import __main__ as compare_backends
from experiments.digits import __main__ as digits
from experiments.shared.command_line import run_script
from multinn.testing.gradient_cases import CASES

_PARTS = ("Dense", "ReLU", "Sequential perceptron", "SoftmaxCrossEntropy")  # all others take minutes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.demo",
        description="Train the same network on the bundled handwritten digits on every installed "
        "backend, check its gradients, compare the timings, and draw the pictures.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/demo"), metavar="DIR", help="folder for the figures"
    )
    return run_script(run, parser, arguments)


def run(options: argparse.Namespace) -> int:
    """Run the experiments one after another; the first failure ends it."""
    for name in installed_backends():
        _headline(f"Handwritten digits on {name}")
        status = digits.main(["--backend", name, "--out", str(options.out / name)])
        if status:
            return status
    _headline("The gradients of that network, and proofs of them by computer algebra")
    cases = [case for case in CASES if case.name.startswith(_PARTS)]
    status = check_gradients.main(["--brief", "--out", str(options.out)], cases)
    if status:
        return status
    _headline("The same training on each backend, timed")
    quick = ["--repeats", "5", "--processes", "1", "--examples", "6400"]
    status = compare_backends.main(["--out", str(options.out), *quick])
    print(f"\nAll pictures are in {options.out}.")
    return status


def _headline(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
