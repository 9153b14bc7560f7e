"""The time and the score of a fit with multinn's estimators and with scikit-learn's own.

The data are MNIST, or random data of its shape, 784 features and 10 classes: each class has some
prototypes, and an example is one of them plus noise. All networks then have one hidden layer of 128
units. Or the data are small data sets of scikit-learn, standardized, and all hyperparameters have
scikit-learn's defaults. The estimators of both libraries have the same hyperparameters, and are fitted
in turn, round by round.
"""

import argparse
import random
import statistics
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from backends import Backend, HostArray
from experiments.compare_backends.speed_claims import TOLERANCE
from experiments.competitors.workloads import settle
from experiments.datasets import load
from experiments.shared.command_line import (
    add_backends,
    add_count,
    add_data_dir,
    load_backends,
    make_parser,
    run_script,
)
from experiments.shared.errors import UsageError
from experiments.shared.records import make_comparison_record, write_json
from experiments.shared.tables import format_table, paragraph, ratio_text, seconds_text
from multinn.host.progress import Advance, progress

SMALL: Final = ("iris", "breast_cancer", "diabetes", "digits")
_FEATURES: Final = 784
_CLASSES: Final = 10
_PROTOTYPES: Final = 20
_TEST_EXAMPLES: Final = 2000
REFERENCE: Final = "scikit-learn"

#: The highest ratio of the seconds, by the size of the data, solver, batch size and backend.
BOUNDS: Final[dict[tuple[str, str, int, str], float]] = {
    ("large", "adam", 200, "numpy"): 0.55,
    ("large", "adam", 200, "jax"): 0.55,
    ("large", "adam", 64, "numpy"): 0.45,
    ("large", "adam", 64, "jax"): 0.33,
    ("small", "adam", 200, "numpy"): 0.55,
    ("small", "lbfgs", 200, "numpy"): 1.0,
}
_EXAMPLES: Final = 20_000


class Data(NamedTuple):
    """Training and test data: inputs (examples, features), and classes or numbers (examples,)."""

    x: HostArray
    y: HostArray
    test_x: HostArray
    test_y: HostArray


@dataclass
class Fits:
    """The fits of one estimator.

    Attributes:
        dataset: the name of the data set.
        name: the name of the estimator.
        make: returns a new estimator for a seed.
        bound: the highest ratio of the seconds to those of scikit-learn; None if there is no claim.
        first: seconds of the first fit.
        compile: the part of these seconds that was spent compiling.
        steady: seconds of each later fit.
        epochs: the epochs of each later fit, or the iterations of L-BFGS.
        scores: the test score of each later fit, an accuracy or R².
    """

    dataset: str
    name: str
    make: Any
    bound: float | None = None
    first: float = 0.0
    compile: float = 0.0
    steady: list[float] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the seconds of a fit."""
        return statistics.median(self.steady)

    @property
    def score(self) -> float:
        """The mean score."""
        return statistics.fmean(self.scores)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "compare_sklearn",
        "Fit multinn's estimators and scikit-learn's own, in turn, to MNIST, to random data of its "
        "shape, or to small data sets, and compare seconds and scores.",
        times_compilation=True,
        pictures=False,
    )
    add_backends(parser)
    parser.add_argument(
        "--dataset",
        choices=("drawn", "mnist", "small"),
        default="drawn",
        help=f"random data, MNIST, or in turn {', '.join(SMALL)}",
    )
    add_data_dir(parser)
    parser.add_argument(
        "--solver", choices=("adam", "sgd", "lbfgs"), default="adam", help="solver of all estimators"
    )
    add_count(parser, "--examples", _EXAMPLES, "examples to fit to, at most")
    add_count(
        parser, "--epochs", None, "epochs of each fit (default: 5; for small data, as scikit-learn)"
    )
    add_count(parser, "--batch-size", 200, "examples in a step, at most")
    add_count(parser, "--repeats", 5, "timed rounds")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        help="precision of all numbers (default: float32; float64 for small data sets)",
    )
    return run_script(_run, parser, arguments)


def _run(options: argparse.Namespace) -> int:
    is_small = options.dataset == "small"
    if options.data_dir is not None and options.dataset != "mnist":
        raise UsageError("--data-dir is for --dataset mnist: other data is not read from a folder")
    options.dtype = options.dtype or ("float64" if is_small else "float32")
    if not is_small:
        options.epochs = options.epochs or 5
    backends = load_backends(options)
    datasets = {name: _small(name, options) for name in SMALL} if is_small else _large(options)
    fits = {name: _estimators(name, data, backends, options) for name, data in datasets.items()}
    print(paragraph(_legend(options)), flush=True)
    start = time.perf_counter()
    total = sum(map(len, fits.values())) * (options.repeats + 1)
    with progress(total, "fit") as advance:
        for name, data in datasets.items():
            measure(fits[name], data, options, advance)
    seconds = {"measure": time.perf_counter() - start}
    print(f"\n{_table(fits.values())}")
    if options.json:
        results = [_result(each, group[0]) for group in fits.values() for each in group]
        write_json(
            options.json,
            make_comparison_record(
                "compare_sklearn", options, backends, options.dtype, results, seconds
            ),
        )
    return 0


def _estimators(
    dataset: str, data: Data, backends: dict[str, Backend], options: argparse.Namespace
) -> list[Fits]:
    """Return scikit-learn's estimator for the data, and ours on each backend."""
    from sklearn import neural_network

    import multinn.sklearn

    kind = "MLPRegressor" if data.y.dtype.kind == "f" else "MLPClassifier"
    settings: dict[str, Any] = {"solver": options.solver}
    if options.solver != "lbfgs":
        settings["batch_size"] = min(options.batch_size, len(data.x))
    size = "small" if options.dataset == "small" else "large"
    if size == "large":
        settings |= {"hidden_layer_sizes": (128,), "n_iter_no_change": options.epochs}
    if options.epochs:
        settings["max_iter"] = options.epochs
    fits = [Fits(dataset, REFERENCE, _maker(getattr(neural_network, kind), settings))]
    for name, backend in backends.items():
        make = _maker(getattr(multinn.sklearn, kind), settings | {"backend": backend})
        case = (size, options.solver, options.batch_size, name)
        # No claim is about a quick look at few examples.
        bound = BOUNDS.get(case) if options.examples >= _EXAMPLES else None
        fits.append(Fits(dataset, f"multinn {name}", make, bound))
    return fits


