"""Conversion of a model to an ONNX model."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import Shape, Tree, tree
from multinn.host.checks import DTYPES, check_dtype, check_parameters, check_shape, rounded
from multinn.host.extras import extra
from multinn.host.shapes_only import ShapesOnly
from multinn.host.trees import is_one_shape, map_shapes
from multinn.layers import Layer
from multinn.layers.base import check_takes
from multinn.onnx.graph import Graph, Node, Value
from multinn.onnx.registry import convert

if TYPE_CHECKING:
    import onnx

# No operator needs a newer one, and more runtimes read an older version.
OPSET = 17
IR_VERSION = 8  # of the same ONNX release, 1.12

_INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
INPUT_DTYPES = ("bool", *_INTEGERS, "float16", *DTYPES)

_MOST_BYTES = 2**31 - 2**20  # protobuf's limit, minus room for the structure


def to_onnx(
    model: Layer,
    params: Tree,
    layer_state: Tree | None,
    input_shape: Any,
    dtype: str = "float32",
    *,
    input_dtype: Any = None,
) -> "onnx.ModelProto":
    """Return the model at inference as ONNX, with its weights, checked by ONNX's own checker.

    The input is called "input" and the output "output", of shape (batch, ...) with any batch size. The
    arrays of a tuple are called "input_0", "input_1" and so on, and those of a dict by their keys;
    "kind_0" is the first array of a tuple with the key "kind". An output with the name of an input, such
    as "image", becomes "output_image". Images have the channels last, as in multinn.

    Args:
        model: the model.
        params: its parameters, a tree of arrays that NumPy can read.
        layer_state: the state of its layers, a tree of such arrays; None if it has none.
        input_shape: the shape of one example, without the batch; for several inputs, a tuple or a dict
            of shapes.
        dtype: the dtype of the weights and the computation, "float32" or "float64". In float64, ONNX
            Runtime 1.32 has no Conv, ConvTranspose, AveragePool, RNN, GRU or LSTM.
        input_dtype: the name of the dtype of the inputs, such as "uint8" for images in bytes or "int64"
            for ids: "bool", an integer or a float of NumPy; None takes that of the weights. For several
            inputs, also a tuple, or a dict with some of the keys, such as {"city": "int64"}.

    Raises:
        ImportError: onnx is not installed.
        TypeError: an argument is of another type; the message names it.
        NotImplementedError: a layer has no converter; the message names it and its place.
        ValueError: the parameters, the state or the inputs do not fit the model, or a number is too
            large for the dtype, or a dtype is something else.
    """
    library = _library()
    if not isinstance(model, Layer):
        raise TypeError(f"onnx: expected model: a layer, such as Sequential([...]), got {model!r:.100}")
    input_shape = check_shape(input_shape)
    check_dtype(dtype)
    check_takes(model, input_shape)
    input_dtypes = _dtypes(input_shape, input_dtype, dtype)
    drawn, output_shape = model.init(ShapesOnly(), input_shape)
    params = _in_dtype(check_parameters(drawn, params), dtype, "parameter")
    if layer_state is not None:
        initial = model.init_state(drawn)
        layer_state = _in_dtype(
            check_parameters(initial, layer_state, "layer_state"), dtype, "layer_state"
        )
    names = _names(input_shape, "input")
    output_names = [
        f"output_{name}" * (name in names) or name for name in _names(output_shape, "output")
    ]
    _check_different([*names, *output_names])
    graph = Graph(dtype, _names={*names, *output_names})
    free = iter(names)
    inputs = map_shapes(lambda shape: _input(shape, next(free)), input_shape)
    x = tree.map(lambda value, own: _cast(graph, value, own), inputs, input_dtypes)
    results = []
    for name, y in zip(
        output_names, _leaves(convert(graph, model, params, layer_state, x)), strict=True
    ):
        last = graph.with_channels_last(y)
        graph.nodes.append(Node("Identity", name, (last.name,), (name,), {}))
        results.append(_value_info(library, Value(name, y.shape), dtype))
    given = map(partial(_value_info, library), _leaves(inputs), _leaves(input_dtypes))
    proto = _proto(library, graph, list(given), results, type(model).__name__)
    library.checker.check_model(proto, full_check=True)
    return proto


def _library() -> Any:
    with extra("onnx", "multinn.onnx needs onnx"):
        import onnx
        import onnx.checker
    return onnx


def _in_dtype(arrays: Tree, dtype: str, kind: str) -> Tree:
    """Return the arrays in a dtype, or raise ValueError, with the name of one that is too large."""
    return tree.map_with_paths(lambda path, array: rounded(array, dtype, f"{kind} {path}"), arrays)


def _dtypes(shape: Any, given: Any, default: str, name: str = "input_dtype") -> Tree:
    """Return the dtype of each input, in the structure of the shapes."""
    if isinstance(given, Mapping) and isinstance(shape, dict):
        for key in given:
            if key not in shape:
                raise ValueError(
                    f"{name}: expected keys among {', '.join(map(repr, shape))}, got {key!r}"
                )
        return {
            key: _dtypes(own, given.get(key), default, f"{name}[{key!r}]") for key, own in shape.items()
        }
    if isinstance(given, tuple) and isinstance(shape, tuple) and not is_one_shape(shape):
        if len(given) != len(shape):
            raise ValueError(f"{name}: expected {len(shape)} dtypes, one for each input, got {given}")
        pairs = zip(shape, given, strict=True)
        return tuple(_dtypes(*pair, default, f"{name}[{index}]") for index, pair in enumerate(pairs))
    if given is not None:
        check_dtype(given, INPUT_DTYPES, name)
    return map_shapes(lambda _: given or default, shape)


def _names(shape: Any, default: str, name: str = "") -> list[str]:
    """Return the names of several arrays in order: the keys and indices that lead to each."""
    if is_one_shape(shape):
        return [name or default]
    if isinstance(shape, dict):
        parts = {f"{name}_{key}" if name else key: own for key, own in shape.items()}
    else:
        parts = {f"{name or default}_{index}": own for index, own in enumerate(shape)}
    return [each for part, own in parts.items() for each in _names(own, default, part)]


def _check_different(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"onnx: expected inputs and outputs with different names, got {name!r} twice; rename an "
                "entry of a dict"
            )


def _input(shape: Shape, name: str) -> Value:
    if any(length < 1 for length in shape):
        raise ValueError(f"input_shape: expected lengths of at least 1, got {shape}")
    return Value(name, tuple(int(length) for length in shape))


def _leaves(values: Any) -> list[Any]:
    """Return the leaves of a tree, those of a dict in its own order."""
    if isinstance(values, dict):
        values = tuple(values.values())
    return [each for part in values for each in _leaves(part)] if isinstance(values, tuple) else [values]


def _cast(graph: Graph, value: Value, input_dtype: str) -> Value:
    """Convert an input to the dtype of the graph if necessary."""
    if input_dtype == graph.dtype:
        return value
    return replace(value, name=graph.cast(value.name, graph.dtype))


def _proto(library: Any, graph: Graph, inputs: list[Any], outputs: list[Any], name: str) -> Any:
    size = sum(values.nbytes for values in graph.constants.values())
    if size > _MOST_BYTES:
        raise ValueError(
            f"onnx: expected weights of less than 2 GiB, the limit of an ONNX file, got {size} bytes"
        )
    helper = library.helper
    nodes = [
        helper.make_node(
            node.operator,
            list(node.inputs),
            list(node.outputs),
            name=node.name,
            **{key: _attribute(library, value) for key, value in node.attributes.items()},
        )
        for node in graph.nodes
    ]
    constants = [
        library.numpy_helper.from_array(values, name) for name, values in graph.constants.items()
    ]
    proto = helper.make_graph(nodes, name, inputs, outputs, constants)
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(
        proto, opset_imports=[opset], ir_version=IR_VERSION, producer_name="multinn"
    )


def _attribute(library: Any, value: Any) -> Any:
    """Return an attribute as the library needs it: dtypes as its own numbers, tuples as lists."""
    if isinstance(value, np.dtype):
        return library.helper.np_dtype_to_tensor_dtype(value)
    return list(value) if isinstance(value, tuple) else value


def _value_info(library: Any, value: Value, dtype: str) -> Any:
    element = library.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return library.helper.make_tensor_value_info(value.name, element, ["batch", *value.shape])
