"""Estimators in pipelines of scikit-learn that skl2onnx converts to ONNX."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from backends import HostArray, Tree
from multinn.host.extras import extra
from multinn.layers import Layer, Sequential
from multinn.onnx.model import OPSET, to_onnx
from multinn.sklearn.classifier import MLPClassifier
from multinn.sklearn.onnx_tables import Input, table_proto
from multinn.sklearn.regressor import MLPRegressor


def register_skl2onnx() -> None:
    """Teach skl2onnx the estimators, so that it converts pipelines that contain them.

    Afterwards, ``skl2onnx.to_onnx`` and ``skl2onnx.convert_sklearn`` convert a fitted estimator, also in
    a pipeline or a search. Outputs and options are those of scikit-learn's own perceptrons: labels and
    probabilities, with ``zipmap``, ``output_class_labels`` and ``nocl``; or predictions (n, outputs).
    The network computes in the dtype of its input, but for integers in float32. ONNX has no ``zipmap``
    of float64.

    Raises:
        ImportError: skl2onnx is not installed.

    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from multinn.sklearn import MLPClassifier
    >>> x = np.eye(8, dtype="float32")
    >>> pipeline = make_pipeline(StandardScaler(), MLPClassifier(solver="lbfgs")).fit(x, x[:, 0] > 0)
    >>> register_skl2onnx()
    >>> from skl2onnx import to_onnx
    >>> [output.name for output in to_onnx(pipeline, x).graph.output]
    ['output_label', 'output_probability']
    """
    with extra("skl2onnx", "register_skl2onnx needs skl2onnx"):
        from skl2onnx import update_registered_converter
    update_registered_converter(
        MLPClassifier,
        "MultinnMLPClassifier",
        _set_classifier_types,
        _convert_classifier,
        options={
            "zipmap": [True, False, "columns"],
            "output_class_labels": [False, True],
            "nocl": [True, False],
        },
    )
    update_registered_converter(
        MLPRegressor, "MultinnMLPRegressor", _set_regressor_types, _convert_regressor
    )


def _set_classifier_types(operator: Any) -> None:
    """Set the types of the labels, (n,) or for several labels (n, labels), and of the probabilities."""
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    examples, float_type = _examples(operator)
    classes = _classes(operator.scope_inst, operator.raw_operator)
    label_type = Int64TensorType if classes.dtype == np.int64 else StringTensorType
    shape = [examples, len(classes)]
    operator.outputs[0].set_type(label_type(shape if _is_multilabel(operator) else shape[:1]))
    operator.outputs[1].set_type(float_type(shape))


def _set_regressor_types(operator: Any) -> None:
    """Set the type of the predictions, (n, outputs), also for one output."""
    examples, float_type = _examples(operator)
    operator.outputs[0].set_type(float_type([examples, operator.raw_operator.n_outputs_]))


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Add the labels and the probabilities, both from the logits, as the estimator does."""
    import onnx
    from onnx import TensorProto

    labels, probabilities = (output.full_name for output in operator.outputs)
    model, params, state = operator.raw_operator.network_
    without_activation = Sequential(model.layers[:-1]), params[:-1], state[:-1]
    logits = scope.get_unique_variable_name("logits")
    dtype = _add_network(scope, operator, container, logits, *without_activation)
    constant, chosen = map(scope.get_unique_variable_name, ("constant", "chosen"))
    if _is_multilabel(operator):
        kind = onnx.helper.tensor_dtype_to_np_dtype(dtype).name
        sigmoid = to_onnx(model.layers[-1], {}, None, params[-2]["b"].shape, kind)
        _add(scope, container, sigmoid, {"input": logits, "output": probabilities})
        container.add_initializer(constant, dtype, [], [0.0])
        container.add_node("Greater", [logits, constant], chosen)
        container.add_node("Cast", chosen, labels, to=TensorProto.INT64)
        return
    classes = _classes(scope, operator.raw_operator)
    kind = TensorProto.INT64 if classes.dtype == np.int64 else TensorProto.STRING
    container.add_node("Softmax", logits, probabilities, axis=1)
    container.add_node("ArgMax", logits, chosen, axis=1, keepdims=0)
    container.add_initializer(constant, kind, classes.shape, classes.tolist())
    container.add_node("Gather", [constant, chosen], labels)


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    output = operator.outputs[0].full_name
    _add_network(scope, operator, container, output, *operator.raw_operator.network_)