def _maker(kind: Any, settings: dict[str, Any]) -> Any:
    return lambda seed: kind(random_state=seed, **settings)


def _large(options: argparse.Namespace) -> dict[str, Data]:
    if options.dataset == "mnist":
        return {"mnist": _mnist(options)}
    return {"drawn": draw(options.examples, options.seed, options.dtype)}


def _small(name: str, options: argparse.Namespace) -> Data:
    """Return a data set of scikit-learn, standardized, with a quarter of it as test data."""
    import sklearn.datasets
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, random_state=options.seed)
    scaler = StandardScaler().fit(train_x)
    train_x, test_x = (scaler.transform(part).astype(options.dtype) for part in (train_x, test_x))
    return Data(train_x[: options.examples], train_y[: options.examples], test_x, test_y)


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
    """Fit all estimators, round by round, and fill in their measurements."""
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
            # In random order, so that no estimator always runs after the same one.
            for each in random.Random(index).sample(list(fits), len(fits)):
                seconds, model = _timed_fit(each, options.seed + index, data)
                each.steady.append(seconds)
                each.epochs.append(model.n_iter_)
                each.scores.append(float(model.score(data.test_x, data.test_y)))
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


def _legend(options: argparse.Namespace) -> str:
    network = f"784-128-10, {options.examples:,} examples"
    if options.dataset == "small":
        network = "100 hidden units, standardized data"
    batches = "" if options.solver == "lbfgs" else f", batch size {options.batch_size}"
    return (
        f"{network}, {options.solver}{batches}, {options.dtype}. Seconds of a whole fit: of the first "
        f"one with compilation, and the median of {options.repeats} more. Ratio: to {REFERENCE}, the "
        "median over the rounds, below 1 if multinn is faster. Epochs and test score, an accuracy or "
        f"R²: means of these fits. Claims have a tolerance of {100 * TOLERANCE:g} % for noise."
    )


def _table(groups: Iterable[Sequence[Fits]]) -> str:
    rows = [
        [
            each.dataset,
            each.name,
            seconds_text(each.first),
            seconds_text(each.median),
            ratio_text(_ratio(each, group[0])),
            _claim_text(each, group[0]),
            f"{statistics.fmean(each.epochs):.0f}",
            f"{each.score:.3f}",
        ]
        for group in groups
        for each in group
    ]
    columns = [
        *("data", "estimator", "first\nfit, s", "later\nfits, s", "ratio"),
        *("at most", "epochs", "score"),
    ]
    return format_table(columns, rows, text_columns=2)


def _claim_text(fits: Fits, reference: Fits) -> str:
    holds = holds_claim(fits, reference)
    return "-" if holds is None else f"{fits.bound:g} {'yes' if holds else 'NO'}"


def holds_claim(fits: Fits, reference: Fits) -> bool | None:
    """Return whether the ratio is within the bound and its tolerance; None if there is no bound."""
    if fits.bound is None:
        return None
    return _ratio(fits, reference) <= fits.bound * (1.0 + TOLERANCE)


def _result(fits: Fits, reference: Fits) -> dict[str, Any]:
    record = asdict(fits)
    del record["make"]
    return record | {
        "median": fits.median,
        "ratio": _ratio(fits, reference),
        "holds": holds_claim(fits, reference),
        "score": fits.score,
    }


if __name__ == "__main__":
    raise SystemExit(main())
