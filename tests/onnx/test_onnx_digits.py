"""An export computes what the layer computes, also where operators of runtimes lose digits or range."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backends import Tree, tree
from multinn import (
    ELU,
    BatchNorm,
    Conv1D,
    Dense,
    Embedding,
    GroupNorm,
    HardSwish,
    Layer,
    LayerNorm,
    LeakyReLU,
    Masking,
    Mish,
    ReLU,
    ReLU6,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from multinn.host.trees import shape_of
from multinn.onnx import to_onnx
from tests.support.onnx_runs import CASES, drawn, ordered_leaves, outputs_of, point_of, run_onnx

INPUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "far above 0": lambda x: x + 1e4,
    "far below 0": lambda x: x - 1e4,
    "farther": lambda x: 1e6 + x / 100.0,
    "equal": lambda x: np.full_like(x, 1234.1),
    "tiny": lambda x: 1e-20 * x,
    "small": lambda x: 1e-3 * x,
    "steep": lambda x: 300.0 * x,
    "huge": lambda x: 1e17 * x,  # squares do not overflow
    "zeros": np.zeros_like,
    "ties": np.round,
}

ELEMENTWISE = [ELU(), HardSwish(), LeakyReLU(), Mish(), ReLU(), ReLU6(), Sigmoid(), SiLU(), Softplus()]
ELEMENTWISE += [Softsign(), Tanh()]  # GELU is a product with a number that is rounded near 1


def in_float32(leaves: Tree) -> Tree:
    return tree.map(lambda leaf: np.asarray(leaf, np.float32), leaves)


def assert_as_exact(layer: Layer, params: Tree, state: Tree, *inputs: Tree) -> None:
    """Assert that the export is about as near to the layer in float64 as the layer in float32 is."""
    params, state = in_float32((params, state))
    model = to_onnx(layer, params, state, shape_of(inputs[0]))
    for x in in_float32(inputs):
        with np.errstate(all="ignore"):
            exact = outputs_of(layer, params, state, x, "float64")
            expected = outputs_of(layer, params, state, x, "float32")
        for right, own, got in zip(exact, expected, run_onnx(model, *ordered_leaves(x)), strict=True):
            finite = np.isfinite(own)
            size = np.max(np.abs(right[finite]), initial=0.0)
            error = np.max(np.abs(own - right)[finite], initial=0.0)
            np.testing.assert_allclose(
                got[finite], right[finite], rtol=0, atol=4.0 * error + 1e-6 * size
            )


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.ids], ids=lambda case: str(case.name)
)
def test_an_export_has_the_digits_of_its_layer_for_inputs_of_any_size(case: Any) -> None:
    layer, params, state, x = point_of(case)
    counts = x != 0.0 if case.lengths else np.True_
    scaled = [tree.map(lambda leaf, f=f: np.where(counts, f(leaf), 0.0), x) for f in INPUTS.values()]
    assert_as_exact(layer, params, state, *scaled)


@pytest.mark.parametrize("layer", ELEMENTWISE, ids=str)
def test_each_number_of_an_activation_has_its_digits(layer: Layer) -> None:
    sizes = np.geomspace(1e-30, 85.0, 300)
    x = np.concatenate([-sizes, sizes])[:, None].astype(np.float32)
    (exact,) = outputs_of(layer, {}, {}, x, "float64")
    (expected,) = outputs_of(layer, {}, {}, x, "float32")
    (got,) = run_onnx(to_onnx(layer, {}, {}, (1,)), x)
    error = np.abs(expected - exact)
    assert np.all(np.abs(got - exact) <= 4.0 * error + 1e-5 * np.abs(exact) + 1e-37)


def test_probabilities_of_classes_that_are_almost_impossible() -> None:
    logits = np.array([[0.0, -20.0, -80.0]], np.float32)
    (got,) = run_onnx(to_onnx(Softmax(), {}, {}, (3,)), logits)
    np.testing.assert_allclose(got, np.exp(logits) / (1.0 + np.exp(-20.0)), rtol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (5, 4, 3)], ids=["features", "images"])
def test_running_statistics_far_from_0(shape: tuple[int, ...]) -> None:
    params, state = drawn(BatchNorm(), shape)
    state = state | {"mean": 1e4 * state["mean"], "variance": 1e-4 * state["variance"]}
    x = state["mean"] + 0.01 * np.random.default_rng(0).normal(size=(6, *shape))
    assert_as_exact(BatchNorm(), params, state, x)


@pytest.mark.parametrize(
    "layer",
    [GroupNorm(2), LayerNorm(), Sequential([Masking(), GroupNorm(2)])],
    ids=["groups", "layer", "masked"],
)
def test_equal_numbers_are_normalized_to_0(layer: Layer) -> None:
    x = np.full((1, 16, 16, 4), 1234.1, np.float32)
    params, _ = layer.init(np.random.default_rng(0), x.shape[1:])
    model = to_onnx(layer, params, layer.init_state(params), x.shape[1:])
    np.testing.assert_array_equal(run_onnx(model, x)[0], np.zeros_like(x))


@pytest.mark.parametrize("layer", [GroupNorm(2), LayerNorm(), RMSNorm()], ids=str)
def test_normalizations_of_many_numbers_far_from_0(layer: Layer) -> None:
    x = 1e3 + np.random.default_rng(0).normal(size=(1, 20, 30, 256))
    assert_as_exact(layer, *drawn(layer, x.shape[1:]), x)


@pytest.mark.parametrize(
    "layer",
    [BatchNorm(), Conv1D(3, 2, padding="causal"), GroupNorm(2)],
    ids=lambda layer: type(layer).__name__,
)
def test_infinite_numbers_in_padding_reach_no_step_that_counts(layer: Layer) -> None:
    model = Sequential([Masking(2.0), Dense(4, use_bias=False), layer])
    x = 1e-38 * np.random.default_rng(0).normal(size=(2, 5, 3))
    x[1, 3:] = 2.0  # becomes infinite
    params, state = drawn(model, x.shape[1:])
    params = ({}, {"W": 1e38 * (2.0 + params[1]["W"])}, params[2])
    with np.errstate(over="ignore"):
        (own,) = outputs_of(model, *in_float32((params, state, x)), "float32")
    assert np.all(np.isfinite(own))
    assert_as_exact(model, params, state, x)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("wrong", [-1, 3])
def test_numbers_that_are_no_ids_are_refused(wrong: int, dtype: str) -> None:
    params, state = drawn(Embedding(3, 2), (2,))
    model = to_onnx(Embedding(3, 2), params, state, (2,), input_dtype=dtype)
    with pytest.raises(Exception, match="out of data bounds"):
        run_onnx(model, np.array([[0, wrong]], dtype))
