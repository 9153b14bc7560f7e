"""Tables with categories: the estimators learn an embedding of each category."""

import copy
import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars
import pytest
import scipy.sparse
import skops.io
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from backends import get_backend, tree
from multinn.sklearn import MLPClassifier, MLPRegressor
from multinn.sklearn.lbfgs import _flatten, _unflatten
from multinn.sklearn.network import CategoryEmbedding
from tests.support.estimator_runs import assert_same_estimators

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

GENERATOR = np.random.default_rng(0)
COUNT = 60
TABLE = pd.DataFrame(
    {
        "size": GENERATOR.normal(size=COUNT),
        "city": np.array([*"abc", None], object)[np.arange(COUNT) % 4],
        "rooms": GENERATOR.integers(1, 4, COUNT),
        "age": GENERATOR.normal(size=COUNT),
    }
)
Y = (TABLE["size"] + (TABLE["city"] == "a") > 0.3).to_numpy().astype(int)
CATEGORICAL = ["city", "rooms"]
SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
EXAMPLES = TABLE[:3].assign(city=["a", "new", None], rooms=[1, 9, 2])


def classifier(**parameters: Any) -> MLPClassifier:
    return MLPClassifier(**SETTINGS | {"categorical_features": CATEGORICAL} | parameters)


def test_the_inputs_of_the_network_are_ids():
    model = classifier().fit(TABLE, Y)
    assert model.is_categorical_.tolist() == [False, True, True, False]
    assert [values.tolist() for values in model.categories_] == [["a", "b", "c"], [1.0, 2.0, 3.0]]
    assert [table.shape for table in model.embeddings_] == [(3, 3), (3, 3)]
    assert model.coefs_[0].shape == (2 + 3 + 3, 4)
    np.testing.assert_array_equal(model.feature_names_in_, TABLE.columns)
    encoded = model._categories.encode(EXAMPLES)
    np.testing.assert_array_equal(encoded[:, [0, 3]], EXAMPLES[["size", "age"]])
    assert encoded[:, 1].tolist() == [2.0, 0.0, 1.0]  # "a", unknown, missing
    assert encoded[:, 2].tolist() == [2.0, 0.0, 3.0]


@pytest.mark.parametrize(
    "table",
    [
        TABLE.astype({"city": "category", "rooms": "category"}),
        TABLE.astype({"city": "string", "rooms": "Int64"}),
        TABLE.astype({"rooms": float}),
        TABLE.astype({"rooms": object}),
        TABLE.to_numpy(object),
        TABLE.to_numpy(object).tolist(),
    ],
    ids=["categories", "extensions", "floats", "objects", "array", "list"],
)
def test_the_kind_of_table_does_not_matter(table):
    p = classifier(categorical_features=[2, 1]).fit(table, Y).predict_proba(table)
    np.testing.assert_array_equal(p, classifier().fit(TABLE, Y).predict_proba(TABLE))


def test_tables_of_polars():
    table = polars.DataFrame({name: TABLE[name].tolist() for name in ("size", "rooms")})
    table = table.with_columns(city=polars.Series(["a", None] * 30, dtype=polars.Categorical))
    model = classifier(categorical_features="from_dtype").fit(table, Y)
    assert model.is_categorical_.tolist() == [False, False, True]
    same = TABLE[["size", "rooms"]].assign(city=["a", None] * 30)
    expected = classifier(categorical_features=["city"]).fit(same, Y)
    np.testing.assert_array_equal(model.predict_proba(table), expected.predict_proba(same))


@pytest.mark.parametrize(
    "given", [[1, 2], np.array(["city", "rooms"]), [False, True, True, False], "from_dtype"], ids=str
)
def test_the_ways_to_say_which_features_are_categories(given):
    table = TABLE.astype({"city": "category", "rooms": "category"})
    model = classifier(categorical_features=given).fit(table, Y)
    assert model.is_categorical_.tolist() == [False, True, True, False]


