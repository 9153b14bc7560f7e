"""All public functions, classes and methods with arguments that are right, for tests of wrong ones."""

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

import backends
import multinn
import multinn.testing
from backends import Backend
from multinn import (
    LSTM,
    SGD,
    Callback,
    Container,
    Dense,
    History,
    Layer,
    MeanSquaredError,
    Sequential,
    Trace,
    Trainer,
    exchange,
    initializers,
)

MODULES = (
    *(multinn, multinn.layers, multinn.losses, multinn.metrics, multinn.optimizers, multinn.schedules),
    *(multinn.initializers, multinn.callbacks, multinn.random, multinn.functional, multinn.exchange),
    *(multinn.onnx, multinn.testing, multinn.tracing, backends),
)

# Classes whose methods are not called in every training step: their arguments are checked, too.
WITH_METHODS = (Trainer, Trace, History, Layer)

INITIALIZERS = (initializers.Zeros, initializers.Uniform, initializers.Glorot, initializers.Orthogonal)

# What is called with arguments that other parts have made and checked.
NOT_CALLED_BY_USERS = {
    "multinn.Examples": "a tuple of arrays",
    "multinn.Seconds": "a sum that the trainer changes",
    "multinn.Masked": "a tuple of arrays",
    "multinn.LearningRateRange": "made by Trainer.learning_rate_range_test",
    "multinn.metrics.build_metric": "called in loading",
    "multinn.metrics.check_metrics": "called by the trainer",
    "multinn.metrics.check_names": "called by the trainer",
    "multinn.metrics.describe_metric": "called in saving",
    "multinn.metrics.reduction_of": "called by the training program",
    "multinn.random.Key": "a tuple, made by the training program",
    "multinn.random.child": "called in each step with the key of the step",
    "multinn.onnx.Graph": "made by to_onnx",
    "multinn.onnx.Value": "made by to_onnx",
    "multinn.onnx.convert_child": "called by a converter with what it got",
    "multinn.testing.GradientTable": "made by check_gradients",
    "multinn.Layer.init": "called by the trainer or by a container with a checked shape",
    "multinn.Layer.init_state": "called by the trainer with its own parameters",
    "multinn.Layer.check_inputs": "called by the trainer with checked inputs",
    "multinn.Layer.kept_values": "called by a container with checked inputs",
}

X, Y = np.ones((4, 3)), np.ones((4, 2))
MODEL = Sequential([Dense(2)])


def made_trainer() -> Trainer:
    """Return a trainer with parameters that compiles nothing."""
    trainer = Trainer(MODEL, MeanSquaredError(), SGD(0.1), backend="numpy:eager")
    trainer.initialize((3,))
    return trainer


_MISSING = object()
_TRAINER = made_trainer()
_PARAMS = _TRAINER.backend.to_numpy(_TRAINER.params)
_TRACE = _TRAINER.trace(X, Y)

# The right arguments by the names of parameters without a default, and of those that save time.
RIGHT: dict[str, Any] = {
    "backend": "numpy:eager",
    "backends": [],
    "batches": [(X, Y)],
    "branches": [Dense(2)],
    "columns": (0, 2),
    "data": _TRACE.data,
    "description": MODEL.to_dict(),
    "dimension": 2,
    "entry": "age",
    "epoch": 0,
    "epochs": 1,
    "every": 2,
    "factor": 0.5,
    "fan_in": 2,
    "fan_out": 2,
    "features": 4,
    "filters": 2,
    "first_step": 0,
    "folder": "events",
    "generator": np.random.default_rng(0),
    "groups": 1,
    "heads": 2,
    "hidden_units": 2,
    "index": 0,
    "initial": 0.1,
    "input_shape": (3,),
    "k": 2,
    "kernel_size": 3,
    "layer": Dense(2),
    "layer_state": None,
    "layers": MODEL.layers,
    "learning_rate": 0.1,
    "length": 3,
    "loss": MeanSquaredError(),
    "losses": (MeanSquaredError(),),
    "max_norm": 1.0,
    "metric": multinn.accuracy,
    "model": MODEL,
    "optimizer": SGD(0.1),
    "outputs": 2,
    "params": _PARAMS,
    "path": "file",
    "part": Dense(2),
    "paths": ("0.W",),
    "peak": 0.1,
    "progress": False,
    "rate": 0.5,
    "seed": 0,
    "shape": (2, 2),
    "source": "formulas.Own = {\n};\n",
    "state_dict": exchange.to_state_dict(MODEL, _PARAMS),
    "steps": 2,
    "text": _TRACE.to_json(),
    "thing": SGD,
    "total_steps": 5,
    "trained": _TRAINER,
    "units": 2,
    "value": 1.0,
    "vocabulary_size": 3,
    "weights": exchange.to_keras_weights(MODEL, _PARAMS),
    "window": 2,
    "x": X,
    "y": Y,
}

