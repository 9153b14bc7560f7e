"""Short texts about layers, losses and optimizers."""

from dataclasses import dataclass

import pytest

from multinn import (
    Adam,
    ClipByGlobalNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Layer,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
)
from multinn.descriptions.brief import brief, brief_without_parts, formula
from multinn.initializers import He
from multinn.testing.gradient_cases import LAYERS
from tests.support.own_parts import Doubled


@pytest.mark.parametrize(
    ("instance", "expected"),
    [
        (Tanh(), "Tanh"),
        (Dense(3), "Dense(units=3)"),
        (Dense(3, weight_initializer=He()), "Dense(units=3, weight_initializer=He)"),
        (Conv2D(8, (3, 3)), "Conv2D(filters=8, kernel_size=(3, 3))"),
        (Conv2D(8, (3, 3), stride=(2, 1)), "Conv2D(filters=8, kernel_size=(3, 3), stride=(2, 1))"),
        (SoftmaxCrossEntropy(), "SoftmaxCrossEntropy"),
        (
            ClipByGlobalNorm(Adam(0.1), 1.0),
            "ClipByGlobalNorm(optimizer=Adam(learning_rate=0.1), max_norm=1.0)",
        ),
        (Sequential([Tanh()]), "Sequential(layers=(Tanh,))"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_only_what_differs_from_the_defaults_is_shown(instance, expected):
    assert brief(instance) == expected


def test_the_layers_of_a_container_are_left_out():
    assert brief_without_parts(Concatenate([Dense(2), Dense(3)], axis=1)) == "Concatenate(axis=1)"


def test_the_layers_of_a_layer_that_is_no_container_are_shown():
    @dataclass(frozen=True)
    class Frozen(Doubled):
        layer: Layer = Tanh()

    assert brief_without_parts(Frozen(layer=Dropout(0.25))) == "Frozen(layer=Dropout(rate=0.25))"


def test_the_formula_is_the_first_paragraph_of_the_docstring():
    assert formula(Dense(2)) == "y = x W + b, along the last axis"


def test_a_class_without_a_docstring_has_no_formula():
    assert formula(Doubled()) == ""


def test_a_class_without_hyperparameters_need_not_be_a_dataclass():
    class Plain(Tanh):
        pass

    assert (brief(Plain()), formula(Plain())) == ("Plain", "")


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_every_layer_has_a_formula(case):
    assert formula(case.layer)