@pytest.mark.parametrize("given", [[], [False] * 3, "from_dtype"], ids=str)
def test_without_categories_all_is_as_usual(given):
    table = TABLE[["size", "rooms", "age"]]
    model = classifier(categorical_features=given).fit(table, Y)
    assert model.is_categorical_ is None
    assert model.categories_ == model.embeddings_ == []
    expected = classifier(categorical_features=None).fit(table.to_numpy(), Y)
    np.testing.assert_array_equal(model.predict_proba(table), expected.predict_proba(table.to_numpy()))


def test_booleans_and_a_table_of_nothing_but_categories():
    table = pd.DataFrame({"old": TABLE["age"] > 0, "rooms": TABLE["rooms"]})
    model = MLPRegressor(**SETTINGS, categorical_features=[0, 1]).fit(table, TABLE["size"])
    assert model.categories_[0].tolist() == [0.0, 1.0]
    assert model.coefs_[0].shape == (2 + 3, 4)
    many = pd.DataFrame({"code": np.arange(COUNT)})
    assert classifier(categorical_features=[0]).fit(many, Y).embeddings_[0].shape == (COUNT, 9)


def test_long_embeddings_begin_as_a_one_hot_encoding_and_others_with_random_numbers():
    model = classifier(embedding_size={"city": 2}, learning_rate_init=1e-12).fit(TABLE, Y)
    assert 0.02 < np.abs(model.embeddings_[0]).mean() < 0.5
    np.testing.assert_allclose(model.embeddings_[1], np.eye(3), atol=1e-9)
    other = classifier(embedding_size={"city": 2}, learning_rate_init=1e-12, random_state=1)
    assert (other.fit(TABLE, Y).embeddings_[0] != model.embeddings_[0]).all()


def test_text_and_whole_numbers_of_the_same_digits_differ():
    model = classifier().fit(TABLE.assign(rooms=TABLE["rooms"].astype(str)), Y)
    assert model.categories_[1].tolist() == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("size", "lengths"), [(None, [3, 3]), (2, [2, 2]), ({"city": 1}, [1, 3]), ({2: 5}, [3, 5])]
)
def test_the_length_of_the_embeddings(size, lengths):
    model = classifier(embedding_size=size).fit(TABLE, Y)
    assert [table.shape for table in model.embeddings_] == [(3, length) for length in lengths]


def predictions_with(model: Any, embeddings: list[Any], dense: Any) -> Any:
    """Return the probability of class 1, computed by hand for one example."""
    x = np.concatenate([dense, *embeddings])
    h = np.maximum(x @ model.coefs_[0] + model.intercepts_[0], 0.0)
    return 1.0 / (1.0 + np.exp(-(h @ model.coefs_[1] + model.intercepts_[1])[0]))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_category_that_training_lacks_has_the_mean_embedding(solver):
    weights = np.linspace(0.0, 2.0, COUNT)
    table = TABLE.assign(city=np.where(np.arange(COUNT) == 0, "zero", TABLE["city"]))
    model = classifier(solver=solver, max_iter=20).fit(table, Y, sample_weight=weights)
    example = TABLE[:1]
    dense = example[["size", "age"]].to_numpy()[0]
    city, rooms = model.embeddings_
    mean = weights @ rooms[TABLE["rooms"] - 1] / weights.sum()
    p = predictions_with(model, [city[0], mean], dense)
    for unseen in (9, None):
        given = example.assign(city="a", rooms=unseen)
        np.testing.assert_allclose(model.predict_proba(given)[0, 1], p, rtol=1e-6)
    # In the column of cities, some are missing: a category of its own. One has examples of weight 0.
    known = {name: weights[(table["city"] == name).to_numpy()].sum() for name in "abc"}
    missing = model.trainer_.embeddings[0][1]
    total = sum(weight * city["abc".index(name)] for name, weight in known.items())
    mean = (total + (weights.sum() - sum(known.values())) * missing) / weights.sum()
    for unseen, vector in (("new", mean), ("zero", mean), (None, missing)):
        p = predictions_with(model, [vector, rooms[1]], dense)
        given = example.assign(city=[unseen], rooms=2)
        np.testing.assert_allclose(model.predict_proba(given)[0, 1], p, rtol=1e-6)
    assert np.abs(missing - mean).max() > 1e-3


