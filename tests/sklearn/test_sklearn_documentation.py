"""The docstrings of the estimators: they list everything, and scikit-learn's diagram shows it."""

import inspect
import re
from html import escape

import numpy as np
import pandas as pd
import pytest

from multinn.sklearn import MLPClassifier, MLPRegressor
from tests.support.estimator_runs import X, Y

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = [MLPClassifier, MLPRegressor]
HEADING = re.compile(r"^(\w+)\n-+$", re.MULTILINE)
ENTRY = re.compile(r"^(\w+) : (.+)\n    (\S.+)$", re.MULTILINE)


def section(kind: type, title: str) -> dict[str, str]:
    """Return the types in a section of the docstring, by name."""
    parts = HEADING.split(inspect.getdoc(kind) or "")
    return {name: described for name, described, _ in ENTRY.findall(parts[parts.index(title) + 1])}


@pytest.mark.parametrize("kind", KINDS)
def test_all_parameters_are_described_with_their_defaults(kind):
    described = section(kind, "Parameters")
    parameters = inspect.signature(kind).parameters
    assert list(described) == list(parameters)
    for name, parameter in parameters.items():
        assert described[name].endswith(f", default={parameter.default!r}"), name


@pytest.mark.parametrize("kind", KINDS)
def test_all_attributes_of_a_fit_are_described(kind):
    model = kind((3,) if kind is MLPClassifier else "huber", max_iter=1)
    model.fit(pd.DataFrame(X, columns=[*"abcd"]), Y)
    found = {name for name in dir(model) if re.fullmatch(r"[a-z]\w*_", name)}
    assert set(section(kind, "Attributes")) == found


@pytest.mark.parametrize("kind", KINDS)
def test_the_diagram_shows_the_meaning_of_each_parameter(kind, monkeypatch):
    pytest.importorskip("sklearn.utils._repr_html.common", reason="scikit-learn shows none before 1.8")
    monkeypatch.setenv("MULTINN_DOCS", "..")
    html = kind()._repr_html_()
    for name, parameter in inspect.signature(kind).parameters.items():
        default = escape(f"default={parameter.default!r}", quote=True)
        assert re.search(f"{name}: .+, {re.escape(default)}<br><br>", html), name


def test_a_class_of_a_user_inherits_the_docstring():
    class Own(MLPClassifier):
        def __init__(self, alpha=1.0):
            super().__init__(alpha=alpha)

    assert inspect.getdoc(Own) == inspect.getdoc(MLPClassifier)
    assert np.isfinite(Own().fit(X, Y).loss_)
