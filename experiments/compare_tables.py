"""The score of embeddings of categories, compared with a one-hot encoding before scikit-learn's network.

Two tables are drawn for each seed. "shop" has 200 cities and 40 products, whose latent factors make a
price, with three numbers: most pairs of a city and a product are rare. "survey" has six questions with
six answers each and three numbers, and three classes that depend on pairs of answers. All networks have
one hidden layer of the same size, and the same solver, batches and epochs.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from backends import Backend, HostArray, get_backend
from experiments.shared.command_line import add_backend, add_count, make_parser, run_script
from experiments.shared.records import make_comparison_record, write_json
from experiments.shared.tables import format_table, paragraph, seconds_text
from multinn.host.progress import progress

_CITIES: Final = 200
_PRODUCTS: Final = 40
_ANSWERS: Final = 6
_QUESTIONS: Final = 6
_FOLDS: Final = 5


class Table(NamedTuple):
    """A table: X (examples, features), the targets, and the columns that are categories."""

    x: HostArray
    y: HostArray
    categorical: list[int]


@dataclass
class Scores:
    """The scores of one way to encode the categories, one for each seed, and the seconds of a fit."""

    table: str
    name: str
    scores: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "compare_tables",
        "Cross-validate networks on tables with categories: with embeddings, and with a one-hot "
        "encoding before scikit-learn's own network and before ours.",
        pictures=False,
    )
    add_backend(parser)
    add_count(parser, "--examples", 4000, "rows of each table")
    add_count(parser, "--tables", 5, "tables of each kind, from seeds in order")
    add_count(parser, "--units", 64, "hidden units")
    add_count(parser, "--epochs", 50, "epochs of each fit")
    return run_script(_run, parser, arguments)


def draw_shop(seed: int, examples: int) -> Table:
    """Draw prices: u_c · v_p + a_c x_0 + b_p + sin(2 x_1) + noise, for a city c and a product p."""
    generator = np.random.default_rng(seed)
    u, v = generator.normal(size=(_CITIES, 3)), generator.normal(size=(_PRODUCTS, 3))
    a, b = generator.normal(size=_CITIES), generator.normal(size=_PRODUCTS)
    c = generator.choice(_CITIES, examples, p=generator.dirichlet(np.ones(_CITIES)))
    p = generator.choice(_PRODUCTS, examples, p=generator.dirichlet(np.ones(_PRODUCTS)))
    x = generator.normal(size=(examples, 3))
    y = np.sum(u[c] * v[p], axis=1) / np.sqrt(3) + a[c] * x[:, 0] + b[p] + np.sin(2 * x[:, 1])
    y += generator.normal(scale=0.5, size=examples)
    return Table(np.column_stack([c, p, x]), y / y.std(), [0, 1])


def draw_survey(seed: int, examples: int) -> Table:
    """Draw three classes by a sum over answers, pairs of answers to neighbouring questions, and x."""
    generator = np.random.default_rng(seed)
    answers = generator.integers(_ANSWERS, size=(examples, _QUESTIONS))
    x = generator.normal(size=(examples, 3))
    y = x[:, 0] + generator.logistic(scale=0.3, size=examples)
    for question in range(_QUESTIONS):
        y += generator.normal(size=_ANSWERS)[answers[:, question]]
    for first in range(_QUESTIONS - 1):
        pair = generator.normal(size=(_ANSWERS, _ANSWERS))
        y += pair[answers[:, first], answers[:, first + 1]]
    classes = np.searchsorted(np.quantile(y, [1 / 3, 2 / 3]), y)
    return Table(np.column_stack([answers, x]), classes, list(range(_QUESTIONS)))


_TABLES: Final[dict[str, Callable[[int, int], Table]]] = {"shop": draw_shop, "survey": draw_survey}


def _candidates(
    table: Table, options: argparse.Namespace, backend: Backend, seed: int
) -> dict[str, Any]:
    """Return the estimators to compare, by name."""
    from sklearn import neural_network
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    from multinn.sklearn import MLPClassifier, MLPRegressor

    settings = {
        "hidden_layer_sizes": (options.units,),
        "max_iter": options.epochs,
        "n_iter_no_change": options.epochs,
        "random_state": seed,
    }
    is_regression = table.y.dtype.kind == "f"
    ours: Any = MLPRegressor if is_regression else MLPClassifier
    theirs = getattr(neural_network, ours.__name__)
    one_hot = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), table.categorical),
        remainder="passthrough",
    )
    return {
        "one-hot, scikit-learn": make_pipeline(one_hot, theirs(**settings)),
        "one-hot, multinn": make_pipeline(one_hot, ours(**settings, backend=backend)),
        "embeddings, multinn": ours(**settings, backend=backend, categorical_features=table.categorical),
    }


def _run(options: argparse.Namespace) -> int:
    from sklearn.exceptions import ConvergenceWarning

    backend = get_backend(options.backend)
    results: dict[tuple[str, str], Scores] = {}
    start = time.perf_counter()
    total = len(_TABLES) * options.tables
    with warnings.catch_warnings(), progress(total, "table") as advance:
        # They warn that they stopped after the requested epochs.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for seed in range(options.seed, options.seed + options.tables):
            for kind, draw in _TABLES.items():
                table = draw(seed, options.examples)
                for name, estimator in _candidates(table, options, backend, seed).items():
                    _score(results.setdefault((kind, name), Scores(kind, name)), estimator, table, seed)
                advance(1, {})
    print(paragraph(_legend(options)))
    print(f"\n{_as_table([*results.values()])}")
    if options.json:
        seconds = {"measure": time.perf_counter() - start}
        records = [asdict(each) for each in results.values()]
        backends = {backend.name: backend}
        record = make_comparison_record("compare_tables", options, backends, "float64", records, seconds)
        write_json(options.json, record)
    return 0


def _score(scores: Scores, estimator: Any, table: Table, seed: int) -> None:
    """Cross-validate an estimator."""
    from sklearn.model_selection import KFold, cross_validate

    folds = KFold(_FOLDS, shuffle=True, random_state=seed)
    found = cross_validate(estimator, table.x, table.y, cv=folds)
    scores.scores.append(float(np.mean(found["test_score"])))
    scores.seconds.append(float(np.mean(found["fit_time"])))


def _legend(options: argparse.Namespace) -> str:
    return (
        f"{options.tables} tables of each kind with {options.examples:,} rows, one hidden layer of "
        f"{options.units} units, {options.epochs} epochs of Adam. Score: R² for shop, accuracy for "
        f"survey, in a cross-validation with {_FOLDS} folds; its mean over the tables and the "
        "standard error of this mean."
    )


def _as_table(results: Sequence[Scores]) -> str:
    rows = []
    for each in results:
        scores = np.array(each.scores)
        error = scores.std(ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else np.nan
        seconds = seconds_text(float(np.median(each.seconds)))
        rows.append([each.table, each.name, f"{scores.mean():.3f}", f"{error:.3f}", seconds])
    columns = ["table", "categories and network", "score", "standard\nerror", "seconds\nof a fit"]
    return format_table(columns, rows, text_columns=2)


if __name__ == "__main__":
    raise SystemExit(main())