@pytest.mark.parametrize("how", ["sample_weight", "class_weight"])
def test_examples_of_weight_zero_have_no_categories(how):
    table = TABLE.assign(city=np.where(Y == 1, "one", TABLE["city"]), rooms=TABLE["rooms"] + 5 * Y)
    settings = {"class_weight": {1: 0.0}} if how == "class_weight" else {}
    weights = 1.0 - Y if how == "sample_weight" else None
    model = classifier(**settings).fit(table, Y, sample_weight=weights)
    assert [values.tolist() for values in model.categories_] == [["a", "b", "c"], [1.0, 2.0, 3.0]]


def test_a_category_among_the_held_out_examples_alone_has_the_mean_embedding():
    table = TABLE.assign(city=[f"{i}" for i in range(COUNT)])
    model = classifier(early_stopping=True).fit(table, Y)
    counts = np.asarray(model.trainer_.state.layer_state[0][1][1]["counts"])
    assert counts[2:].tolist().count(0.0) == 6
    held_out = model.embeddings_[0][counts[2:] == 0]
    np.testing.assert_allclose(held_out, np.tile(counts @ model.trainer_.embeddings[0] / 54, (6, 1)))


def test_a_later_call_trains_a_new_category_from_the_mean():
    model = classifier(learning_rate_init=1e-6).fit(TABLE, Y)
    mean, city = model.trainer_.embeddings[0][0], model.embeddings_[0]
    assert np.abs(mean).min() > 0.1
    model.partial_fit(TABLE.assign(city="new"), Y)
    np.testing.assert_allclose(model.trainer_.embeddings[0][0], mean, atol=1e-5)
    np.testing.assert_allclose(model.embeddings_[0], city, atol=1e-5)
    assert [values.tolist() for values in model.categories_] == [["a", "b", "c"], [1.0, 2.0, 3.0]]


def loss_of(model: Any, like: Any) -> Any:
    """Return the loss with the penalty as a function of the parameters, computed by hand."""
    x, network = model._categories.encode(TABLE), model.trainer_.program.model

    def loss(flat: Any) -> float:
        params = _unflatten(np, flat, like)
        z = network.forward(get_backend("numpy:eager"), params, x)[0][:, 0]
        penalized = [params[0][1][1]["W"], params[0][2][1]["W"], params[1]["W"], params[3]["W"]]
        squares = sum(float((W * W).sum()) for W in penalized)
        return float(np.mean(np.logaddexp(0.0, (1 - 2 * Y) * z))) + model.alpha / (2 * COUNT) * squares

    return loss


def differences(loss: Any, flat: Any, h: float = 1e-5) -> Any:
    """Return the central differences of a function."""
    return np.array([(loss(flat + h * e) - loss(flat - h * e)) / (2 * h) for e in np.eye(len(flat))])


def test_a_step_follows_the_gradient_of_the_loss_with_the_penalty():
    model = classifier(solver="sgd", alpha=3.0, batch_size=COUNT, momentum=0.0).fit(TABLE, Y)
    before = model.trainer_.snapshot().params
    model.set_params(learning_rate_init=1.0).partial_fit(TABLE, Y)
    step = tree.map(lambda a, b: a - b, before, model.trainer_.snapshot().params)
    loss, start = loss_of(model, before), _flatten(before)
    np.testing.assert_allclose(_flatten(step), differences(loss, start), atol=1e-8)
    np.testing.assert_allclose(model.loss_, loss(start), rtol=1e-9)


def test_lbfgs_ends_where_the_gradient_is_zero():
    model = classifier(solver="lbfgs", activation="tanh", max_iter=500, tol=1e-7, alpha=1.0)
    params = model.fit(TABLE, Y).trainer_.snapshot().params
    assert np.abs(differences(loss_of(model, params), _flatten(params))).max() < 1e-4
    np.testing.assert_allclose(model.loss_, loss_of(model, params)(_flatten(params)), rtol=1e-9)


