"""The diagram that scikit-learn shows of an estimator, and its link to our documentation."""

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from multinn.sklearn import MLPClassifier, MLPRegressor
from tests.support.estimator_runs import X, Y


@pytest.mark.parametrize("address", ["https://example.org/docs/", "https://example.org/docs"])
def test_the_link_leads_to_the_documentation_at_the_given_address(monkeypatch, address):
    monkeypatch.setenv("MULTINN_DOCS", address)
    link = "https://example.org/docs/reference/sklearn.html#multinn.sklearn."
    assert f'href="{link}MLPClassifier"' in MLPClassifier()._repr_html_()
    assert f'href="{link}MLPRegressor"' in MLPRegressor()._repr_html_()


def test_without_an_address_there_is_no_link(monkeypatch):
    monkeypatch.delenv("MULTINN_DOCS", raising=False)
    assert "multinn.sklearn.MLPClassifier" not in MLPClassifier()._repr_html_()


def test_a_class_of_a_user_has_no_link(monkeypatch):
    monkeypatch.setenv("MULTINN_DOCS", "..")

    class Own(MLPClassifier):
        pass

    assert Own()._get_doc_link() == ""


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fitted_estimator_in_a_pipeline_is_shown():
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((3,), max_iter=1)).fit(X, Y)
    html = pipeline._repr_html_()
    assert "MLPClassifier" in html
    assert "hidden_layer_sizes" in html
