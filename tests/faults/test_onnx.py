"""The error table: exports to ONNX over a file that exists."""

from typing import Any

import numpy as np
import pytest

from backends import tree
from multinn import onnx
from tests.faults.rows import Fault, Says, check
from tests.faults.scene import LINEAR, Scene


def export(scene: Scene, **arguments: Any) -> None:
    onnx.export(scene.trainer, scene.checkpoint, **arguments)


def export_large_numbers(scene: Scene) -> None:
    params = tree.map(lambda leaf: np.full(leaf.shape, 1e300), scene.trainer.state.params)
    onnx.export((LINEAR, params), scene.checkpoint, input_shape=scene.trainer.input_shape)


ROWS = [
    Fault(
        "a dtype that does not exist, onnx.export",
        lambda s: export(s, input_dtype="int5"),
        ValueError,
        Says("input_dtype:", "one of 'bool', 'int8', 'int16'", "got 'int5'"),
    ),
    Fault(
        "text as inputs, onnx.export",
        lambda s: export(s, input_dtype="str"),
        ValueError,
        Says("input_dtype:", "one of 'bool', 'int8', 'int16'", "got 'str'"),
    ),
    Fault(
        "an empty dtype, onnx.export",
        lambda s: export(s, dtype=""),
        ValueError,
        Says("dtype:", "one of 'float32', 'float64'", "got ''"),
    ),
    Fault(
        "inputs of another shape, onnx.export",
        lambda s: export(s, input_shape=(7,)),
        ValueError,
        Says("parameter 0.W:", "expected shape (7, 2)", "got (3, 2)"),
    ),
    Fault(
        "parameters beyond float32, onnx.export",
        export_large_numbers,
        ValueError,
        Says("parameter 0.W:", "finite numbers", "got inf", "scale such values"),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_onnx(scene: Scene, row: Fault):
    check(row, scene)
