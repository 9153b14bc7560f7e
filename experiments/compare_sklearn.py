"""How long a fit takes with multinn's MLPClassifier and with scikit-learn's own, and how good it is.

The data are MNIST, or drawn in its shape, 784 numbers and 10 classes: each class has some prototypes,
and an example is one of them with noise. All classifiers have one hidden layer of 128 units, and the
same parameters, solver, batches and epochs. They fit in turn, round by round.
"""

import argparse
import random
import statistics
import textwrap
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from backends import HostArray
from experiments.compare_backends.report import LINE, ratio_text, seconds_text
from experiments.competitors.workloads import settle
from experiments.datasets import load
from experiments.shared.command_line import (
    add_backends,
    chosen_backends,
    make_parser,
    positive,
    run_script,
)
from experiments.shared.errors import DatasetError
from experiments.shared.records import make_comparison_record, write_json
from experiments.shared.tables import format_table
from multinn.host.progress import Advance, progress

_FEATURES: Final = 784
_CLASSES: Final = 10
_PROTOTYPES: Final = 20
_TEST_EXAMPLES: Final = 2000
REFERENCE: Final = "scikit-learn"


class Data(NamedTuple):
    """What is fitted to, and what is predicted: inputs (examples, 784) and classes (examples,)."""

    x: HostArray
    y: HostArray
    test_x: HostArray
    test_y: HostArray


@dataclass
class Fits:
    """The fits of one classifier.

    Attributes:
        name: of the classifier.
        make: makes one with a seed.
        first: seconds of the first fit.
        compile: seconds of that to compile.
        steady: seconds of each fit after that.
        accuracies: on the test examples, of each of these fits.
    """

    name: str
    make: Any
    first: float = 0.0
    compile: float = 0.0
    steady: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the seconds of a fit."""
        return statistics.median(self.steady)

    @property
    def accuracy(self) -> float:
        """The mean accuracy."""
        return statistics.fmean(self.accuracies)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "compare_sklearn",
        "Fit multinn's MLPClassifier and scikit-learn's own to MNIST, or to data of its shape, in turn, "
        "and compare seconds and accuracies.",
        times_compilation=True,
    )
    add_backends(parser)
    parser.add_argument("--dataset", choices=("drawn", "mnist"), default="drawn", help="to fit to")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of MNIST's four IDX files")
    parser.add_argument("--examples", type=positive, default=20000, metavar="N", help="to fit to")
    parser.add_argument("--epochs", type=positive, default=5, metavar="N", help="of each fit")
    parser.add_argument("--batch-size", type=positive, default=200, metavar="N", help="of each step")
    parser.add_argument("--repeats", type=positive, default=5, metavar="N", help="timed rounds")
    parser.add_argument("--solver", choices=("adam", "sgd"), default="adam", help="of all classifiers")
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="of all numbers"
    )
    return run_script(_run, parser, arguments)


def _run(options: argparse.Namespace) -> int:
    from sklearn.neural_network import MLPClassifier as Reference

    from multinn.sklearn import MLPClassifier

    backends = chosen_backends(options)
    settings = {
        "hidden_layer_sizes": (128,),
        "solver": options.solver,
        "batch_size": min(options.batch_size, options.examples),
        "max_iter": options.epochs,
        "n_iter_no_change": options.epochs,
    }
    fits = [Fits(REFERENCE, lambda seed: Reference(random_state=seed, **settings))]
    for name, backend in backends.items():
        fits.append(Fits(f"multinn {name}", _maker(MLPClassifier, backend, settings)))
    data = _data(options)
    print("\n".join(textwrap.wrap(_legend(options, data), LINE)), flush=True)
    start = time.perf_counter()
    with progress(len(fits) * (options.repeats + 1), "fit") as advance:
        measure(fits, data, options, advance)
    seconds = {"measure": time.perf_counter() - start}
    print(f"\n{_table(fits)}")
    if options.json:
        results = [_result(each, fits[0]) for each in fits]
        write_json(
            options.json,
            make_comparison_record(
                "compare_sklearn", options, backends, options.dtype, results, seconds
            ),
        )
    return 0


def _maker(kind: Any, backend: Any, settings: dict[str, Any]) -> Any:
    return lambda seed: kind(random_state=seed, backend=backend, **settings)


def _data(options: argparse.Namespace) -> Data:
    if options.dataset == "mnist":
        return _mnist(options)
    if options.data_dir is not None:
        raise DatasetError("--data-dir: drawn data are read from no folder; use it with --dataset mnist")
    return draw(options.examples, options.seed, options.dtype)


def _mnist(options: argparse.Namespace) -> Data:
    mnist = load("mnist", data_dir=options.data_dir)
    count = len(mnist.x_train)
    if options.examples > count:
        raise DatasetError(f"--examples: MNIST has {count} to fit to, got {options.examples}")
    x, test_x = (part.astype(options.dtype) for part in (mnist.x_train, mnist.x_test))
    return Data(x[: options.examples], mnist.y_train[: options.examples], test_x, mnist.y_test)


def draw(examples: int, seed: int, dtype: str) -> Data:
    """Return drawn data: classes of 0 to 9, and 2000 further examples to predict."""
    generator = np.random.default_rng(seed)
    prototypes = generator.normal(size=(_CLASSES, _PROTOTYPES, _FEATURES))
    classes = generator.integers(_CLASSES, size=examples + _TEST_EXAMPLES)
    x = prototypes[classes, generator.integers(_PROTOTYPES, size=len(classes))]
    x += generator.normal(scale=2.5, size=x.shape)
    x = (x / 2.5).astype(dtype)
    return Data(x[:examples], classes[:examples], x[examples:], classes[examples:])


def measure(
    fits: Sequence[Fits],
    data: Data,
    options: argparse.Namespace,
    advance: Advance,
) -> None:
    """Fill in the fits, in turn."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # They say that they stopped after the epochs that were asked for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for each in fits:
            each.first, model = _timed_fit(each, options.seed, data)
            if hasattr(model, "trainer_"):
                each.compile = model.trainer_.seconds.compile
            advance(1, {})
        for index in range(options.repeats):
            # Nobody always runs after the same one.
            for each in random.Random(index).sample(list(fits), len(fits)):
                seconds, model = _timed_fit(each, options.seed + index, data)
                each.steady.append(seconds)
                each.accuracies.append(float(np.mean(model.predict(data.test_x) == data.test_y)))
                advance(1, {each.name: seconds})


