"""Tables of a model's layers, as text and as HTML."""

import copy
import pickle
from dataclasses import dataclass
from functools import reduce

import pytest

from backends import tree
from multinn import (
    Add,
    BatchNorm,
    Concatenate,
    Dense,
    Dropout,
    Flatten,
    Parallel,
    Residual,
    Select,
    Sequential,
    Tanh,
)
from multinn.testing.gradient_cases import LAYERS
from tests.support.layer_runs import draw
from tests.support.markup import parse, rows, texts
from tests.support.own_parts import Doubled
from tests.support.small_runs import MODEL, fit, make_trainer

NESTED = Sequential(
    [
        Dense(16),
        Residual(Sequential([Doubled(), Dense(16)])),
        Concatenate([Dense(2), Add([Dense(3), Dense(3)])]),
    ]
)


def cells(line: str) -> tuple[str, str, str]:
    """Return the columns of a line: the indented name, the shape and the number."""
    return line[:38].rstrip(), line[38:67].strip(), line[67:].strip()


def test_each_layer_has_a_line_with_shape_and_parameters():
    lines = NESTED.summary((8,)).splitlines()
    assert [cells(line) for line in lines[2:-2]] == [
        ("Sequential", "(batch, 5)", "552"),
        ("  0 Dense", "(batch, 16)", "144"),
        ("  1 Residual", "(batch, 16)", "272"),
        ("    0 Identity", "(batch, 16)", "0"),
        ("    1 Sequential", "(batch, 16)", "272"),
        ("      0 Doubled", "(batch, 16)", "0"),
        ("      1 Dense", "(batch, 16)", "272"),
        ("  2 Concatenate", "(batch, 5)", "136"),
        ("    0 Dense", "(batch, 2)", "34"),
        ("    1 Add", "(batch, 3)", "102"),
        ("      0 Dense", "(batch, 3)", "51"),
        ("      1 Dense", "(batch, 3)", "51"),
    ]
    assert lines[-1] == "parameters: 552 (2,208 bytes in float32)"


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_the_total_counts_all_parameters(case):
    params, _ = draw(case.layer, case.input_shape)
    expected = sum(leaf.size for leaf in tree.leaves(params))
    summary = case.layer.summary(case.input_shape, "float64")
    assert f"\nparameters: {expected:,} ({8 * expected:,} bytes in float64)" in summary


def test_the_state_of_layers_is_counted_separately():
    last = Sequential([BatchNorm(), Dense(2)]).summary((3,)).splitlines()[-1]
    assert last == "state of the layers: 12 (48 bytes in float32)"


@pytest.mark.parametrize(
    ("layer", "input_shape"),
    [
        (Dense(1), (10_000_000,)),
        (Tanh(), (2,) * 30),
        (Parallel([Dense(3)] * 9), (2,)),
        (reduce(lambda inner, _: Sequential([inner]), range(40), Sequential([Dense(2)])), (2,)),
        (Dropout(), ()),
    ],
    ids=["many parameters", "many axes", "many outputs", "deep", "no axis"],
)
def test_the_table_fits_80_columns(layer, input_shape):
    lines = layer.summary(input_shape).splitlines()
    assert max(map(len, lines)) == 80


def test_each_of_several_outputs_has_a_line():
    inputs = Concatenate([Select("numbers"), Select("city")])
    model = Sequential([inputs, Parallel({"price": Dense(1), "kind": Dense(3)})])
    summary = model.summary({"numbers": (5,), "city": (1,)})
    lines = summary.splitlines()
    assert [cells(line) for line in lines[2:4]] == [
        ("Sequential", "price: (batch, 1)", "28"),
        ("", "kind: (batch, 3)", ""),
    ]
    assert cells(lines[-4]) == ("    0 Dense", "(batch, 1)", "7")
    assert rows(summary._repr_html_())[1][1] == "price: (batch, 1)\nkind: (batch, 3)"
    pair = Parallel([Select("numbers"), Parallel([Select("city")])]).summary(
        {"numbers": (5,), "city": ()}
    )
    assert [cells(line)[1] for line in pair.splitlines()[2:4]] == ["0: (batch, 5)", "1.0: (batch,)"]


