"""Gradient cases of layers made of layers."""

from typing import Any

from multinn import (
    GELU,
    Add,
    AveragePool2D,
    Columns,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Identity,
    LayerNorm,
    Masking,
    Parallel,
    ReLU,
    Residual,
    Select,
    Sequential,
    SiLU,
    Tanh,
)
from multinn.testing.gradient_cases.base import LayerCase, Point, inputs


def _after_first_layer(point: Point) -> Any:
    params = point.variables["params"][0]
    return inputs(point) @ params["W"] + params["b"]


_PERCEPTRON = Sequential([Dense(6), ReLU(), Dense(3)])
_NESTED = Sequential(
    [
        Sequential([Dense(5), LayerNorm(0.1), GELU()]),
        Dropout(0.4),
        Flatten(),
        Sequential([Dense(5, use_bias=False), Tanh(), Sequential([Dense(4), SiLU()])]),
    ]
)

_CONVOLUTIONAL = Sequential(
    [Conv2D(2, 2), Tanh(), AveragePool2D(), Conv2D(3, 2), SiLU(), Dropout(0.3), Flatten(), Dense(2)]
)

_SMALL_NESTED = Sequential(
    [
        Sequential([Dense(2), LayerNorm(0.1), GELU()]),
        Dropout(0.4),
        Flatten(),
        Sequential([Dense(1, use_bias=False), Tanh(), Sequential([Dense(1), SiLU()])]),
    ]
)
_SMALL_CONVOLUTIONAL = Sequential(
    [
        Conv2D(1, 2),
        Tanh(),
        AveragePool2D((2, 1)),
        Conv2D(1, (1, 2)),
        SiLU(),
        Dropout(0.3),
        Flatten(),
        Dense(2),
    ]
)

_INPUTS_AND_HEADS = Sequential(
    [
        Concatenate(
            [
                Sequential([Select("numbers"), Columns((0, 2))]),
                Sequential([Select("city"), Embedding(3, 2), Flatten()]),
            ]
        ),
        Dense(3),
        Tanh(),
        Parallel({"price": Dense(1), "kind": Parallel([Dense(2), Identity()])}),
    ]
)

CASES: tuple[LayerCase, ...] = (
    LayerCase("Identity", Identity(), (2, 3)),
    LayerCase("Masking", Masking(), (2, 3, 2)),
    LayerCase("Residual", Residual(Sequential([Dense(3), Tanh()])), (4, 3)),
    LayerCase("Residual with a shortcut", Residual(Dense(2), Dense(2, use_bias=False)), (4, 3)),
    LayerCase("Add", Add([Dense(2), Sequential([Dense(3), SiLU(), Dense(2)])]), (4, 3)),
    LayerCase("Concatenate", Concatenate([Dense(2), Identity(), Dense(1)]), (4, 3)),
    LayerCase("Concatenate axis 1", Concatenate([Dense(3), Identity()], axis=1), (2, 4, 3)),
    LayerCase("Parallel", Parallel([Dense(2), Tanh()]), (4, 3)),
    LayerCase("Select a key", Select("b"), {"a": (3, 2), "b": (3, 1, 2)}),
    LayerCase("Select an index", Select(1), ((3, 2), {"a": (3, 1), "b": (3, 2)})),
    LayerCase("Columns", Columns((3, 0)), (2, 3, 4)),
    LayerCase(
        "Parallel of inputs and heads",
        _INPUTS_AND_HEADS,
        {"numbers": (4, 3), "city": (4, 1)},
        ids={"city": 3},
    ),
    LayerCase(
        "Sequential convolutional",
        _CONVOLUTIONAL,
        (2, 9, 9, 1),
        smaller=LayerCase("small", _SMALL_CONVOLUTIONAL, (1, 3, 3, 1)),
    ),
    LayerCase("Sequential perceptron", _PERCEPTRON, (4, 5), kink=_after_first_layer),
    LayerCase(
        "Sequential nested training",
        _NESTED,
        (4, 2, 3),
        training=True,
        smaller=LayerCase("small", _SMALL_NESTED, (1, 1, 2), training=True),
    ),
    LayerCase(
        "Sequential nested inference",
        _NESTED,
        (4, 2, 3),
        smaller=LayerCase("small", _SMALL_NESTED, (1, 1, 2)),
    ),
)
