"""Descriptions of layers, losses and optimizers for JSON, and instances from descriptions."""

import inspect
import json
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import multinn
from multinn import (
    F1,
    R2,
    SGD,
    AccumulateGradients,
    Accuracy,
    Adam,
    ClipByGlobalNorm,
    Conv2D,
    Dense,
    DescriptionError,
    ExponentialMovingAverage,
    Freeze,
    Huber,
    Layer,
    LeakyReLU,
    Loss,
    OfHead,
    Optimizer,
    Precision,
    Recall,
    Rescale,
    ScaledLearningRate,
    Sequential,
    TopK,
    accuracy,
    initializers,
    optimizers,
    register,
    schedules,
)
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.descriptions.names import registered_classes
from multinn.metrics import build_metric, describe_metric
from multinn.testing.gradient_cases import LAYERS, LOSSES
from tests.support.own_parts import Doubled, halved, unnamed

_SCHEDULES = [
    schedules.Constant(0.1),
    schedules.StepDecay(0.1, 0.5, 10),
    schedules.ExponentialDecay(0.3, 1 / 3, 7),
    schedules.InverseTimeDecay(0.1, 1e-3),
    schedules.CosineDecay(0.1, 1000, 10, 1e-5),
]
_INITIALIZERS = [
    initializers.Constant(-0.0),
    initializers.Zeros(),
    initializers.Ones(),
    initializers.Uniform(-1.0, 1),
    initializers.Normal(0.1, 2.0),
    initializers.Glorot("normal"),
    initializers.He(),
    initializers.LeCun(),
    initializers.Orthogonal(0.5),
]
_WRAPPERS = [
    AccumulateGradients(SGD(_SCHEDULES[1], 0.9, True), 4),
    ClipByGlobalNorm(Adam(), 0.1),
    ExponentialMovingAverage(Adam()),
    ScaledLearningRate(Adam()),
    Freeze(ClipByGlobalNorm(Adam(), 0.1), ("0.W", "*.b")),
]
_PLAIN = [
    kind()
    for name, kind in registered_classes()
    if issubclass(kind, Optimizer) and not issubclass(kind, optimizers.wrappers.Wrapper)
    if not name.startswith("sklearn.")
]
_METRICS = [
    Accuracy(),
    Accuracy(-1),
    F1("macro"),
    OfHead("price", R2()),
    Precision(),
    Recall("micro"),
    R2(),
    TopK(3),
]
INSTANCES: list[Any] = [
    *[case.layer for case in LAYERS],
    *[case.loss for case in LOSSES],
    *_SCHEDULES,
    *_INITIALIZERS,
    *_WRAPPERS,
    *_PLAIN,
    *_METRICS,
    *[Dense(3, weight_initializer=each, bias_initializer=each) for each in _INITIALIZERS],
    *[Adam(each) for each in _SCHEDULES],
]


def with_distinct_names(instances: list[Any]) -> list[Any]:
    """Return the instances as parameters of a test, numbered within each class."""
    seen: dict[str, int] = {}
    parameters = []
    for instance in instances:
        name = f"{type(instance).__module__}.{type(instance).__name__}"
        seen[name] = seen.get(name, 0) + 1
        parameters.append(pytest.param(instance, id=f"{name}-{seen[name]}"))
    return parameters


@pytest.mark.parametrize("instance", with_distinct_names(INSTANCES))
def test_an_instance_survives_a_round_trip_through_json(instance):
    text = json.dumps(instance.to_dict(), allow_nan=False)
    again = type(instance).from_dict(json.loads(text))
    assert again == instance
    assert repr(again) == repr(instance)


def is_of_the_core(name: str, kind: type) -> bool:
    """Return whether a class is of the library; the estimators may not be imported."""
    return kind.__module__.startswith("multinn.") and not name.startswith("sklearn.")


def test_every_class_of_the_library_is_registered_and_among_the_instances():
    """A new class then takes part in the test above."""
    registered = {kind for name, kind in registered_classes() if is_of_the_core(name, kind)}
    modules = [multinn, optimizers, schedules, initializers, multinn.metrics]
    exported = {
        value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Hyperparameters) and name[0] != "_"
    }
    concrete = {value for value in exported if not inspect.isabstract(value)}
    assert concrete - {Hyperparameters} == registered
    assert registered <= {type(instance) for instance in INSTANCES}


def test_a_description_names_the_class_and_all_hyperparameters():
    layer = Sequential([Conv2D(2, (3, 1), padding="same"), LeakyReLU(0.3)])
    assert layer.to_dict() == {
        "class": "Sequential",
        "layers": [
            {
                "class": "Conv2D",
                "filters": 2,
                "kernel_size": [3, 1],
                "stride": [1, 1],
                "padding": "same",
                "dilation": [1, 1],
                "groups": 1,
                "use_bias": True,
                "weight_initializer": {"class": "initializers.Glorot", "distribution": "uniform"},
                "bias_initializer": {"class": "initializers.Zeros"},
            },
            {"class": "LeakyReLU", "negative_slope": 0.3},
        ],
    }


