"""`check_gradients`: right gradients pass, and each kind of mistake is named."""

from dataclasses import dataclass

import numpy as np
import pytest

from backends import EagerBackend, get_backend, installed_backends
from multinn import (
    LSTM,
    BatchNorm,
    BinaryCrossEntropy,
    Columns,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Heads,
    Layer,
    Masked,
    MaxPool1D,
    MeanSquaredError,
    ReLU,
    Select,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
)
from multinn.layers.base import ParameterFree
from multinn.testing import check_gradients

X = np.random.default_rng(0).normal(size=(4, 3))


@dataclass(frozen=True)
class Cube(ParameterFree):
    """y = a x³ with one trained a, and mistakes on request."""

    factor: float = 3.0

    def init(self, generator, input_shape):
        return {"a": np.ones(1)}, input_shape

    def forward(self, backend, params, x, key=None):
        return params["a"] * x**3, x

    def backward(self, backend, params, cache, dy):
        dx = dy * params["a"] * self.factor * cache**2
        return dx, {"a": backend.xp.reshape(backend.xp.sum(dy * cache**3), (1,))}


@dataclass(frozen=True)
class Product(Layer):
    """y = x["one"] x["other"], of a dict of arrays of one shape."""

    takes_tuple = True

    def init(self, generator, input_shape):
        return {}, input_shape["one"]

    def forward(self, backend, params, x, key=None):
        return x["one"] * x["other"], x

    def backward(self, backend, params, cache, dy):
        return {"one": dy * cache["other"], "other": dy * cache["one"]}, {}


