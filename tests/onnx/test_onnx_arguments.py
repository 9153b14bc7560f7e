"""Wrong arguments of the export: the error names the argument, what was expected and what came."""

from typing import Any

import numpy as np
import pytest

from multinn import BatchNorm, Dense, Layer, ReLU, Sequential, onnx
from multinn.layers.base import ParameterFree
from multinn.onnx import converts, has_converter, to_onnx
from tests.support.onnx_runs import drawn

MODEL = Sequential([Dense(3), BatchNorm()])
PARAMS, STATE = drawn(MODEL, (4,))
RIGHT: dict[str, Any] = {
    "model": MODEL,
    "params": PARAMS,
    "layer_state": STATE,
    "input_shape": (4,),
    "dtype": "float32",
    "input_dtype": None,
}

OTHER_THINGS: list[Any] = [None, "text", 3, 3.5, True, [], (), {}, object(), np.zeros(2), Dense, len]
DTYPES = ["", "int5", "str", "U3", "object", "datetime64[ns]", "complex64", "bfloat16", ">f4", "f4"]
DTYPES += [np.float32, np.dtype("float32"), int, ["float32"]]

WRONG = [
    *(("model", value) for value in OTHER_THINGS),
    *(("params", value) for value in OTHER_THINGS),
    *(("layer_state", value) for value in OTHER_THINGS if value is not None),
    *(("input_shape", value) for value in [None, "text", 3, 3.5, True, object(), Dense, ("4",), (4.0,)]),
    *(("dtype", value) for value in [*OTHER_THINGS, *DTYPES, "float16", "int64"]),
    *(("input_dtype", value) for value in [*OTHER_THINGS, *DTYPES] if value is not None),
]


@pytest.mark.parametrize(
    ("argument", "value"),
    WRONG,
    ids=[f"{argument}-{index}" for index, (argument, _) in enumerate(WRONG)],
)
def test_an_argument_of_another_type_is_named(argument: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"{argument}: .*, got "):
        to_onnx(**(RIGHT | {argument: value}))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"params": ({"W": np.ones((5, 3)), "b": np.ones(3)}, PARAMS[1])},
            r"parameter 0\.W: expected shape \(4, 3\), as drawn by the model, got \(5, 3\)",
        ),
        (
            {"params": ({"W": np.full((4, 3), 1e39), "b": np.ones(3)}, PARAMS[1])},
            r"parameter 0\.W: expected finite numbers, got inf at row 0.* too large for float32",
        ),
        (
            {"layer_state": ({}, STATE[1] | {"mean": np.full(3, np.nan)})},
            r"layer_state 1\.mean: expected finite numbers, got nan at row 0",
        ),
        (
            {"layer_state": ({}, STATE[1] | {"variance": np.full(3, 1e40)})},
            r"layer_state 1\.variance: expected finite numbers, got inf .* too large for float32",
        ),
        ({"layer_state": STATE[:1]}, "layer_state: .* expected a tuple of length 2, got .* length 1"),
        ({"layer_state": None}, "BatchNorm: expected the state of a trained model"),
        (
            {"model": ReLU(), "params": {}, "layer_state": {}, "input_shape": (0,)},
            "input_shape: .* at least",
        ),
        ({"model": ReLU(), "params": {}, "layer_state": {}, "input_shape": (-1,)}, r"got \(-1,\)"),
    ],
)
def test_a_value_that_does_not_fit_is_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_onnx(**(RIGHT | changed))


def test_numbers_too_large_for_float32_are_exported_in_float64() -> None:
    params = {"W": np.full((4, 3), 1e39), "b": np.ones(3)}
    proto = to_onnx(Dense(3), params, None, (4,), "float64")
    (W, _) = (np.frombuffer(each.raw_data) for each in proto.graph.initializer)
    np.testing.assert_array_equal(W, np.full(12, 1e39))


@pytest.mark.parametrize("input_dtype", onnx.model.INPUT_DTYPES)
def test_inputs_of_each_dtype_that_is_named(input_dtype: str) -> None:
    proto = to_onnx(**(RIGHT | {"input_dtype": input_dtype}))
    element = proto.graph.input[0].type.tensor_type.elem_type
    assert onnx.model._library().helper.tensor_dtype_to_np_dtype(element) == input_dtype


class Halved(ParameterFree):
    def forward(self, backend, params, x, key=None):
        return 0.5 * x, None

    def backward(self, backend, params, cache, dy):
        return 0.5 * dy, {}


@pytest.mark.parametrize("layers", [(), (3,), ("Dense",), (Dense(3),), (Dense, None), (len,), (object,)])
def test_converters_are_of_classes_of_layers(layers: Any) -> None:
    with pytest.raises(TypeError, match=r"converts: expected layers: .* class.* such as"):
        converts(*layers)


def test_the_decorator_needs_its_classes() -> None:
    with pytest.raises(
        TypeError, match="converts: expected layers: a class of layers, such as Dense, got <func"
    ):

        @converts  # type: ignore[arg-type]
        def halved(graph, layer, params, state, x):
            return x


@pytest.mark.parametrize("flag", ["any_layout", "takes_mask"])
def test_flags_of_converters_are_flags(flag: str) -> None:
    with pytest.raises(TypeError, match=f"converts: expected {flag}: True or False, got 'no'"):
        converts(Halved, **{flag: "no"})  # type: ignore[arg-type]


@pytest.mark.parametrize("layer", [Dense(3), "Dense", None, object])
def test_has_converter_is_asked_about_a_class(layer: Any) -> None:
    with pytest.raises(
        TypeError, match="has_converter: expected layer: a class of layers, such as Dense, got"
    ):
        has_converter(layer)


@pytest.mark.parametrize("returned", [None, "edge"])
def test_a_converter_returns_a_value(returned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multinn.onnx.registry._CONVERTERS", {})
    converts(Halved)(lambda graph, layer, params, state, x: returned)
    layer: Layer = Halved()
    with pytest.raises(TypeError, match="expected a Value from the converter of Halved, got"):
        to_onnx(layer, {}, None, (4,))