def _timed_fit(fits: Fits, seed: int, data: Data) -> tuple[float, Any]:
    model = fits.make(seed)
    settle(data.x.nbytes)
    start = time.perf_counter()
    model.fit(data.x, data.y)
    return time.perf_counter() - start, model


def _ratio(fits: Fits, reference: Fits) -> float:
    pairs = zip(fits.steady, reference.steady, strict=True)
    return statistics.median(own / base for own, base in pairs)


def _legend(options: argparse.Namespace, data: Data) -> str:
    name = "MNIST" if options.dataset == "mnist" else "drawn data"
    return (
        f"784-128-10, {options.examples} examples of {name}, {options.epochs} epochs in batches of "
        f"{options.batch_size}, {options.solver}, {options.dtype}. Seconds of a whole fit: of the "
        "first, of that to compile, and the median of "
        f"{options.repeats} more. Ratio: the median of the rounds' ratios to {REFERENCE}, below 1 where "
        f"multinn is faster. Accuracy: the mean of these fits on {len(data.test_x)} further examples."
    )


def _table(fits: Sequence[Fits]) -> str:
    rows = [
        [
            each.name,
            seconds_text(each.first),
            seconds_text(each.compile) if each.compile else "-",
            seconds_text(each.median),
            ratio_text(_ratio(each, fits[0])),
            f"{each.accuracy:.4f}",
        ]
        for each in fits
    ]
    return format_table(["classifier", "first", "compile", "fit", "ratio", "accuracy"], rows)


def _result(fits: Fits, reference: Fits) -> dict[str, Any]:
    record = asdict(fits)
    del record["make"]
    return record | {
        "median": fits.median,
        "ratio": _ratio(fits, reference),
        "accuracy": fits.accuracy,
    }


if __name__ == "__main__":
    raise SystemExit(main())