def test_the_table_is_the_same_before_and_after_training():
    before = MODEL.summary((3,))
    fit(make_trainer(model=MODEL), 1)
    assert MODEL.summary((3,)) == before


def test_a_shape_that_the_model_cannot_take_is_refused():
    with pytest.raises(ValueError, match=r"^layer 1 of Sequential: Dense: expected"):
        Sequential([Flatten(), Dense(2)]).summary((0,))


def test_an_axis_without_a_length_is_refused():
    with pytest.raises(TypeError, match=r"input_shape: expected integers, .*, got \(None, 3\)"):
        Dense(2).summary((None, 3))


def test_a_number_is_refused_as_a_shape():
    with pytest.raises(TypeError, match=r"input_shape: expected a tuple, .*, such as \(4,\), got 3"):
        Dense(2).summary(3)


def test_a_console_shows_the_summary_as_it_is_printed():
    summary = NESTED.summary((8,))
    assert repr(summary) == str(summary) == "".join(summary)
    assert summary.startswith("layer ")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda summary: pickle.loads(pickle.dumps(summary))])
def test_a_copied_summary_is_shown_in_notebooks_too(copied):
    summary = NESTED.summary((8,))
    assert copied(summary) == summary
    assert copied(summary)._repr_html_() == summary._repr_html_()


def test_a_notebook_shows_shapes_parameters_and_formulas():
    html = (
        Sequential([Dense(3, use_bias=False), Residual(Tanh()), BatchNorm()]).summary((2,))._repr_html_()
    )
    assert rows(html)[:3] == [
        ["layer", "output shape", "parameters", "formula"],
        ["Sequential", "(batch, 3)", "12", "y = f_k(... f_2(f_1(x))): layers in sequence"],
        ["0\xa0Dense(units=3, use_bias=False)", "(batch, 3)", "6", "y = x W + b, along the last axis"],
    ]
    assert [row[0] for row in rows(html)[3:]] == [
        "1\xa0Residual",
        "0\xa0Identity",
        "1\xa0Tanh",
        "2\xa0BatchNorm",
    ]
    assert texts(parse(html), "p") == [
        "parameters: 12 (48 bytes in float32)",
        "state of the layers: 12 (48 bytes in float32)",
    ]


def test_without_a_shape_print_shows_the_layers_and_formulas():
    assert str(Sequential([Dense(3), Residual(Tanh())])).splitlines() == [
        "layer                             formula",
        "-" * 80,
        "Sequential                        y = f_k(... f_2(f_1(x))): layers in sequence",
        "  0 Dense(units=3)                y = x W + b, along the last axis",
        "  1 Residual                      y = s(x) + f(x): the output of a layer plus i…",
        "    0 Identity                    y = x, and so dx = dy",
        "    1 Tanh                        y = tanh(x)",
    ]


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_a_notebook_shows_the_same_layers_with_and_without_a_shape(case):
    known = rows(case.layer.summary(case.input_shape)._repr_html_())
    unknown = rows(case.layer._repr_html_())
    assert [row[0] for row in unknown] == [row[0] for row in known]
    assert [row[-1] for row in unknown] == [row[-1] for row in known]
    assert max(map(len, str(case.layer).splitlines())) == 80


def test_names_of_classes_and_hyperparameters_are_escaped():
    hostile = dataclass(frozen=True)(
        type("<b>", (Doubled,), {"__annotations__": {"text": str}, "text": ""})
    )
    assert rows(hostile(text="<script>")._repr_html_())[1] == ["<b>(text='<script>')", ""]


def test_a_layer_without_hyperparameters_need_not_be_a_dataclass():
    class Plain(Tanh):
        """y = tanh(x), once more."""

    assert rows(Sequential([Plain()]).summary((2,))._repr_html_())[2] == [
        "0\xa0Plain",
        "(batch, 2)",
        "0",
        "y = tanh(x), once more",
    ]
