"""Layers: shapes, values against plain formulas, hyperparameters and errors."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

from backends import tree
from multinn import (
    ELU,
    GELU,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    GroupNorm,
    HardSwish,
    Layer,
    LayerNorm,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    SpatialDropout,
    Tanh,
)
from multinn.initializers import Constant, Normal
from tests.support.layer_runs import draw, forward, training_key

ELEMENTWISE: dict[Layer, Callable[[np.ndarray], np.ndarray]] = {
    Sigmoid(): scipy.special.expit,
    Tanh(): np.tanh,
    ReLU(): lambda x: np.where(x > 0.0, x, 0.0),
    LeakyReLU(): lambda x: np.where(x > 0.0, x, 0.01 * x),
    LeakyReLU(0.3): lambda x: np.where(x > 0.0, x, 0.3 * x),
    LeakyReLU(2.0): lambda x: np.where(x > 0.0, x, 2.0 * x),
    ELU(): lambda x: np.where(x > 0.0, x, np.exp(x) - 1.0),
    ELU(2.0): lambda x: np.where(x > 0.0, x, 2.0 * (np.exp(x) - 1.0)),
    GELU(): lambda x: x * scipy.special.ndtr(x),
    GELU("tanh"): lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    SiLU(): lambda x: x * scipy.special.expit(x),
    Softplus(): lambda x: np.log(1.0 + np.exp(x)),
    Mish(): lambda x: x * np.tanh(np.log(1.0 + np.exp(x))),
    Softsign(): lambda x: x / (1.0 + np.abs(x)),
    ReLU6(): lambda x: np.clip(x, 0.0, 6.0),
    HardSwish(): lambda x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0,
}
ACTIVATIONS = [*ELEMENTWISE, Softmax()]

# layer, input shape, output shape, and the shapes of the parameters
SHAPES: list[tuple[Layer, tuple[int, ...], tuple[int, ...], dict[str, tuple[int, ...]]]] = [
    (Dense(3), (5,), (3,), {"W": (5, 3), "b": (3,)}),
    (Dense(3), (4, 5), (4, 3), {"W": (5, 3), "b": (3,)}),
    (Dense(1, use_bias=False), (1,), (1,), {"W": (1, 1)}),
    (Flatten(), (2, 3, 4), (24,), {}),
    (Flatten(), (5,), (5,), {}),
    (Dropout(0.5), (2, 3), (2, 3), {}),
    (PReLU(), (2, 3), (2, 3), {"a": (3,)}),
    (SpatialDropout(0.5), (2, 3), (2, 3), {}),
    (LayerNorm(), (5,), (5,), {"beta": (5,), "gamma": (5,)}),
    (RMSNorm(), (2, 5), (2, 5), {"gamma": (5,)}),
    (BatchNorm(), (5,), (5,), {"beta": (5,), "gamma": (5,)}),
    (BatchNorm(), (2, 3, 5), (2, 3, 5), {"beta": (5,), "gamma": (5,)}),
    (GroupNorm(2), (6,), (6,), {"beta": (6,), "gamma": (6,)}),
    (GroupNorm(2), (3, 2, 4), (3, 2, 4), {"beta": (4,), "gamma": (4,)}),
    *((layer, (2, 3), (2, 3), {}) for layer in ACTIVATIONS),
    (
        Sequential([Flatten(), Sequential([Dense(4), ReLU()]), Dense(2)]),
        (3, 3),
        (2,),
        {"1.0.W": (9, 4), "1.0.b": (4,), "2.W": (4, 2), "2.b": (2,)},
    ),
]
shapes = pytest.mark.parametrize(
    ("layer", "inputs", "outputs", "parameters"),
    SHAPES,
    ids=lambda value: str(value) if isinstance(value, Layer | tuple) else "",
)


@shapes
def test_init_gives_parameters_and_output_shape(layer, inputs, outputs, parameters):
    params, shape = draw(layer, inputs)
    leaves = tree.leaves_with_paths(params)
    assert shape == outputs
    assert {path: leaf.shape for path, leaf in leaves} == parameters
    assert all(leaf.dtype == np.float64 for _, leaf in leaves)


@shapes
def test_forward_gives_the_output_shape_from_init(backend, layer, inputs, outputs, parameters):
    y = forward(backend, layer, np.ones((2, *inputs), np.float32), training_key(backend))
    assert y.shape == (2, *outputs)
    assert y.dtype == np.float32


@shapes
def test_the_same_generator_draws_the_same_parameters(layer, inputs, outputs, parameters):
    tree.map(np.testing.assert_array_equal, draw(layer, inputs)[0], draw(layer, inputs)[0])


@shapes
def test_a_layer_is_a_frozen_value(layer, inputs, outputs, parameters):
    assert hash(layer) == hash(dataclasses.replace(layer))
    assert layer == dataclasses.replace(layer)
    assert repr(layer).startswith(type(layer).__name__)


@pytest.mark.parametrize("layer", ELEMENTWISE, ids=str)
def test_an_activation_is_its_formula(backend, layer):
    x = np.linspace(-9.0, 9.0, 101).reshape(1, -1)
    with backend.precision("float64"):
        y = forward(backend, layer, x)
    # Cancellation, as in 1 + tanh(u), leaves an error of a few times 9 · 2⁻⁵².
    np.testing.assert_allclose(y, ELEMENTWISE[layer](x), rtol=1e-12, atol=1e-14)


def test_prelu_has_a_slope_for_each_channel(backend):
    x = np.array([[[-2.0, -2.0], [3.0, -1.0]]], np.float32)
    y = forward(backend, PReLU(), x, params={"a": np.array([0.5, -2.0])})
    np.testing.assert_array_equal(y, [[[-1.0, 4.0], [3.0, 2.0]]])


def test_softmax_is_its_formula(backend):
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    with backend.precision("float64"):
        y = forward(backend, Softmax(), x)
    np.testing.assert_allclose(y, np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True), rtol=1e-14)


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=str)
def test_an_activation_takes_extreme_inputs(backend, layer):
    x = np.array([[-1e38, -1e20, -100.0, -0.0], [0.0, 100.0, 1e20, 1e38]], np.float32)
    y = forward(backend, layer, x)
    assert not np.isnan(y).any()
    assert np.isfinite(y[1]).all()


def test_dense_is_its_formula(backend):
    rng = np.random.default_rng(0)
    x, W, b = rng.normal(size=(3, 4, 5)), rng.normal(size=(5, 2)), rng.normal(size=2)
    with backend.precision("float64"):
        y = forward(backend, Dense(2), x, params={"W": W, "b": b})
    np.testing.assert_allclose(y, np.einsum("nki,ij->nkj", x, W) + b, rtol=1e-13)


def test_dense_without_a_bias_goes_through_the_origin(backend):
    assert not forward(backend, Dense(2, use_bias=False), np.zeros((1, 3), np.float32)).any()


def test_dense_draws_from_its_initializers():
    layer = Dense(2, weight_initializer=Normal(5.0, 0.0), bias_initializer=Constant(-1.0))
    params, _ = draw(layer, (3,))
    np.testing.assert_array_equal(params["W"], np.full((3, 2), 5.0))
    np.testing.assert_array_equal(params["b"], np.full(2, -1.0))


def test_dense_passes_the_fans_to_its_initializer():
    bound = math.sqrt(6.0 / (300 + 100))
    assert 0.99 * bound < np.abs(draw(Dense(100), (300,))[0]["W"]).max() <= bound


def test_flatten_keeps_the_order(backend):
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(forward(backend, Flatten(), x), x.reshape(2, 12))


def test_sequential_gives_each_layer_a_key_of_its_own(backend):
    y = forward(
        backend,
        Sequential([Dropout(0.5), Dropout(0.5)]),
        np.ones((100, 100), np.float32),
        training_key(backend),
    )
    assert abs((y > 0.0).mean() - 0.25) < 4.0 * math.sqrt(0.25 * 0.75) / 100.0


def test_sequential_is_composition(backend):
    x = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    layers = [Dense(5), Tanh(), LayerNorm(), Dense(2)]
    params, _ = draw(Sequential(layers), (3,))
    y = x
    for layer, part in zip(layers, params, strict=True):
        y = forward(backend, layer, y, params=part)
    whole = forward(backend, Sequential(layers), x, params=params)
    np.testing.assert_allclose(whole, y, rtol=1e-5)


def test_nesting_does_not_change_the_draws():
    flat, _ = draw(Sequential([Dense(4), Tanh(), Dense(2)]), (3,))
    nested, _ = draw(Sequential([Sequential([Dense(4), Tanh()]), Dense(2)]), (3,))
    for one, other in zip(tree.leaves(flat), tree.leaves(nested), strict=True):
        np.testing.assert_array_equal(one, other)


def test_sequential_takes_any_iterable():
    assert Sequential(Dense(n) for n in (3, 2)) == Sequential((Dense(3), Dense(2)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dense(0), ValueError, "Dense: expected units of at least 1, got 0"),
        (lambda: Dense(-3), ValueError, "Dense"),
        (lambda: LeakyReLU(-0.1), ValueError, "LeakyReLU: .*negative_slope of 0 or more, got -0.1"),
        (lambda: LeakyReLU(math.inf), ValueError, "LeakyReLU"),
        (lambda: PReLU(math.nan), ValueError, "PReLU: expected a finite initial_slope, got nan"),
        (lambda: ELU(0.0), ValueError, "ELU: expected a positive, finite alpha, got 0.0"),
        (lambda: ELU(math.inf), ValueError, "ELU"),
        (lambda: GELU("exact"), ValueError, "GELU: expected approximate 'none' or 'tanh', got 'exact'"),
        (lambda: Sequential([]), ValueError, "expected layers: at least one layer, got none"),
        (lambda: Sequential([Dense(1), 3]), TypeError, r"expected layers\[1\]: Layer, got 3"),
        (lambda: Sequential([Dense(1), ReLU]), TypeError, r"layers\[1\]: .*; write .* ReLU\(\)"),
    ],
)
def test_invalid_hyperparameters_raise(make: Callable[[], Any], error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Dense(2), (), r"Dense: expected inputs of shape \(batch, ..., features\), got \('batch',\)"),
        (Dense(2), (0,), r"Dense: .* got \('batch', 0\)"),
        (PReLU(), (), r"PReLU: expected inputs of shape \(batch, ..., features\)"),
        (Sequential([ReLU(), Dense(2)]), (), "layer 1 of Sequential: Dense"),
        (
            Sequential([ReLU(), Sequential([Tanh(), Dense(2)])]),
            (),
            "layer 1 of Sequential: layer 1 of Sequential: Dense",
        ),
    ],
)
def test_inputs_of_invalid_shape_raise(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        draw(layer, shape)