@given(scale=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_exactly(scale):
    layer = Rescale(scale)
    again = Layer.from_dict(json.loads(json.dumps(layer.to_dict())))
    assert repr(again) == repr(layer)


def test_numpy_numbers_are_described_as_python_numbers():
    layer = Conv2D(np.int64(2), (np.int64(3), np.int32(1)))
    assert Layer.from_dict(json.loads(json.dumps(layer.to_dict()))) == Conv2D(2, (3, 1))


def test_hyperparameters_with_defaults_may_be_missing():
    assert Layer.from_dict({"class": "Dense", "units": 4}) == Dense(4)


DENSE = Dense(4).to_dict()


@pytest.mark.parametrize(
    ("kind", "description", "message"),
    [
        (
            Layer,
            {"class": "Denze"},
            r"^unknown name 'Denze' \(did you mean 'Dense'\?\); register your own",
        ),
        (Layer, {"class": "os.system"}, "^unknown name 'os.system'"),
        (Layer, {"class": "multinn.layers.Dense"}, "^unknown name 'multinn.layers.Dense'"),
        (Layer, {"class": "Layer"}, "^unknown name 'Layer'"),
        (Layer, {"class": ["Dense"]}, "^expected a description, .* as 'class', got"),
        (Layer, {"units": 4}, "^expected a description, a dict with the name of a class"),
        (Layer, "Dense", "^expected a description, a dict with the name of a class"),
        (Layer, None, "^expected a description, a dict with the name of a class"),
        (Layer, {"class": "accuracy"}, "^expected a class, got the function 'accuracy'"),
        (Layer, {"class": "SGD"}, r"^expected a description of a Layer, got one of SGD\("),
        (Dense, {"class": "ReLU"}, r"^expected a description of a Dense, got one of ReLU\(\)"),
        (Layer, {"class": "Dense"}, "^Dense: the hyperparameter 'units' is missing"),
        (Layer, DENSE | {"unit": 4}, "^Dense: unknown hyperparameter 'unit', expected units, use_bias,"),
        (Layer, {"class": "ReLU", "x": 4}, "^ReLU: unknown hyperparameter 'x', expected none"),
        (Layer, DENSE | {"units": "4"}, "^Dense: expected units: an integer, got '4'"),
        (Layer, DENSE | {"units": True}, "^Dense: expected units: an integer, got True"),
        (Layer, DENSE | {"units": 4.0}, "^Dense: expected units: an integer, got 4.0"),
        (Layer, DENSE | {"units": 0}, "^Dense: expected units of at least 1, got 0"),
        (
            Layer,
            DENSE | {"units": {4}},
            "^Dense.units: expected a number, a string, None, an instance of",
        ),
        (Layer, DENSE | {"use_bias": 1}, "^Dense: expected use_bias: True or False, got 1"),
        (
            Layer,
            DENSE | {"weight_initializer": None},
            "^Dense: expected weight_initializer: Initializer",
        ),
        (
            Layer,
            DENSE | {"weight_initializer": {"class": "schedules.Constant", "learning_rate": 1.0}},
            r"^Dense: expected weight_initializer: Initializer, got Constant\(learning_rate=1.0\)",
        ),
        (
            Layer,
            {"class": "Sequential", "layers": [DENSE, DENSE | {"units": -1}]},
            r"^Sequential.layers\[1\]: Dense: expected units of at least 1, got -1",
        ),
        (
            Layer,
            {"class": "Sequential", "layers": [{"class": "Sequential", "layers": [{"class": "R"}]}]},
            r"^Sequential.layers\[0\]: Sequential.layers\[0\]: unknown name 'R'",
        ),
        (
            Layer,
            {"class": "Sequential", "layers": DENSE},
            r"^Sequential: expected layers: a tuple of Layer, got",
        ),
        (
            Layer,
            {"class": "Sequential", "layers": [4]},
            r"^Sequential: expected layers: a tuple of Layer, got",
        ),
        (Layer, {"class": "Sequential", "layers": []}, "^Sequential: expected layers: at least one"),
        (Layer, {"class": "GELU", "approximate": "no"}, "^GELU: expected approximate: one of"),
        (Layer, {"class": "Dropout", "rate": float("nan")}, "^Dropout.rate: expected a finite number"),
        (Layer, {"class": "Dropout", "rate": float("inf")}, "^Dropout.rate: expected a finite number"),
        (
            Layer,
            {"class": "Conv2D", "filters": 1, "kernel_size": [1, 2, 3]},
            r"^Conv2D: expected kernel_size: an integer or a tuple .*, got \(1, 2, 3\)",
        ),
        (Loss, {"class": "Focal", "alpha": [1.0, "x"]}, "^Focal: expected alpha: a number"),
        (
            Optimizer,
            {"class": "Freeze", "optimizer": DENSE, "paths": ["x"]},
            "^Freeze: expected optimizer: Optimizer",
        ),
    ],
    ids=str,
)
def test_an_invalid_description_is_refused(kind, description, message):
    with pytest.raises(DescriptionError, match=message):
        kind.from_dict(description)


def test_a_description_that_is_nested_too_deeply_is_refused():
    description: dict[str, Any] = {"class": "ReLU"}
    for _ in range(2000):
        description = {"class": "Residual", "layer": description}
    with pytest.raises(DescriptionError, match="nested too deep"):
        Layer.from_dict(description)


def test_an_infinite_hyperparameter_is_not_described():
    layer = Rescale(1.0)
    object.__setattr__(layer, "scale", float("inf"))
    with pytest.raises(DescriptionError, match=r"^Sequential\.layers\[0\]\.scale: expected a finite"):
        Sequential([layer]).to_dict()


def test_a_hyperparameter_that_json_cannot_hold_is_not_described():
    layer = Dense(np.arange(1, 3).max())
    object.__setattr__(layer, "use_bias", Ellipsis)
    with pytest.raises(DescriptionError, match=r"^Dense.use_bias: expected .*, got Ellipsis"):
        layer.to_dict()


def test_a_registered_class_of_the_user_is_described():
    model = Sequential([Doubled(2), Dense(1)])
    assert model.to_dict()["layers"][0] == {"class": "Doubled", "times": 2}
    assert Layer.from_dict(model.to_dict()) == model


def test_an_unregistered_class_of_the_user_is_not_described():
    @dataclass(frozen=True)
    class Mine(Doubled):
        pass

    with pytest.raises(DescriptionError, match=r"^Sequential.layers\[0\]: .*Mine is not registered"):
        Sequential([Mine()]).to_dict()


@register
@dataclass(frozen=True)
class Listed(Doubled):
    sizes: list[int] = field(default_factory=list)


def test_an_instance_that_could_not_be_built_again_is_not_described():
    with pytest.raises(DescriptionError, match=r"^Listed: expected sizes: list\[int\], got \(1, 2\)"):
        Listed(sizes=[1, 2]).to_dict()


@register
@dataclass(frozen=True)
class Powered(Doubled):
    power: Literal[1, 2] = 1


@pytest.mark.parametrize("power", [True, 1.0])
def test_a_value_that_equals_a_choice_but_has_another_type_is_refused(power):
    with pytest.raises(DescriptionError, match=rf"^Powered: expected power: one of .*, got {power}"):
        Layer.from_dict({"class": "Powered", "power": power})


def test_registering_twice_changes_nothing():
    assert register(Doubled) is Doubled


@pytest.mark.parametrize("name", ["Doubled", "Dense", "accuracy"])
def test_a_name_in_use_is_refused(name):
    other = dataclass(frozen=True)(type(name, (Doubled,), {"__module__": __name__}))
    with pytest.raises(ValueError, match=rf"^register: .* already has the name '{name}'; give"):
        register(other)


@pytest.mark.parametrize(
    "thing", [Layer, int, Dense(2), "Dense", dataclass(type("Plain", (), {}))], ids=str
)
def test_only_functions_and_classes_of_hyperparameters_are_registered(thing):
    with pytest.raises(TypeError, match=r"^register: expected thing: a function, or a dataclass"):
        register(thing)


def test_a_lambda_is_not_registered():
    with pytest.raises(ValueError, match=r"^register: expected .* with a name, got '<lambda>'"):
        register(unnamed)


@pytest.mark.parametrize(
    ("metric", "description"),
    [
        (accuracy, "accuracy"),
        (halved, "halved"),
        (Accuracy(-1), {"class": "Accuracy", "ignored_class": -1}),
        (Huber(0.5).value, {"class": "Huber", "delta": 0.5}),
    ],
    ids=["accuracy", "halved", "Accuracy", "Huber"],
)
def test_a_metric_survives_a_round_trip_through_json(metric, description):
    assert describe_metric(metric) == description
    again = build_metric(json.loads(json.dumps(description)))
    assert getattr(again, "__self__", again) == getattr(metric, "__self__", metric)


@pytest.mark.parametrize("metric", [unnamed, len, Dense(2).init], ids=["lambda", "builtin", "method"])
def test_other_functions_are_not_described(metric):
    with pytest.raises(DescriptionError, match="is not registered, and descriptions"):
        describe_metric(metric)


@pytest.mark.parametrize("description", ["Dense", "nothing", DENSE, 3, {"class": "SGD"}], ids=str)
def test_a_description_of_something_else_is_no_metric(description):
    with pytest.raises(DescriptionError, match=r"^expected a|^unknown name"):
        build_metric(description)
