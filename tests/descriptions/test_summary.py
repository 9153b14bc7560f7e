"""The table of a model's layers."""

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
    Sequential,
    Tanh,
)
from multinn.testing.gradient_cases import LAYERS
from tests.support.layer_runs import draw
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
    params, _ = draw(case.layer, case.shape[1:])
    expected = sum(leaf.size for leaf in tree.leaves(params))
    summary = case.layer.summary(case.shape[1:], "float64")
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