def test_the_table_of_the_layer():
    layer, numpy = CategoryEmbedding(4, 2), get_backend("numpy:eager")
    W = np.array([[9.0, 9.0], [1.0, 0.0], [3.0, 4.0], [7.0, 7.0]])
    counts = np.array([0.0, 1.0, 3.0, 0.0])
    expected = [[2.5, 3.0], [1.0, 0.0], [3.0, 4.0], [2.5, 3.0]]
    np.testing.assert_array_equal(layer.table(numpy, W, counts), expected)
    np.testing.assert_array_equal(layer.table(numpy, W, 0.0 * counts), W)


@pytest.mark.parametrize("how", ["file", "skops", "pickle", "copy"])
def test_a_copy_predicts_the_same_bits_and_trains_on(how, tmp_path):
    settings = {"embedding_size": {"city": 2}, "early_stopping": True, "validation_fraction": 0.3}
    model = classifier(**settings).fit(TABLE, Y)
    if how == "file":
        model.save(tmp_path / "model.safetensors")
        other = MLPClassifier.load(tmp_path / "model.safetensors")
    elif how == "skops":
        data = skops.io.dumps(model)
        other = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    else:
        other = pickle.loads(pickle.dumps(model)) if how == "pickle" else copy.deepcopy(model)
    for one, two in zip(other.categories_, model.categories_, strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(other.predict_proba(EXAMPLES), model.predict_proba(EXAMPLES))
    for each in (model, other):
        each.partial_fit(TABLE, Y)
    assert_same_estimators(model, other)


def test_a_file_whose_categories_do_not_fit_the_model_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    model = classifier().fit(TABLE, Y)
    model._categories = (
        classifier().fit(TABLE[TABLE["city"] != "c"], Y[TABLE["city"] != "c"])._categories
    )
    model.save(path)
    with pytest.raises(ValueError, match=r"expected 3 categories for layer 0\.1\.1"):
        MLPClassifier.load(path)


def test_a_search_over_a_pipeline():
    transformer = make_column_transformer(
        (StandardScaler(), ["size", "age"]), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    grid = {"mlpclassifier__embedding_size": [1, 2], "mlpclassifier__early_stopping": [True]}
    search = GridSearchCV(make_pipeline(transformer, classifier()), grid, cv=2).fit(TABLE, Y)
    network = search.best_estimator_[-1]
    assert network.embeddings_[0].shape[1] == search.best_params_["mlpclassifier__embedding_size"]
    assert network.feature_names_in_.tolist() == ["size", "age", "city", "rooms"]
    assert clone(network).categorical_features == CATEGORICAL


def test_validation_data_and_scores_take_tables():
    weights = (np.arange(COUNT) % 2).astype(float)
    model = classifier().fit(TABLE, Y, validation_data=(EXAMPLES, Y[:3]))
    assert len(model.validation_loss_curve_) == 3
    np.testing.assert_allclose(
        model.score(TABLE, Y, weights), np.mean(model.predict(TABLE[1::2]) == Y[1::2])
    )


def test_another_backend_computes_the_same():
    one, other = (classifier(backend=name).fit(TABLE, Y) for name in ("numpy", "jax"))
    np.testing.assert_allclose(one.predict_proba(EXAMPLES), other.predict_proba(EXAMPLES), rtol=1e-6)


@pytest.mark.parametrize(
    ("table", "parameters", "message"),
    [
        (TABLE.assign(age=np.nan), {}, r"contains NaN: X: nan at row 0, column 3 \('age'\)"),
        (
            TABLE.assign(age="x").to_numpy(object),
            {"categorical_features": [1, 2]},
            "row 0, column 3; enc",
        ),
        (TABLE.assign(age=pd.NaT), {}, r"X: expected numbers, got NaT at row 0, column 3 \('age'\)"),
        (TABLE.assign(rooms=["x", 1] * 30), {}, "only text or only numbers in .* 'rooms', got int, str"),
        (TABLE.assign(rooms=np.arange(COUNT) + 2**53), {}, r"numbers up to 2\*\*53 in .* 'rooms'"),
        (TABLE.assign(rooms=pd.Timestamp(0)), {}, "text or numbers in .* 'rooms', got datetime64"),
        (TABLE, {"categorical_features": ["town"]}, "names 'size', 'city', 'rooms', 'age'; got 'town'"),
        (TABLE, {"categorical_features": [4]}, "categorical_features: expected indices from 0 to 3"),
        (TABLE, {"categorical_features": [-1]}, "categorical_features: expected indices from 0 to 3"),
        (TABLE, {"categorical_features": [True]}, "a mask of the 4 features of X, got 1 entries"),
        (TABLE, {"categorical_features": "city"}, "must be an array-like, a str among {'from_dtype'}"),
        (TABLE.to_numpy(object), {}, "X has no names, as X is an array; got 'city'"),
        (TABLE, {"embedding_size": {"age": 2}}, "embedding_size: column 3 is not one of"),
        (TABLE, {"embedding_size": {"city": 0}}, "embedding_size: expected integers of 1 or more"),
        (TABLE, {"embedding_size": 0}, "'embedding_size' parameter .* must be an int in the range"),
        (TABLE["size"], {}, "Expected a 2-dimensional container"),
        (scipy.sparse.csr_array(np.eye(COUNT)), {"categorical_features": [0]}, "dense data is required"),
    ],
)
def test_a_wrong_table_or_parameter_raises(table, parameters, message):
    model = classifier().fit(TABLE, Y)
    before = dict(vars(model))
    model.set_params(**parameters)
    changed = dict(vars(model))
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(table, Y)
    assert vars(model) == changed
    assert changed.keys() == before.keys()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            TABLE.assign(rooms="x"),
            "X: expected numbers in the categorical column 'rooms', as in the fit",
        ),
        (
            TABLE.assign(city=1),
            "X: expected text in the categorical column 'city', as in the fit, got num",
        ),
        (TABLE[["city", "size", "rooms", "age"]], "must be in the same order as they were in fit"),
        (TABLE[["size", "city", "rooms"]], "yet now missing:\n- age"),
        (TABLE.assign(age=np.nan), r"contains NaN: X: nan at row 0, column 3 \('age'\)"),
    ],
)
def test_a_table_unlike_that_of_the_fit_raises(table, message):
    model = classifier().fit(TABLE, Y)
    with pytest.raises(ValueError, match=message):
        model.predict(table)


def test_a_column_without_an_entry():
    model = classifier().fit(TABLE.assign(city=None), Y)
    assert model.categories_[0].tolist() == []
    known, unknown = (model.predict_proba(TABLE.assign(city=city)) for city in (None, "a"))
    np.testing.assert_array_equal(known, unknown)  # the mean of one category
    assert np.isfinite(classifier().fit(TABLE, Y).predict_proba(TABLE.assign(city=None))).all()


def test_scikit_learns_own_network_has_no_embeddings():
    model = classifier().fit(TABLE, Y)
    with pytest.raises(ValueError, match=r"to_sklearn: categorical_features: .* no such parameter"):
        model.to_sklearn()
    with pytest.raises(ValueError, match="to_sklearn: expected a network without embeddings"):
        model.set_params(categorical_features=None).to_sklearn()
    refitted = model.fit(TABLE[["size", "age"]], Y)
    assert refitted.is_categorical_ is None
    assert refitted.to_sklearn().n_features_in_ == 2


def test_other_embeddings_cannot_continue():
    model = classifier(warm_start=True).fit(TABLE, Y)
    with pytest.raises(ValueError, match=r"need the same layers.*parameter 0\.1\.1\.W"):
        model.set_params(embedding_size=7).fit(TABLE, Y)
