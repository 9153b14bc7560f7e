"""The time and the accuracy of a fit with multinn's MLPClassifier and with scikit-learn's own.

The data are MNIST, or random data of its shape, 784 features and 10 classes: each class has some
prototypes, and an example is one of them plus noise. All classifiers have one hidden layer of 128 units,
and the same hyperparameters, solver, batches and epochs. They are fitted in turn, round by round.
"""

import argparse
import random
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from backends import HostArray
from experiments.competitors.workloads import settle
from experiments.datasets import load
from experiments.shared.command_line import (
    add_backends,
    add_count,
    add_data_dir,
    add_dtype,
    load_backends,
    make_parser,
    run_script,
)
from experiments.shared.errors import UsageError
from experiments.shared.records import make_comparison_record, write_json
from experiments.shared.tables import format_table, paragraph, ratio_text, seconds_text
from multinn.host.progress import Advance, progress

_FEATURES: Final = 784
_CLASSES: Final = 10
_PROTOTYPES: Final = 20
_TEST_EXAMPLES: Final = 2000
REFERENCE: Final = "scikit-learn"


class Data(NamedTuple):
    """Training and test data: inputs (examples, 784) and classes (examples,)."""

    x: HostArray
    y: HostArray
    test_x: HostArray
    test_y: HostArray


@dataclass
class Fits:
    """The fits of one classifier.

    Attributes:
        name: the name of the classifier.
        make: returns a new classifier for a seed.
        first: seconds of the first fit.
        compile: the part of these seconds that was spent compiling.
        steady: seconds of each later fit.
        accuracies: the test accuracy of each later fit.
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
        "Fit multinn's MLPClassifier and scikit-learn's own to MNIST, or to random data of its shape, "
        "in turn, and compare seconds and accuracies.",
        times_compilation=True,
    )
    add_backends(parser)
    parser.add_argument(
        "--dataset", choices=("drawn", "mnist"), default="drawn", help="random data, or MNIST"
    )
    add_data_dir(parser)
    add_count(parser, "--examples", 20_000, "examples to fit to")
    add_count(parser, "--epochs", 5, "epochs of each fit")
    add_count(parser, "--batch-size", 200, "examples in a step")
    add_count(parser, "--repeats", 5, "timed rounds")
    parser.add_argument(
        "--solver", choices=("adam", "sgd"), default="adam", help="solver of all classifiers"
    )
    add_dtype(parser, "float32")
    return run_script(_run, parser, arguments)


def _run(options: argparse.Namespace) -> int:
    from sklearn.neural_network import MLPClassifier as Reference

    from multinn.sklearn import MLPClassifier

    backends = load_backends(options)
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
    print(paragraph(_legend(options, data)), flush=True)
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
        raise UsageError("--data-dir is for --dataset mnist: random data is not read from a folder")
    return draw(options.examples, options.seed, options.dtype)


def _mnist(options: argparse.Namespace) -> Data:
    mnist = load("mnist", data_dir=options.data_dir)
    count = len(mnist.x_train)
    if options.examples > count:
        raise UsageError(f"--examples: expected at most {count} of MNIST, got {options.examples}")
    x, test_x = (part.astype(options.dtype) for part in (mnist.x_train, mnist.x_test))
    return Data(x[: options.examples], mnist.y_train[: options.examples], test_x, mnist.y_test)


def draw(examples: int, seed: int, dtype: str) -> Data:
    """Draw data of the classes 0 to 9, and 2000 more examples as test data."""
    generator = np.random.default_rng(seed)
    prototypes = generator.normal(size=(_CLASSES, _PROTOTYPES, _FEATURES))
    classes = generator.integers(_CLASSES, size=examples + _TEST_EXAMPLES)
    x = prototypes[classes, generator.integers(_PROTOTYPES, size=len(classes))]
    x += generator.normal(scale=2.5, size=x.shape)
    x = (x / 2.5).astype(dtype)
    return Data(x[:examples], classes[:examples], x[examples:], classes[examples:])


def measure(fits: Sequence[Fits], data: Data, options: argparse.Namespace, advance: Advance) -> None:
    """Fit all classifiers, round by round, and fill in their measurements."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # They warn that they stopped after the requested epochs.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for each in fits:
            each.first, model = _timed_fit(each, options.seed, data)
            if hasattr(model, "trainer_"):
                each.compile = model.trainer_.seconds.compile
            advance(1, {})
        for index in range(options.repeats):
            # In random order, so that no classifier always runs after the same one.
            for each in random.Random(index).sample(list(fits), len(fits)):
                seconds, model = _timed_fit(each, options.seed + index, data)
                each.steady.append(seconds)
                each.accuracies.append(float(np.mean(model.predict(data.test_x) == data.test_y)))
                advance(1, {f"{each.name} seconds": seconds})


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
    name = "MNIST" if options.dataset == "mnist" else "random data"
    return (
        f"784-128-10, {options.examples:,} examples of {name}, {options.epochs} epochs, batch size "
        f"{options.batch_size}, {options.solver}, {options.dtype}. Seconds of a whole fit: of the first "
        f"one, of compilation in it, and the median of {options.repeats} more. Ratio: to {REFERENCE}, "
        "the median over the rounds, below 1 if multinn is faster. Accuracy: the mean of these fits on "
        f"{len(data.test_x):,} test examples."
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
    columns = [
        "classifier",
        "seconds of\nfirst fit",
        "seconds to\ncompile",
        "seconds\nof a fit",
        "ratio",
        "test\naccuracy",
    ]
    return format_table(columns, rows)


def _result(fits: Fits, reference: Fits) -> dict[str, Any]:
    record = asdict(fits)
    del record["make"]
    return record | {"median": fits.median, "ratio": _ratio(fits, reference), "accuracy": fits.accuracy}


if __name__ == "__main__":
    raise SystemExit(main())
