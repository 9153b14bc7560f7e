"""Layers that choose inputs and columns, and heads by name."""

import numpy as np
import pytest

from backends import get_backend, tree
from multinn import (
    Add,
    ChannelsLast,
    Columns,
    Concatenate,
    Dense,
    Embedding,
    Flatten,
    Identity,
    Masking,
    MultiHeadAttention,
    Parallel,
    Residual,
    Select,
    Sequential,
    TransformerBlock,
)
from multinn.layers.base import mask_of, values_of

NUMPY = get_backend("numpy:eager")
GENERATOR = np.random.default_rng(0)
NUMBERS = GENERATOR.normal(size=(2, 3))
CITY = np.array([[1], [2]], np.int32)
X = {"numbers": NUMBERS, "city": CITY}
SHAPES = {"numbers": (3,), "city": (1,)}
MODEL = Sequential(
    [
        Concatenate([Select("numbers"), Sequential([Select("city"), Embedding(4, 2), Flatten()])]),
        Parallel({"price": Dense(1), "kind": Dense(3)}),
    ]
)


def init(layer, shape):
    return layer.init(np.random.default_rng(0), shape)


def test_a_model_of_several_inputs_and_heads(backend):
    params, shapes = init(MODEL, SHAPES)
    assert shapes == {"price": (1,), "kind": (3,)}
    with backend.precision("float64"):
        y = backend.to_numpy(MODEL.forward(backend, *backend.from_numpy((params, X)))[0])
    (_, (_, table, _)), heads = params[0], params[1]
    joined = np.concatenate([NUMBERS, table["W"][CITY[:, 0]]], axis=1)
    for name, own in zip(("price", "kind"), heads, strict=True):
        np.testing.assert_allclose(y[name], joined @ own["W"] + own["b"], rtol=1e-12)


def test_the_gradient_of_ids_has_the_dtype_of_the_others(backend):
    params, shapes = init(MODEL, SHAPES)
    with backend.precision("float64"):
        params, x = backend.from_numpy((params, X))
        _, cache = MODEL.forward(backend, params, x)
        dy = backend.from_numpy({name: np.ones((2, *shape)) for name, shape in shapes.items()})
        dx = backend.to_numpy(MODEL.backward(backend, params, cache, dy)[0])
    assert dx["city"].dtype == np.float64
    np.testing.assert_array_equal(dx["city"], 0.0)


def test_an_entry_may_be_several_arrays():
    x = ({"a": NUMBERS, "b": 2.0 * NUMBERS}, CITY)
    model = Sequential([Select(0), Select("b")])
    assert init(model, ({"a": (3,), "b": (3,)}, (1,)))[1] == (3,)
    y, cache = model.forward(NUMPY, ({}, {}), x)
    np.testing.assert_array_equal(y, 2.0 * NUMBERS)
    dx, _ = model.backward(NUMPY, ({}, {}), cache, NUMBERS)
    tree.map(
        np.testing.assert_array_equal, dx, ({"a": 0.0 * NUMBERS, "b": NUMBERS}, np.zeros(CITY.shape))
    )


def test_an_entry_keeps_its_mask():
    sequences = np.array([[[1.0], [0.0]]])
    model = Sequential([Parallel({"plain": Identity(), "masked": Masking()}), Select("masked")])
    y, cache = model.forward(NUMPY, (({}, {}), {}), sequences)
    np.testing.assert_array_equal(mask_of(y), [[True, False]])
    dx, _ = model.backward(NUMPY, (({}, {}), {}), cache, 3.0 * sequences)
    np.testing.assert_array_equal(dx, 3.0 * sequences)


def test_columns_may_be_an_array_of_numpy():
    layer = Columns(np.array([2, 0]))
    assert layer == Columns((2, 0)) == Columns([2, 0])
    assert init(layer, (4, 3)) == ({}, (4, 2))
    np.testing.assert_array_equal(layer.forward(NUMPY, {}, NUMBERS)[0], NUMBERS[:, [2, 0]])


@pytest.mark.parametrize(
    ("model", "x", "place"),
    [
        (
            Sequential([Select("city"), Embedding(2, 2)]),
            X,
            r"Select\(entry='city'\): Embedding: .* got 2",
        ),
        (
            Sequential([Columns((2,)), Embedding(2, 2)]),
            np.array([[5, 5, 1], [5, 5, 3]]),
            r"Columns\(columns=\(2,\)\): Embedding: .* got 3",
        ),
        (
            Sequential([Flatten(), Columns((3,)), Embedding(2, 2)]),
            np.array([[[5, 5], [5, 7]]]),
            "Embedding: .* got 7",
        ),
        (
            Sequential([ChannelsLast(), Columns((1,)), Embedding(2, 2)]),
            np.array([[[[5]], [[7]]]]),
            "Embedding: .* got 7",
        ),
        (
            Sequential(
                [Parallel({"a": Select("city")}), Parallel([Sequential([Select("a"), Embedding(2, 2)])])]
            ),
            X,
            "Embedding: .* got 2",
        ),
        (
            Sequential(
                [
                    Parallel([Sequential([Select("city"), Dense(2), Columns((0,))]), Select("city")]),
                    Concatenate([Select(0), Sequential([Select(1), Embedding(2, 2)])]),
                ]
            ),
            X,
            "Embedding: .* got 2",
        ),
        (
            Sequential([Concatenate([Select("city"), Select("city")]), Embedding(2, 2)]),
            X,
            "Embedding: .* got 2",
        ),
    ],
    ids=["Select", "Columns", "Flatten", "ChannelsLast", "Parallel", "beside a Dense", "Concatenate"],
)
def test_ids_are_checked_where_they_are_chosen(model, x, place):
    with pytest.raises(ValueError, match=place):
        model.check_inputs(x)


