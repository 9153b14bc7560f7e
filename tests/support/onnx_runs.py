"""Runs of models on NumPy and in ONNX Runtime, for the tests of the export."""

from typing import Any

import numpy as np
import onnxruntime

from backends import Tree, get_backend, tree
from multinn import Container, Layer, Masking, Sequential
from multinn.host.trees import shape_of
from multinn.layers.base import values_of
from multinn.onnx import to_onnx
from multinn.testing.gradient_cases import LAYERS, LayerCase
from multinn.testing.gradient_cases.base import x_of
from tests.support.layer_runs import drawn as drawn

# Layers that ONNX cannot express, with the reason.
WITHOUT_CONVERTER: dict[type[Layer], str] = {}


def _has_converters(layer: Layer) -> bool:
    if isinstance(layer, Container):
        return all(map(_has_converters, layer.children))
    return type(layer) not in WITHOUT_CONVERTER


CASES = [case for case in LAYERS if _has_converters(case.layer)]


def point_of(case: LayerCase) -> tuple[Layer, Tree, Tree, Tree]:
    """Return layer, parameters, state and inputs; a mask becomes zeros that `Masking` finds."""
    variables, constants = point = case.draw(0)
    params, state = variables["params"], constants["state"]
    x = x_of(point)
    if case.lengths is None:
        return case.layer, params, state, x
    x = x * constants["mask"].reshape(*x.shape[:2], *(1,) * (x.ndim - 2))
    return Sequential([Masking(), case.layer]), ({}, params), ({}, state), x


def outputs_of(layer: Layer, params: Tree, state: Tree, x: Any, dtype: str) -> list[np.ndarray]:
    """Return the layer's outputs at inference on NumPy."""

    def cast(leaves: Tree) -> Tree:
        return tree.map(lambda leaf: leaf.astype(dtype), leaves)

    numpy = get_backend("numpy:eager")
    y, _ = layer.forward_with_state(numpy, cast(params), cast(state), cast(x))
    return [np.asarray(each) for each in ordered_leaves(values_of(y))]


def ordered_leaves(values: Tree) -> list[np.ndarray]:
    """Return the arrays, those of a dict in its own order, as an exported model has them."""
    if isinstance(values, dict):
        values = tuple(values.values())
    return (
        [each for own in values for each in ordered_leaves(own)]
        if isinstance(values, tuple)
        else [values]
    )


def run_onnx(model: Any, *inputs: np.ndarray) -> list[np.ndarray]:
    """Return the outputs of a model, or of a model's file, in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = model if isinstance(model, str) else model.SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    outputs: list[np.ndarray] = session.run(None, dict(zip(names, inputs, strict=True)))
    return outputs


def assert_same(layer: Layer, x: Tree, params: Tree = None, state: Tree = None) -> None:
    """Assert equal float32 outputs of a layer, with drawn parameters if none are given."""
    if params is None:
        params, state = drawn(layer, shape_of(x))
    x = tree.map(lambda leaf: leaf.astype(np.float32), x)
    expected = outputs_of(layer, params, state, x, "float32")
    got = run_onnx(to_onnx(layer, params, state, shape_of(x)), *ordered_leaves(x))
    assert len(got) == len(expected)
    for own, other in zip(expected, got, strict=True):
        assert own.dtype == other.dtype
        np.testing.assert_allclose(other, own, rtol=1e-5, atol=1e-5)