def dy_of(layer: Layer, x: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the dy that the check draws, which is the derivative with respect to an added bias."""
    point = {}

    @dataclass(frozen=True)
    class Recorded(type(layer)):
        def backward(self, backend, params, cache, dy):
            point["dy"] = np.asarray(dy)
            return super().backward(backend, params, cache, dy)

    check_gradients(Recorded(), x, seed=seed, backends=[])
    return point["dy"]


@pytest.mark.parametrize(
    ("part", "arguments"),
    [
        (Dense(2), {}),
        (Cube(), {}),
        (Sequential([BatchNorm(), Tanh(), Dropout(0.3)]), {}),
        (Sequential([BatchNorm(), Dropout(0.3)]), {"training": False}),
        (MeanSquaredError(), {"targets": X + 1.0}),
        (SoftmaxCrossEntropy(), {"targets": [0, 1, 2, 1], "weights": [0, 1, 2.5, 1]}),
    ],
    ids=str,
)
def test_right_gradients_pass(part, arguments):
    table = check_gradients(part, X, **arguments, backends=["numpy"])
    assert {oracle for errors in table.errors.values() for oracle in errors} == {"central", "numpy"}
    assert max(max(errors.values()) for errors in table.errors.values()) < 1e-8
    assert "WRONG" not in table


def test_all_installed_backends_and_derivatives_are_oracles():
    table = check_gradients(Cube(), X)
    derived = {"jax", "torch"} & {*installed_backends()}
    assert table.errors["x"].keys() == {"central", *installed_backends(), *(f"∂ {n}" for n in derived)}
    assert max(map(len, table.splitlines())) <= 80
    assert "<td" in table._repr_html_()


def test_a_mask_counts():
    x = Masked(np.random.default_rng(0).normal(size=(2, 3, 2)), np.array([[1, 1, 0], [1, 0, 0]], bool))
    assert check_gradients(LSTM(2), x, backends=[]).errors["x"]["central"] < 1e-8


def test_ids_have_no_gradient():
    table = check_gradients(Embedding(5, 2), [[1, 2], [0, 4]], backends=[])
    assert [*table.errors] == ["params.W"]
    assert "x: integers, which have no gradient" in table


def test_trees_are_checked_entry_by_entry():
    table = check_gradients(Product(), {"one": X, "other": X + 1.0}, backends=[])
    assert [*table.errors] == ["x.one", "x.other"]


def test_ids_beside_numbers_have_no_gradient():
    city = Sequential([Select("city"), Embedding(5, 2), Flatten()])
    model = Sequential([Concatenate([Select("numbers"), city]), Dense(2)])
    x = {"numbers": X, "city": [[1], [2], [0], [4]]}
    table = check_gradients(model, x, backends=["numpy"])
    assert {"x.numbers", "params.0.1.1.W"} <= table.errors.keys()
    assert "x.city" not in table.errors
    assert "x.city: integers, which have no gradient" in table


def test_heads_with_weights_of_their_own():
    loss = Heads({"price": MeanSquaredError(), "kind": SoftmaxCrossEntropy()}, {"price": 1, "kind": 2})
    outputs = {"price": X[:, :1], "kind": X}
    targets = {"price": X[:, 1:2], "kind": [0, 1, 2, 1]}
    weights = {"price": [1, 0, 1, 2], "kind": np.ones(4)}
    table = check_gradients(loss, outputs, targets, weights, backends=["numpy"])
    assert [*table.errors] == ["outputs.kind", "outputs.price"]


def test_given_parameters_are_those_of_the_check():
    layer = Sequential([Dense(1), ReLU()])
    params = ({"W": np.full((3, 1), -1.0), "b": np.zeros(1)}, {})
    table = check_gradients(layer, np.abs(X), params=params, backends=[])  # all outputs are 0
    assert table.errors["params.0.W"]["central"] == 0.0


def test_the_worst_entry_is_named():
    with pytest.raises(AssertionError) as caught:
        check_gradients(Cube(2.0), X, backends=[])
    row, column = np.unravel_index(np.argmax(np.abs(dy_of(Cube(), X) * X**2)), X.shape)
    message = str(caught.value)
    assert f"at x[{row}, {column}], expected " in message
    got, expected = (float(message.split(word)[1].split()[0]) for word in ("got ", "expected "))
    assert got / expected == pytest.approx(2.0 / 3.0, rel=1e-4)
    assert "(central differences)" in message
    assert "x (4, 3)" in message.splitlines()[-1]
    assert message.splitlines()[-1].endswith("WRONG")
    assert message.splitlines()[-2].endswith("right")


@pytest.mark.parametrize("backend", ["jax", "torch"], indirect=True)
def test_a_derivative_of_a_library_finds_mistakes(backend):
    with pytest.raises(AssertionError, match=r"(?s)gradient\W.*∂ .*WRONG"):
        check_gradients(Cube(2.0), X, backends=[backend])


def test_a_wrong_loss_is_named():
    class Halved(BinaryCrossEntropy):
        def per_example(self, backend, outputs, targets):
            values, gradient = super().per_example(backend, outputs, targets)
            return values, gradient * 0.5

    with pytest.raises(AssertionError, match="Halved: the gradient with respect to outputs is wrong"):
        check_gradients(Halved(), X, np.ones((4, 3)), backends=[])


def test_a_wrong_shape_is_named():
    class Transposed(Tanh):
        def backward(self, backend, params, cache, dy):
            return super().backward(backend, params, cache, dy)[0].T, {}

    message = r"the gradient of x: expected float64 of shape \(4, 3\), got float64 of shape \(3, 4\)"
    with pytest.raises(AssertionError, match=message):
        check_gradients(Transposed(), X, backends=[])


@pytest.mark.parametrize(
    ("method", "wrong", "message"),
    [
        ("init", lambda *_: ({}, (2,)), r"Other.forward: expected y of shape \(4, 2\), as init says"),
        (
            "forward",
            lambda self, backend, params, x, key=None: x,
            "Other.forward: expected a tuple of y",
        ),
        ("backward", lambda self, backend, params, x, dy: dy, "Other.backward: expected a tuple of dx"),
        (
            "backward",
            lambda self, backend, params, x, dy: ({"one": dy}, {}),
            "Other.backward: dx: expected a dict with the keys 'one', 'other', as x, got a dict",
        ),
    ],
)
def test_a_method_that_returns_something_else_is_named(method, wrong, message):
    layer = type("Other", (Product,), {method: wrong})()
    with pytest.raises((TypeError, ValueError), match=message):
        check_gradients(layer, {"one": X, "other": X}, backends=[])


def test_a_mistake_on_one_backend_is_named():
    class Other(EagerBackend):
        name = "other"
        xp = np

        def scatter_add(self, table, ids, rows):
            raise NotImplementedError

    other = Other()

    class Wrong(Tanh):
        def backward(self, backend, params, cache, dy):
            dx = super().backward(backend, params, cache, dy)[0]
            return (dx * 2.0 if backend is other else dx), {}

    with pytest.raises(
        AssertionError, match=r"by hand, on NumPy\), got \S+ \(derived by hand, on other\)"
    ):
        check_gradients(Wrong(), X, backends=[other])


def test_kinks_are_left_out_and_counted():
    x = X.copy()
    x[:2] = 0.0
    table = check_gradients(ReLU(), x, backends=["jax"])
    assert "x: 6 of 12 entries are at kinks, and left out" in table
    ties = np.zeros((2, 4, 1))
    assert "kinks" in check_gradients(MaxPool1D(2), ties, backends=["jax"])


def test_smaller_steps_are_taken_near_a_kink():
    x = np.full((1, 3), 1e-4)
    assert "kinks" not in check_gradients(ReLU(), x, backends=[])


def test_mistakes_beside_kinks_are_found():
    class Leaking(ReLU):
        def backward(self, backend, params, cache, dy):
            return super().backward(backend, params, cache, dy)[0] + 0.01 * dy, {}

    x = X.copy()
    x[:2] = 0.0
    with pytest.raises(AssertionError, match=r"(?s)at x\[[23], .*x: 6 of 12 entries are at kinks"):
        check_gradients(Leaking(), x, backends=[])


def test_rounding_of_large_values_is_no_kink():
    class HalvedError(MeanSquaredError):
        def __call__(self, backend, outputs, targets, weights=None):
            value, gradient = super().__call__(backend, outputs, targets, weights)
            return value + 1e9, gradient * 0.5

    with pytest.raises(AssertionError, match="is wrong"):
        check_gradients(HalvedError(), X, np.zeros((4, 3)), backends=[])


def test_ids_that_are_floats_are_at_jumps():
    table = check_gradients(Embedding(5, 2), np.array([[1.0, 2.0]]), backends=["jax"])
    assert "x: 2 of 2 entries are at kinks" in table


def test_what_a_library_cannot_differentiate_is_said():
    pytest.importorskip("torch")

    class Detached(Tanh):
        def forward(self, backend, params, x, key=None):
            return super().forward(backend, params, getattr(x, "detach", lambda: x)(), key)

    table = check_gradients(Detached(), X, backends=["torch"])
    assert "∂ torch is left out: RuntimeError" in table
    assert [*table.errors["x"]] == ["central", "torch"]


def test_of_large_arrays_some_entries_are_compared():
    table = check_gradients(Dense(2), np.ones((3, 400)), backends=[])
    assert table.errors["params.W"]["central"] < 1e-8


def test_float32_has_its_own_tolerance():
    table = check_gradients(Sequential([Dense(3), Tanh()]), X, dtype="float32", backends=["numpy"])
    assert 1e-10 < table.errors["x"]["central"] < 5e-6


def test_a_layer_that_fails_says_on_which_backend():
    class OnlyNumpy(Tanh):
        def forward(self, backend, params, x, key=None):
            return super().forward(backend, params, backend.xp.asarray(np.tanh(x)), key)

    with pytest.raises(TypeError, match="Tracer") as caught:
        check_gradients(OnlyNumpy(), X, backends=["jax"])
    assert "on the backend jax" in "".join(caught.value.__notes__)


@pytest.mark.parametrize(
    ("part", "arguments", "message"),
    [
        (Tanh(), {"targets": X}, "a layer has no targets"),
        (MeanSquaredError(), {}, "a loss needs targets"),
        (MeanSquaredError(), {"targets": X, "params": {}}, "a loss has no params"),
        (MeanSquaredError(), {"targets": X[:, :2]}, "targets: MeanSquaredError: expected"),
        (Dense(2), {"params": {"W": np.ones((2, 2)), "b": np.ones(2)}}, "parameter W: expected shape"),
        (Tanh(), {"dtype": "float16"}, "dtype: expected"),
    ],
)
def test_arguments_are_checked(part, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        check_gradients(part, X, **arguments, backends=[])


def test_inputs_of_different_lengths_raise():
    with pytest.raises(ValueError, match=r"x\[.other.\]: expected 4 rows, as many as x\[.one.\]"):
        check_gradients(Product(), {"one": X, "other": X[:3]}, backends=[])


@pytest.mark.parametrize("backend", ["jax", "torch"], indirect=True)
def test_a_library_derives_a_gradient(backend):
    def function(variables):
        return backend.xp.sum(variables["x"] ** 2)

    with backend.precision("float64"):
        at = backend.from_numpy({"x": X, "unused": np.ones(2)})
        derived = backend.to_numpy(backend.derivative(function, at))
    np.testing.assert_allclose(derived["x"], 2.0 * X)
    np.testing.assert_array_equal(derived["unused"], np.zeros(2))


def test_numpy_derives_no_gradient():
    assert get_backend("numpy").derivative(lambda x: x, X) is None


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            Sequential([Select("b"), Dense(1)]),
            "Select: expected a dict or a tuple of arrays with the entry 'b'",
        ),
        (Sequential([Select("a"), Columns([5]), Dense(1)]), "Columns: expected columns from 0 to 2"),
    ],
    ids=["an entry", "a column"],
)
def test_inputs_of_another_shape_are_named(layer, message):
    with pytest.raises(ValueError, match=message):
        check_gradients(layer, {"a": X}, backends=[])