def test_values_of_several_outputs():
    masked, _ = Masking().forward(NUMPY, {}, NUMBERS[:, :, None])
    values = values_of({"a": masked, "b": (masked, NUMBERS)})
    assert values["a"] is masked.values
    assert values["b"] == (masked.values, NUMBERS)


def test_cross_attention_with_a_residual_branch(backend):
    """The padding of the source reaches no output, and the sum adds the target."""
    attention = MultiHeadAttention(1)
    model = Sequential(
        [
            Parallel([Select("target"), Sequential([Select("source"), Embedding(4, 2, 0)])]),
            Add([Select(0), attention]),
        ]
    )
    shapes = {"target": (3, 2), "source": (4,)}
    params, shape = init(model, shapes)
    assert shape == (3, 2)
    target = GENERATOR.normal(size=(2, 3, 2))
    ids = np.array([[1, 2, 0, 0], [3, 0, 0, 0]], np.int32)
    with backend.precision("float64"):
        arguments = backend.from_numpy((params, {"target": target, "source": ids}))
        y = backend.to_numpy(model.forward(backend, *arguments)[0])
    table = params[0][1][1]["W"]
    for own, own_ids, own_target in zip(y, ids, target, strict=True):
        steps = table[own_ids[own_ids > 0]][None]
        alone, _ = attention.forward(NUMPY, params[1][1], (own_target[None], steps))
        np.testing.assert_allclose(own, own_target + alone[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            Select("age"),
            SHAPES,
            "Select: .* the entry 'age', got a dict with the keys 'numbers', 'city'",
        ),
        (Select("age"), ((3,), (1,)), "Select: expected .* the entry 'age', got a tuple of 2"),
        (Select(0), SHAPES, "Select: .* the entry 0, got a dict"),
        (Select(2), ((3,), (1,)), "Select: .* the entry 2, got a tuple of 2"),
        (Select("age"), (3,), "Select: expected a dict or a tuple of arrays .*, got one array"),
        (Columns([0, 3]), (3,), "Columns: expected columns from 0 to 2, as x has 3, got 3"),
        (Sequential([Dense(2)]), SHAPES, "layer 0 of Sequential: Dense: expected one array, got a dict"),
        (Residual(Identity()), ((3,), (3,)), "branch 0 of Residual: expected one array as its output"),
        (Concatenate([Identity()]), SHAPES, "branch 0 of Concatenate: expected one array as its output"),
        (Add([Dense(1), Parallel([Dense(1)])]), (3,), "branch 1 of Add: expected one array as its"),
        (
            MultiHeadAttention(1),
            {"a": (3, 2), "b": (3, 2)},
            "MultiHeadAttention: expected one array, or a",
        ),
        (
            MultiHeadAttention(1),
            ((3, 2), ((3, 2), (3, 2))),
            "MultiHeadAttention: expected one array, or",
        ),
        (
            Sequential([TransformerBlock(2, 1, 2)]),
            {"a": (3, 2), "b": (3, 2)},
            "TransformerBlock: expected one",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_inputs_that_do_not_fit_are_named(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        init(layer, shape)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Select(-1), ValueError, "Select: expected entry: an index of 0 or more, got -1"),
        (lambda: Select(True), TypeError, "Select: expected entry: a string or an integer, got True"),
        (lambda: Columns(3), TypeError, "Columns: expected columns: a tuple of integers, got 3"),
        (lambda: Columns("01"), TypeError, "Columns: expected columns: a tuple of integers, got '01'"),
        (lambda: Columns([]), ValueError, r"Columns: expected columns: indices of 0 or more, got \(\)"),
        (lambda: Columns([0, -1]), ValueError, "Columns: expected columns: indices of 0 or more, got"),
        (lambda: Columns([1, 1]), ValueError, r"Columns: expected columns that differ, got \(1, 1\)"),
        (lambda: Parallel({1: Dense(1)}), TypeError, "Parallel: expected names: strings, got 1"),
        (
            lambda: Parallel({"": Dense(1)}),
            ValueError,
            "Parallel: expected names that differ, none of them",
        ),
        (
            lambda: Parallel([Dense(1)], "a"),
            TypeError,
            "Parallel: expected names: a list of strings, got 'a'",
        ),
        (
            lambda: Parallel([Dense(1)], ["a", "b"]),
            ValueError,
            "Parallel: expected names: one for each of 1",
        ),
        (
            lambda: Parallel({"a": Dense(1)}, ["b"]),
            ValueError,
            "Parallel: expected names only with a list",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_heads_by_name_equal_those_with_a_list_of_names():
    assert Parallel({"price": Dense(1), "kind": Dense(3)}) == Parallel(
        [Dense(1), Dense(3)], ["price", "kind"]
    )
    assert "price: (batch, 1)" in MODEL.layers[1].summary((3,))
