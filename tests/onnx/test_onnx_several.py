"""Export to ONNX of models with several inputs and outputs: their names, dtypes and order."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from multinn import (
    Columns,
    Concatenate,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    Identity,
    Masking,
    MultiHeadAttention,
    Parallel,
    Select,
    Sequential,
    Tanh,
)
from multinn.host.trees import shape_of
from multinn.onnx import export, to_onnx
from tests.support.onnx_runs import assert_same, drawn, outputs_of, run_onnx

RNG = np.random.default_rng(0)
X = {"numbers": RNG.normal(size=(3, 4)).astype(np.float32), "city": RNG.integers(5, size=(3, 1))}
SHAPES = shape_of(X)
CITY = Sequential([Select("city"), Embedding(5, 2), Flatten()])
BODY = Concatenate([Sequential([Select("numbers"), Columns((3, 1))]), CITY])
HEADS = Parallel({"price": Dense(1), "kind": Dense(3)})
MODEL = Sequential([BODY, HEADS])


def names(proto: onnx.ModelProto) -> tuple[list[str], list[str]]:
    return [each.name for each in proto.graph.input], [each.name for each in proto.graph.output]


def exported(model: Any, shapes: Any, **keywords: Any) -> onnx.ModelProto:
    return to_onnx(model, *drawn(model, shapes), shapes, **keywords)


def test_the_keys_of_dicts_are_the_names_and_each_input_has_its_dtype():
    params, state = drawn(MODEL, SHAPES)
    proto = to_onnx(MODEL, params, state, SHAPES, input_dtype={"city": "int64"})
    assert names(proto) == (["numbers", "city"], ["price", "kind"])
    dtypes = [each.type.tensor_type.elem_type for each in proto.graph.input]
    assert dtypes == [onnx.TensorProto.FLOAT, onnx.TensorProto.INT64]
    for rows in (slice(3), slice(1)):  # any batch size
        x = {name: values[rows] for name, values in X.items()}
        expected = outputs_of(MODEL, params, state, x, "float32")
        for own, other in zip(expected, run_onnx(proto, *x.values()), strict=True):
            np.testing.assert_allclose(other, own, rtol=1e-5, atol=1e-6)
        by_reference = ReferenceEvaluator(proto).run(["kind"], x)[0]
        np.testing.assert_allclose(by_reference, expected[1], rtol=1e-5, atol=1e-6)


def test_an_exported_file_takes_the_inputs_by_name(tmp_path):
    params, _ = drawn(MODEL, SHAPES)
    path = tmp_path / "model.onnx"
    export((MODEL, params), path, input_shape=SHAPES, input_dtype={"city": "int64"})
    expected = outputs_of(MODEL, params, None, X, "float32")
    np.testing.assert_allclose(run_onnx(str(path), *X.values())[0], expected[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "shapes", "expected"),
    [
        (Identity(), {"a": (2,), "b": (3,)}, (["a", "b"], ["output_a", "output_b"])),
        (Identity(), ((2,), (3,)), (["input_0", "input_1"], ["output_0", "output_1"])),
        (
            Select("b"),
            {"a": (2,), "b": ((3,), {"c": (1,)})},
            (["a", "b_0", "b_1_c"], ["output_0", "output_1_c"]),
        ),
        (
            Parallel({"b": Parallel([Tanh(), Tanh()]), "a": Tanh()}),
            (2,),
            (["input"], ["b_0", "b_1", "a"]),
        ),
        (
            Concatenate([Select("Concat"), Select("0.W")]),
            {"Concat": (1,), "0.W": (1,)},
            (["Concat", "0.W"], ["output"]),
        ),
        (
            Sequential([Select("0.Cast"), Embedding(3, 2)]),
            {"0.Cast": (1,), "1.W": (1,)},
            (["0.Cast", "1.W"], ["output"]),
        ),
    ],
    ids=["dict", "tuple", "nested inputs", "nested outputs", "an operator", "a parameter"],
)
def test_names(model, shapes, expected):
    proto = exported(model, shapes)
    assert names(proto) == expected
    assert len({name for node in proto.graph.node for name in node.output}) == len(proto.graph.node)


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (
            Sequential(
                [
                    Parallel({"a": Conv2D(2, 2), "b": Conv2D(3, 2)}),
                    Concatenate([Select("a"), Select("b")]),
                ]
            ),
            RNG.normal(size=(2, 3, 4, 2)),
        ),
        (Sequential([Conv2D(4, 2), Columns((2, 0)), Conv2D(1, 2)]), RNG.normal(size=(2, 4, 4, 2))),
        (Sequential([Masking(), Columns((1,)), Dense(2)]), np.round(RNG.normal(size=(2, 4, 2)))),
        (
            Sequential(
                [
                    Parallel([Select("target"), Sequential([Select("source"), Embedding(4, 4, 0)])]),
                    MultiHeadAttention(2),
                ]
            ),
            {"target": RNG.normal(size=(2, 3, 4)), "source": np.array([[1, 2, 0], [3, 0, 0]])},
        ),
    ],
    ids=["images", "columns of images", "columns with a mask", "attention"],
)
def test_layers_that_choose(model, x):
    assert_same(model, x)


@pytest.mark.parametrize(
    ("input_dtype", "message"),
    [
        ({"town": "int64"}, "input_dtype: expected keys among 'numbers', 'city', got 'town'"),
        ({"city": "int5"}, r"input_dtype\['city'\]: expected .*, got 'int5'"),
        (("int64", None), r"input_dtype: expected .*, got \('int64', None\)"),
    ],
)
def test_dtypes_that_do_not_fit_are_named(input_dtype, message):
    with pytest.raises((TypeError, ValueError), match=message):
        exported(MODEL, SHAPES, input_dtype=input_dtype)


def test_each_input_of_a_tuple_has_its_dtype():
    shapes = ((4,), (1,))
    model = Select(1)
    assert names(exported(model, shapes, input_dtype=(None, "int64")))[0] == ["input_0", "input_1"]
    with pytest.raises(ValueError, match="input_dtype: expected 2 dtypes, one for each input, got"):
        exported(model, shapes, input_dtype=("int64",))


def test_names_that_are_equal_after_joining_are_refused():
    shapes = {"a": ((1,), (1,)), "a_0": (1,)}
    with pytest.raises(
        ValueError, match="onnx: expected inputs and outputs with different names, got 'a_0'"
    ):
        to_onnx(Select("a_0"), {}, {}, shapes)


def test_a_model_that_takes_one_array_refuses_several():
    with pytest.raises(ValueError, match="Dense: expected one array, got a dict of arrays"):
        to_onnx(Dense(1), {}, {}, {"a": (1,)})