# The right arguments of single parameters, where the table above has another one.
OWN_RIGHT: dict[str, Any] = {
    "multinn.Bidirectional.layer": LSTM(2),
    "multinn.onnx.converts.layers": Dense,
    "multinn.onnx.has_converter.layer": Dense,
    "multinn.Trainer.load.path": "trainer.safetensors",
    "multinn.Trainer.load_state.path": "trainer.safetensors",
    "multinn.Trace.load.path": "trace.json",
    "multinn.Trace.save.path": "trace.json",
}


class Call(NamedTuple):
    """A public function, class or bound method.

    Attributes:
        name: where it is, such as "multinn.Trainer.fit".
        function: what is called.
        several: right arguments for a parameter that takes any number of them.
        right: the right arguments: of each parameter without a default, and of some others.
    """

    name: str
    function: Callable[..., Any]
    several: tuple[Any, ...]
    right: dict[str, Any]

    def __str__(self) -> str:
        return self.name

    def with_argument(self, parameter: inspect.Parameter, value: Any) -> None:
        """Call with one argument replaced."""
        if parameter.kind is parameter.VAR_POSITIONAL:
            self.function(value, **self.right)
        else:
            self.function(*self.several, **self.right | {parameter.name: value})


def public_calls() -> Iterator[Call]:
    """Yield the calls, each under one name; not those of the mathematics, which get a backend first."""
    seen: set[Any] = set()
    for module in MODULES:
        for name, thing in vars(module).items():
            if not _is_public(module, name, thing) or thing in seen:
                continue
            seen.add(thing)
            yield from _calls(f"{module.__name__}.{name}", thing)
    for kind in INITIALIZERS:
        yield from _calls(f"multinn.initializers.{kind.__name__}()", kind())
    for kind in WITH_METHODS:
        instance = {Trainer: _TRAINER, Trace: _TRACE, History: History([{"epoch": 1}])}.get(kind, MODEL)
        for name, method in inspect.getmembers(instance, inspect.ismethod):
            if hasattr(kind, name) and not name.startswith("_"):
                yield from _calls(f"multinn.{kind.__name__}.{name}", method)


def _is_public(module: ModuleType, name: str, thing: Any) -> bool:
    origin = f"{getattr(thing, '__module__', '')}."
    is_error = isinstance(thing, type) and issubclass(thing, BaseException)
    is_own = origin.startswith(f"{module.__name__}.")
    return is_own and callable(thing) and not (name[0] == "_" or is_error)


def _calls(name: str, thing: Any) -> Iterator[Call]:
    is_abstract = inspect.isabstract(thing) or thing in (Callback, Backend, Container)
    if is_abstract or name in NOT_CALLED_BY_USERS:
        return
    parameters = inspect.signature(thing).parameters
    if not parameters or (next(iter(parameters)) == "backend" and not name.endswith("get_backend")):
        return
    several, right = (), {}
    for each in parameters.values():
        is_needed = each.default is each.empty or each.name in ("progress", "backend", "backends")
        value = OWN_RIGHT.get(f"{name}.{each.name}", RIGHT.get(each.name, _MISSING))
        if each.kind is each.VAR_POSITIONAL:
            several = (value,)
        elif is_needed and value is not _MISSING:
            right[each.name] = value
    yield Call(name, thing, several, right)
