"""Conversion of a model to an ONNX model."""

from typing import TYPE_CHECKING, Any

import numpy as np

from backends import Tree, tree
from multinn.host.checks import DTYPES, check_dtype, check_parameters, check_shape, rounded
from multinn.host.extras import extra
from multinn.layers import Layer
from multinn.onnx.graph import Graph, Node, Value, Values
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
    input_dtype: str | None = None,
) -> "onnx.ModelProto":
    """Return the model at inference as ONNX, with its weights, checked by ONNX's own checker.

    The input is called "input" and the output "output", of shape (batch, ...) with any batch size;
    several are called "input_0", "input_1" and so on. Images have the channels last, as in multinn.

    Args:
        model: the model.
        params: its parameters, a tree of arrays that NumPy can read.
        layer_state: the state of its layers, a tree of such arrays; None if it has none.
        input_shape: the shape of one example, without the batch; a tuple of shapes for several inputs.
        dtype: the dtype of the weights and the computation, "float32" or "float64". In float64, ONNX
            Runtime 1.32 has no Conv, ConvTranspose, AveragePool, RNN, GRU or LSTM.
        input_dtype: the name of the dtype of the inputs, such as "uint8" for images in bytes or "int64"
            for ids: "bool", an integer or a float of NumPy; None takes that of the weights.

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
    if input_dtype is not None:
        check_dtype(input_dtype, INPUT_DTYPES, "input_dtype")
    drawn, _ = model.init(np.random.default_rng(0), input_shape)
    params = _in_dtype(check_parameters(drawn, params), dtype, "parameter")
    if layer_state is not None:
        initial = model.init_state(drawn)
        layer_state = _in_dtype(
            check_parameters(initial, layer_state, "layer_state"), dtype, "layer_state"
        )
    graph = Graph(dtype)
    inputs = _inputs(input_shape, "input")
    outputs = convert(graph, model, params, layer_state, _cast(graph, inputs, input_dtype))
    results = [
        Value(name, y.shape) for name, y in zip(_names(outputs, "output"), _leaves(outputs), strict=True)
    ]
    for result, y in zip(results, _leaves(outputs), strict=True):
        last = graph.with_channels_last(y)
        graph.nodes.append(Node("Identity", result.name, (last.name,), (result.name,), {}))
    proto = _proto(library, graph, _leaves(inputs), input_dtype or dtype, results, type(model).__name__)
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


def _inputs(shape: Any, name: str) -> Values:
    if shape and isinstance(shape[0], tuple):
        return tuple(_inputs(each, f"{name}_{index}") for index, each in enumerate(shape))
    if any(length < 1 for length in shape):
        raise ValueError(f"input_shape: expected lengths of at least 1, got {shape}")
    return Value(name, tuple(int(length) for length in shape))


def _names(values: Values, name: str) -> list[str]:
    """Return the names of values in order, numbered if there are several."""
    if isinstance(values, Value):
        return [name]
    return [each for i, part in enumerate(values) for each in _names(part, f"{name}_{i}")]


def _leaves(values: Values) -> list[Value]:
    return [values] if isinstance(values, Value) else [each for part in values for each in _leaves(part)]


def _cast(graph: Graph, values: Values, input_dtype: str | None) -> Values:
    """Convert inputs to the dtype of the graph if necessary."""
    if input_dtype in (None, graph.dtype):
        return values
    if isinstance(values, tuple):
        return tuple(_cast(graph, each, input_dtype) for each in values)
    return Value(graph.cast(values.name, graph.dtype), values.shape)


def _proto(
    library: Any, graph: Graph, inputs: list[Value], input_dtype: str, outputs: list[Value], name: str
) -> Any:
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
    proto = helper.make_graph(
        nodes,
        name,
        [_value_info(library, value, input_dtype) for value in inputs],
        [_value_info(library, value, graph.dtype) for value in outputs],
        constants,
    )
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