def _add_network(
    scope: Any, operator: Any, container: Any, output: str, model: Layer, params: Tree, state: Tree
) -> int:
    """Add a network whose result has the name ``output``; return the dtype, as a number of ONNX."""
    import onnx
    from skl2onnx.common.data_types import guess_numpy_type, guess_tensor_type

    given, categories = _float_source(operator), operator.raw_operator._categories
    input_dtype, dtype = (
        np.dtype(guess_numpy_type(kind)).name for kind in (given, guess_tensor_type(given))
    )
    features = (operator.raw_operator.n_features_in_,)
    x = operator.inputs[0].full_name
    if categories is not None:
        input_dtype = dtype
        inputs = [
            Input(each.full_name, _kind(each.type), each.type.shape[1]) for each in operator.inputs
        ]
        x = scope.get_unique_variable_name("table")
        names = {each.name: each.name for each in inputs} | {"table": x}
        _add(scope, container, table_proto(inputs, categories, dtype), names)
    proto = to_onnx(model, params, state, features, dtype, input_dtype=input_dtype)
    _add(scope, container, proto, {"input": x, "output": output})
    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _add(scope: Any, container: Any, proto: Any, names: dict[str, str]) -> None:
    """Add the operators of a model, with these names of its input and output."""
    import onnx

    # Below, the operators are the same, or do not exist. Those of tables are the same above, too.
    if container.target_opset_onnx > OPSET and len(proto.opset_import) == 1:
        proto = onnx.version_converter.convert_version(proto, container.target_opset_onnx)
    graph, versions = proto.graph, {each.domain: each.version for each in proto.opset_import}
    for tensor in graph.initializer:
        names[tensor.name] = scope.get_unique_variable_name(tensor.name)
        values = onnx.numpy_helper.to_array(tensor)
        container.add_initializer(names[tensor.name], tensor.data_type, values.shape, values.ravel())
    for node in graph.node:
        for name in set(node.output) - names.keys():
            names[name] = scope.get_unique_variable_name(name)
        container.add_node(
            node.op_type,
            [names[name] for name in node.input],
            [names[name] for name in node.output],
            name=scope.get_unique_operator_name(node.op_type),
            op_domain=node.domain,
            op_version=versions.get(node.domain) if node.domain else None,
            **{each.name: onnx.helper.get_attribute_value(each) for each in node.attribute},
        )


def _examples(operator: Any) -> tuple[Any, Any]:
    """Return the number of examples, if it is known, and the type of floats; check the inputs.

    Raises:
        NotFittedError: the estimator is not fitted yet.
        RuntimeError: there are several inputs, or they are not numbers, and no feature is categorical.
        ValueError: the inputs are not the columns of the table of the fit.
    """
    from skl2onnx.common.data_types import guess_tensor_type
    from skl2onnx.common.utils import check_input_and_output_numbers, check_input_and_output_types

    estimator = operator.raw_operator
    check_is_fitted(estimator, "trainer_")
    if estimator._categories is None:
        check_input_and_output_numbers(operator, input_count_range=1)
        check_input_and_output_types(operator, good_input_types=_numbers())
    else:
        _check_columns(estimator, operator.inputs)
    return operator.inputs[0].get_first_dimension(), type(guess_tensor_type(_float_source(operator)))


def _numbers() -> list[Any]:
    """Return the types of numbers."""
    from skl2onnx.common import data_types

    return [getattr(data_types, f"{kind}TensorType") for kind in ("Boolean", "Double", "Float", "Int64")]


def _check_columns(estimator: Any, inputs: Any) -> None:
    """Raise ValueError unless there are as many columns as in the fit, with text where the fit had text.

    Numbers may be text, too: skl2onnx makes one array of text of all that a ColumnTransformer joins.
    """
    from skl2onnx.common.data_types import StringTensorType

    features, categories = estimator.n_features_in_, estimator._categories
    texts = {
        column
        for column, values in zip(categories.columns, categories.values, strict=True)
        if values.dtype.kind == "O"
    }
    given = [
        isinstance(each.type, StringTensorType)
        for each in inputs
        for _ in range(each.type.shape[1] if len(each.type.shape) == 2 else 0)
    ]
    if len(given) != features or not all(given[column] for column in texts):
        raise ValueError(
            f"skl2onnx: expected inputs with {features} columns as in the fit, and text in the columns "
            f"{sorted(texts)}, got {[each.type for each in inputs]}"
        )


def _float_source(operator: Any) -> Any:
    """Return the type of the first input of floats; without one, that of the first of numbers."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    types = [each.type for each in operator.inputs]
    floats = [each for each in types if isinstance(each, DoubleTensorType | FloatTensorType)]
    numbers = [each for each in types if not isinstance(each, StringTensorType)]
    return next(iter([*floats, *numbers, FloatTensorType()]))


def _kind(given: Any) -> int:
    """Return a type of skl2onnx as a number of ONNX."""
    from onnx import TensorProto, helper
    from skl2onnx.common.data_types import StringTensorType, guess_numpy_type

    if isinstance(given, StringTensorType):
        return int(TensorProto.STRING)
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(guess_numpy_type(given))))


def _is_multilabel(operator: Any) -> bool:
    return bool(operator.raw_operator._kind == "multilabel")


def _classes(scope: Any, classifier: MLPClassifier) -> HostArray:
    """Return the labels in the file, as 64-bit integers or strings.

    Raises:
        ValueError: they are neither.
    """
    from skl2onnx.common.utils_classifier import get_label_classes

    classes = np.asarray(get_label_classes(scope, classifier))
    if all(isinstance(each, str) for each in classes):
        return classes.astype(np.str_)
    with np.errstate(invalid="ignore"):
        integers = classes.astype(np.int64) if classes.dtype.kind in "biuf" else None
    if integers is None or not np.array_equal(integers, classes):
        raise ValueError(
            f"skl2onnx: expected classes that are integers or strings, got {classes!r}: encode y before "
            "the fit, for example with LabelEncoder"
        )
    return integers
