"""The encoding of a table with categories as ONNX: from columns to one array of floats."""

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backends import HostArray
from multinn.host.checks import DTYPES
from multinn.host.text import shorten
from multinn.onnx.model import IR_VERSION, OPSET
from multinn.sklearn.tables import FIRST, MISSING, UNKNOWN, Categories

if TYPE_CHECKING:
    import onnx

_DOMAIN, _VERSION = "ai.onnx.ml", 2  # of the operator LabelEncoder


class Input(NamedTuple):
    """One input of the graph, (batch, columns).

    Attributes:
        name: its name.
        kind: its type, a number of ONNX.
        columns: how many of the next columns of the table it holds.
    """

    name: str
    kind: int
    columns: int = 1


def column_inputs(names: list[str], categories: Categories, dtype: str) -> list[Input]:
    """Return an input for each column of a table.

    Text is a string. Categories that are whole numbers are 64-bit integers, if none was missing in the
    fit. All else is a float.

    Args:
        names: the names of the columns.
        categories: the categorical columns.
        dtype: the dtype of floats.
    """
    import onnx

    kinds = dict.fromkeys(range(len(names)), onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    for column, encoder in zip(categories.columns, categories.encoders, strict=True):
        (values,) = encoder.categories_
        if values.dtype.kind == "O":
            kinds[column] = onnx.TensorProto.STRING
        elif np.array_equal(values, np.floor(values)):  # not if one is NaN
            kinds[column] = onnx.TensorProto.INT64
    return [Input(name, kinds[index]) for index, name in enumerate(names)]


def table_proto(inputs: list[Input], categories: Categories, dtype: str) -> "onnx.ModelProto":
    """Return a model that encodes a table as `Categories.encode` does, with the output "table".

    NaN and infinity are missing, and so is an empty text, unless it is a category.

    Args:
        inputs: the inputs, in the order of the columns.
        categories: the categorical columns.
        dtype: the dtype of the output.

    Raises:
        ValueError: categories that are numbers become equal in float32, the dtype that ONNX compares.
    """
    import onnx
    from onnx import TensorProto, helper

    known = dict(zip(categories.columns, categories.values, strict=True))
    float_kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes: list[Any] = []
    constants: list[Any] = []

    def add(operator: str, *names: str, domain: str = "", **attributes: Any) -> str:
        result = f"table.{len(nodes)}"
        nodes.append(helper.make_node(operator, names, [result], result, domain=domain, **attributes))
        return result

    def constant(values: Any) -> str:
        constants.append(onnx.numpy_helper.from_array(np.array(values), f"table.c{len(constants)}"))
        return str(constants[-1].name)

    def ids(x: str, kind: int, values: HostArray) -> str:
        if values.dtype.kind == "O":
            return add("LabelEncoder", x, domain=_DOMAIN, **_codes("strings", values))
        if kind not in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.STRING):
            whole = add("Cast", x, to=TensorProto.INT64)
            return add("LabelEncoder", whole, domain=_DOMAIN, **_codes("int64s", values))
        number = add("Cast", x, to=TensorProto.FLOAT)
        codes = add("LabelEncoder", number, domain=_DOMAIN, **_codes("floats", values))
        # x - x is NaN for NaN and for infinity, both of which are missing.
        return add("Where", add("IsNaN", add("Sub", number, number)), constant([[MISSING]]), codes)

    parts, column = [], 0
    for name, kind, width in inputs:
        columns = range(column, column + width)
        for category, group in groupby(columns, lambda index: index if index in known else None):
            places = [index - column for index in group]
            part = name if len(places) == width else add("Gather", name, constant(places), axis=1)
            if category is not None:
                part = ids(part, kind, known[category])
            parts.append(add("Cast", part, to=float_kind))
        column += width
    nodes.append(helper.make_node("Concat", parts, ["table"], "table", axis=1))
    given = [helper.make_tensor_value_info(name, kind, ["batch", width]) for name, kind, width in inputs]
    result = helper.make_tensor_value_info("table", float_kind, ["batch", column])
    graph = helper.make_graph(nodes, "table", given, [result], constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_DOMAIN, _VERSION)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="multinn")


def _codes(kind: str, values: HostArray) -> dict[str, Any]:
    """Return the attributes of a LabelEncoder from categories to ids."""
    ids = list(range(FIRST, FIRST + len(values)))
    keys = values.tolist()
    if kind == "strings" and "" not in keys:
        keys, ids = ["", *keys], [MISSING, *ids]
    if kind == "int64s":
        whole = [index for index, key in enumerate(keys) if float(key).is_integer()]
        keys, ids = [int(keys[index]) for index in whole], [ids[index] for index in whole]
    if kind == "floats" and len(np.unique(values.astype(np.float32))) < len(values):
        raise ValueError(
            "onnx: expected categories that differ in float32, in which ONNX compares numbers; convert "
            f"the column to text before the fit, got {shorten(str(values), 60)}"
        )
    return {f"keys_{kind}": keys, "values_int64s": ids, "default_int64": UNKNOWN}


def with_table(network: "onnx.ModelProto", names: list[str], categories: Categories) -> None:
    """Put the encoding of a table before a network, in place.

    Args:
        network: a model with one input.
        names: the names of the columns, which become inputs.
        categories: the categorical columns.

    Raises:
        ValueError: the input of the network is not of floats, or a name is used in the graph.
    """
    import onnx

    (given,) = network.graph.input
    dtype = onnx.helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type).name
    if dtype not in DTYPES:
        raise ValueError(
            f"onnx: input_dtype: expected None, {' or '.join(DTYPES)}, as each column of a table has a "
            f"dtype of its own, got {dtype}"
        )
    inputs = column_inputs(names, categories, dtype)
    table = table_proto(inputs, categories, dtype)
    table.graph.node[-1].output[0] = given.name
    graphs = (table.graph, network.graph)
    used = {name for graph in graphs for node in graph.node for name in node.output}
    used |= {constant.name for graph in graphs for constant in graph.initializer}
    for each in inputs:
        if each.name in used:
            raise ValueError(
                f"onnx: expected columns with other names than {each.name!r}, which the graph uses: "
                "rename the column before the fit"
            )
    del network.graph.input[:]
    nodes = [*table.graph.node, *network.graph.node]
    del network.graph.node[:]
    network.graph.node.extend(nodes)
    network.graph.input.extend(table.graph.input)
    network.graph.initializer.extend(table.graph.initializer)
    network.opset_import.extend(table.opset_import[1:])
    onnx.checker.check_model(network, full_check=True)
