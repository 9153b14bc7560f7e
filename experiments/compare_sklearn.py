"""How long a fit takes with multinn's MLPClassifier and with scikit-learn's own, and how good it is.

Data of the shape of MNIST, 784 numbers and 10 classes, are drawn: each class has some prototypes, and an
example is one of them with noise. All classifiers have one hidden layer of 128 units, and the same
parameters, solver, batches and epochs. They fit in turn, round by round.
"""

import argparse
import random
import statistics
import textwrap
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from experiments.command_line import (
    add_backends,
    chosen_backends,
    format_table,
    make_comparison_record,
    make_parser,
    positive,
    run_script,
    write_json,
)
from experiments.compare_backends_report import LINE, ratio_text, seconds_text
from experiments.workloads import settle
from multinn.progress import Advance, progress

HostArray = np.ndarray[Any, np.dtype[Any]]

_FEATURES: Final = 784
_CLASSES: Final = 10
_PROTOTYPES: Final = 20
_TEST_EXAMPLES: Final = 2000
REFERENCE: Final = "scikit-learn"


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
        "Fit multinn's MLPClassifier and scikit-learn's own to data of the shape of MNIST, in turn, and "
        "compare seconds and accuracies.",
        times_compilation=True,
    )
    add_backends(parser)
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
    data = draw(options.examples + _TEST_EXAMPLES, options.seed, options.dtype)
    print("\n".join(textwrap.wrap(_legend(options), LINE)), flush=True)
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


def draw(examples: int, seed: int, dtype: str) -> tuple[HostArray, HostArray]:
    """Return inputs (examples, 784) and classes (examples,) of 0 to 9."""
    generator = np.random.default_rng(seed)
    prototypes = generator.normal(size=(_CLASSES, _PROTOTYPES, _FEATURES))
    classes = generator.integers(_CLASSES, size=examples)
    x = prototypes[classes, generator.integers(_PROTOTYPES, size=examples)]
    x += generator.normal(scale=2.5, size=x.shape)
    return (x / 2.5).astype(dtype), classes


def measure(
    fits: Sequence[Fits],
    data: tuple[HostArray, HostArray],
    options: argparse.Namespace,
    advance: Advance,
) -> None:
    """Fill in the fits, in turn."""
    from sklearn.exceptions import ConvergenceWarning

    (x, test_x), (y, test_y) = (np.split(part, [options.examples]) for part in data)
    with warnings.catch_warnings():
        # They say that they stopped after the epochs that were asked for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for each in fits:
            each.first, model = _timed_fit(each, options.seed, x, y)
            if hasattr(model, "trainer_"):
                each.compile = model.trainer_.seconds.compile
            advance(1, {})
        for index in range(options.repeats):
            # Nobody always runs after the same one.
            for each in random.Random(index).sample(list(fits), len(fits)):
                seconds, model = _timed_fit(each, options.seed + index, x, y)
                each.steady.append(seconds)
                each.accuracies.append(float(np.mean(model.predict(test_x) == test_y)))
                advance(1, {each.name: seconds})


def _timed_fit(fits: Fits, seed: int, x: HostArray, y: HostArray) -> tuple[float, Any]:
    model = fits.make(seed)
    settle()
    start = time.perf_counter()
    model.fit(x, y)
    return time.perf_counter() - start, model


def _ratio(fits: Fits, reference: Fits) -> float:
    pairs = zip(fits.steady, reference.steady, strict=True)
    return statistics.median(own / base for own, base in pairs)


def _legend(options: argparse.Namespace) -> str:
    return (
        f"784-128-10, {options.examples} examples, {options.epochs} epochs in batches of "
        f"{options.batch_size}, {options.solver}, {options.dtype}. Seconds of a whole fit: of the "
        "first, of that to compile, and the median of "
        f"{options.repeats} more. Ratio: the median of the rounds' ratios to {REFERENCE}, below 1 where "
        "multinn is faster. Accuracy: the mean of these fits on 2000 further examples."
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
