"""Traces of layers, losses and optimizers that users write."""

import sys
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from multinn import (
    SGD,
    Dense,
    HalfSquaredError,
    Layer,
    Loss,
    MeanSquaredError,
    Optimizer,
    Sequential,
    Tanh,
    Trace,
    Trainer,
)
from multinn.layers.base import ParameterFree

X, Y = np.array([[0.0, 1.0], [1.0, -1.0], [0.5, 2.0]]), np.array([[1.0], [0.0], [1.0]])


def trace_of(model: Layer, loss: Loss | None = None, optimizer: Optimizer | None = None) -> Trace:
    """Return the trace of two steps, as it is read back from JSON."""
    trainer = Trainer(model, loss or HalfSquaredError(), optimizer or SGD(0.1), backend="numpy")
    return Trace.from_json(trainer.trace(X, Y, steps=2).to_json())


def classes(trace: Trace) -> list[str]:
    return [layer["class"] for layer in trace.data["layers"]]


@dataclass(frozen=True)
class Chain(Layer):
    """Layers in sequence, in a tuple, a list or a dict."""

    parts: Any

    def init(self, generator, input_shape):
        params, shape = [], input_shape
        for part in self._parts:
            own, shape = part.init(generator, shape)
            params.append(own)
        return params, shape

    def forward(self, backend, params, x, key=None):
        caches = []
        for part, own in zip(self._parts, params, strict=True):
            x, cache = part.forward(backend, own, x, key)
            caches.append(cache)
        return x, caches

    def backward(self, backend, params, cache, dy):
        gradients = []
        for part, own, each in reversed(list(zip(self._parts, params, cache, strict=True))):
            dy, gradient = part.backward(backend, own, each, dy)
            gradients.insert(0, gradient)
        return dy, gradients

    @property
    def _parts(self):
        return list(self.parts.values() if isinstance(self.parts, dict) else self.parts)


@dataclass(frozen=True)
class Twice(Layer):
    """A layer of which the output is its next input, with the same weights."""

    inner: Layer

    def init(self, generator, input_shape):
        return self.inner.init(generator, input_shape)

    def forward(self, backend, params, x, key=None):
        middle, first = self.inner.forward(backend, params, x, key)
        y, second = self.inner.forward(backend, params, middle, key)
        return y, (first, second)

    def backward(self, backend, params, cache, dy):
        dy, second = self.inner.backward(backend, params, cache[1], dy)
        dx, first = self.inner.backward(backend, params, cache[0], dy)
        return dx, {name: first[name] + second[name] for name in first}


class Unchanged(ParameterFree):
    """y = x"""

    def forward(self, backend, params, x, key=None):
        return x, None

    def backward(self, backend, params, cache, dy):
        return dy, {}


@dataclass(frozen=True)
class Same(Unchanged):
    value: Any = None


LAYERS = (Dense(3), Tanh(), Dense(1))


@pytest.mark.parametrize(
    "parts", [LAYERS, list(LAYERS), dict(zip("abc", LAYERS, strict=True))], ids=["tuple", "list", "dict"]
)
def test_layers_in_any_collection_are_recorded(parts):
    trace = trace_of(Chain(parts))
    assert classes(trace) == ["Chain", "Dense", "Tanh", "Dense"]
    assert trace.losses == trace_of(Sequential(LAYERS)).losses


def test_both_calls_of_a_shared_layer_are_recorded():
    trace = trace_of(Sequential([Twice(Dense(2)), Dense(1)]))
    assert classes(trace) == ["Sequential", "Twice", "Dense", "Dense", "Dense"]
    _, twice, first, second, _ = trace.step(1)["layers"]
    np.testing.assert_array_equal(second["x"], first["y"])
    np.testing.assert_array_equal(second["dx"], first["dy"])
    both = first["gradients"]["W"] + second["gradients"]["W"]
    np.testing.assert_array_equal(twice["gradients"]["W"], both)


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        (np.float64("-inf"), "-inf"),
        (True, True),
        ({"a": 1}, "{'a': 1}"),
        ((1, 2), "(1, 2)"),
        (np.arange(2), "array([0, 1])"),
        (test_layers_in_any_collection_are_recorded,
         "<function test_layers_in_any_collection_are_recorded>"),
        ("x" * 20_000, "x" * 9_999 + "…"),
        ("</script><!-- ]]>&\"'", "</script><!-- ]]>&\"'"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_hyperparameters_of_any_kind_are_recorded(value, recorded):
    trace = trace_of(Sequential([Same(value), Dense(1)]))
    assert trace.data["layers"][1]["hyperparameters"] == {"value": recorded}


@dataclass(frozen=True)
class Caching(Unchanged):
    """A layer with any cache."""

    cache: Any

    def forward(self, backend, params, x, key=None):
        return x, self.cache


def test_arrays_may_have_any_name():
    cache = {name: np.arange(3.0) for name in ("number", "forward", "values", "a.b")}
    found = trace_of(Sequential([Caching(cache), Dense(1)])).step(1)["layers"][1]["cache"]
    assert list(found) == list(cache)
    assert all(np.array_equal(array, np.arange(3.0)) for array in found.values())


@pytest.mark.parametrize("cache", [np.zeros(2, np.float16), "text", 2**70], ids=str)
def test_a_cache_that_a_trace_cannot_hold_is_named(cache):
    model = Sequential([Caching(cache), Dense(1)])
    message = r"trace: cache: expected arrays of .*; leave it out with leave_out=\['cache'\]"
    with pytest.raises(TypeError, match=message):
        trace_of(model)
    trainer = Trainer(model, HalfSquaredError(), SGD(0.1), backend="numpy")
    assert "cache" not in trainer.trace(X, Y, leave_out=["cache"]).step(0)["layers"][1]


def test_a_class_without_a_docstring_has_no_formula():
    same = trace_of(Sequential([Same(), Dense(1)])).data["layers"][1]
    assert (same["class"], same["formula"], same["documentation"]) == ("Same", "", "")


class Still(Optimizer):
    """The parameters stay."""

    def init(self, params):
        return {}

    def update(self, backend, gradients, state, params):
        return params, state


class Plain(Loss):
    """Half the squared error."""

    def per_example(self, backend, outputs, targets):
        return HalfSquaredError().per_example(backend, outputs, targets)


def test_parts_need_not_be_dataclasses():
    trace = trace_of(Sequential([Unchanged(), Dense(1)]), Plain(), Still())
    names = [part["class"] for part in (trace.data["loss"], *trace.data["optimizers"])]
    assert [classes(trace)[1], *names] == ["Unchanged", "Plain", "Still"]


@dataclass(frozen=True)
class TwiceALoss(Loss):
    """Twice another loss."""

    loss: Loss

    def per_example(self, backend, outputs, targets):
        values, gradient = self.loss.per_example(backend, outputs, targets)
        return 2.0 * values, 2.0 * gradient


@dataclass(frozen=True)
class TwiceOfBatch(TwiceALoss):
    """Twice another loss, of the whole batch."""

    def __call__(self, backend, outputs, targets, weights=None):
        value, dy = self.loss(backend, outputs, targets, weights)
        return 2.0 * value, 2.0 * dy


@pytest.mark.parametrize("kind", [TwiceALoss, TwiceOfBatch])
def test_a_loss_within_a_loss_is_not_mistaken_for_it(kind):
    trace = trace_of(Dense(1), kind(MeanSquaredError()))
    assert trace.data["loss"]["class"] == kind.__name__
    assert trace.losses[0] == pytest.approx(2.0 * trace_of(Dense(1), MeanSquaredError()).losses[0])


def test_the_code_of_a_class_within_a_function_is_recorded():
    class Local(Unchanged):
        def forward(self, backend, params, x, key=None):
            def same(array):
                return array

            return same(x), None

    trace = trace_of(Sequential([Local(), Dense(1)]))
    code = [trace.data["code"][index] for index in trace.data["layers"][1]["code"]["forward"]]
    assert code[-1]["source"].splitlines()[-1].strip() == "return same(x), None"
    assert code[-1]["ran"] == [1, 2, 4]


def test_code_without_a_source_is_left_out():
    source = (
        "class Made(Unchanged):\n    def forward(self, backend, params, x, key=None): return x, None\n"
    )
    names = {"Unchanged": Unchanged, "__name__": "made"}
    exec(source, names)
    made = trace_of(Sequential([names["Made"](), Dense(1)])).data["layers"][1]  # type: ignore[operator]
    assert made["class"] == "Made"


@dataclass(frozen=True)
class Failing(Unchanged):
    error: Any

    def backward(self, backend, params, cache, dy):
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_after_an_error_the_debugger_and_the_trainer_are_as_before(error):
    trainer = Trainer(Sequential([Failing(error), Dense(1)]), HalfSquaredError(), backend="numpy")
    trainer.initialize((2,))
    weights = trainer.params[1]["W"].copy()
    before = sys.gettrace()
    sys.settrace(debugger := lambda frame, event, argument: None)
    try:
        with pytest.raises(error):
            trainer.trace(X, Y)
        assert sys.gettrace() is debugger
    finally:
        sys.settrace(before)
    np.testing.assert_array_equal(trainer.params[1]["W"], weights)


def test_two_threads_trace_at_once():
    model = Sequential([Chain([Dense(3), Tanh()]), Twice(Dense(3)), Dense(1)])
    expected = trace_of(model).to_json()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(trace_of(model).to_json())) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 2


def test_a_class_with_the_name_of_one_of_ours_is_named_with_its_module():
    own = type("Dense", (Unchanged,), {"__module__": "mine"})
    found = Trainer(own(), HalfSquaredError(), backend="numpy").trace(X, X)
    assert found.data["layers"][0]["class"] == "mine.Dense"
