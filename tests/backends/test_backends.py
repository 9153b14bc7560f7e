"""Backends beyond the conformance checks: random arrays, two backends at once, devices."""

import pickle
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backends import Backend, PrecisionError, Tree, UnknownBackendError, get_backend, tree
from tests.support.helpers import run_python


def test_a_backend_describes_itself(backend):
    assert backend.name
    assert backend.device.startswith("cpu")
    assert backend.version[0].isdigit()
    assert repr(backend) == f"{type(backend).__name__}(device={backend.device!r})"


@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_arrays_of_the_namespace_go_to_numpy_too(name):
    backend = get_backend(name)
    np.testing.assert_array_equal(backend.to_numpy(backend.xp.ones((2, 1))), np.ones((2, 1)))


@pytest.mark.parametrize("dtype", ["float64", "int64", "uint64", "complex128"])
def test_jax_does_not_narrow_silently(dtype):
    with pytest.raises(PrecisionError, match=rf"{dtype} into .*with backend.precision\('float64'\)"):
        get_backend("jax").from_numpy({"x": np.ones(2, dtype)})


@pytest.mark.parametrize("order", ["C", "F"])
def test_jax_copies_a_large_unaligned_array(order):
    numbers = np.arange(2**20 + 16, dtype=np.float32)
    first = 1 if numbers.ctypes.data % 64 == 0 else 0  # not aligned
    x = numbers[first : first + 2**20].reshape((4, -1), order=order)
    expected = x.copy()
    array = get_backend("jax").from_numpy(x)
    x[...] = 0.0
    np.testing.assert_array_equal(np.asarray(array), expected, strict=True)


def test_the_error_of_an_unknown_precision_names_the_known_ones(backend):
    with pytest.raises(PrecisionError, match="'float32' or 'float64', got dtype 'double'"):
        backend.precision("double")


def test_no_global_flag_of_jax_is_changed(backend):
    with backend.precision("float64"), backend.precision("float32"):
        backend.from_numpy(np.ones(2))
    assert not jax.config.jax_enable_x64


@settings(max_examples=25)
@given(
    table=arrays(np.float32, (4, 2), elements=st.integers(-9, 9)),
    ids=st.lists(st.integers(0, 3), max_size=8),
    data=st.data(),
)
def test_scatter_add_accumulates_duplicates(backend, table, ids, data):
    rows = data.draw(arrays(np.float32, (len(ids), 2), elements=st.integers(-9, 9)))
    expected = table.copy()
    for index, row in zip(ids, rows, strict=True):
        expected[index] += row
    result = backend.scatter_add(*backend.from_numpy((table, np.array(ids, np.int32), rows)))
    np.testing.assert_array_equal(backend.to_numpy(result), expected, strict=True)


def test_the_error_of_two_lengths_shows_them(backend):
    xs = backend.from_numpy((np.zeros(2, np.float32), np.zeros(3, np.float32)))
    with pytest.raises(ValueError, match=r"scan: expected .* one common length .*\[\(2,\), \(3,\)\]"):
        backend.scan(lambda carry, x: (carry, x), None, xs)


def test_the_results_of_a_compiled_function_outlive_the_next_call(backend):
    """Results may be new arrays, one array twice, arguments, and views of arguments."""
    xp = backend.xp

    def function(x: Any, table: Any) -> Tree:
        y = xp.exp(x) + 1.0
        hidden = xp.maximum(y @ table, 0.0) * 2.0
        return {"x": x, "view": table.T, "twice": (y, y), "hidden": hidden[:1, ...], "ones": xp.ones(2)}

    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(2, 3, 3)).astype(np.float32) for _ in range(3)]
    arguments = [(backend.from_numpy(pair[0]), backend.from_numpy(pair[1])) for pair in inputs]
    compiled = backend.jit(function, *arguments[0])
    results = [compiled(*pair) for pair in arguments]
    for result, pair, argument in zip(results, inputs, arguments, strict=True):
        expected = backend.to_numpy(function(*backend.from_numpy((pair[0], pair[1]))))
        tree.map(
            lambda a, e: np.testing.assert_allclose(a, e, rtol=1e-6), backend.to_numpy(result), expected
        )
        np.testing.assert_array_equal(backend.to_numpy(argument), pair)


def test_jax_compiles_an_example_at_once_and_only_then():
    backend, traces = get_backend("jax"), []

    def traced(x: Any) -> Any:
        traces.append(x.shape)
        return x + 1.0

    x = backend.from_numpy(np.zeros(3, np.float32))
    compiled = backend.jit(traced, x)
    assert traces == [(3,)]
    compiled(compiled(x))
    assert traces == [(3,)]


@pytest.mark.parametrize(("name", "other_name"), [("numpy", "jax"), ("jax", "numpy")])
def test_two_backends_work_side_by_side(name, other_name):
    """Work on another backend, in another precision, changes no later result."""
    backend, other = get_backend(name), get_backend(other_name)
    x = np.linspace(0.0, 1.0, 5, dtype=np.float32)

    def in_two_parts(between: Callable[[], None]) -> np.ndarray:
        y = backend.xp.exp(backend.from_numpy(x))
        between()
        return backend.to_numpy(backend.xp.sum(y * y))

    def work() -> None:
        with other.precision("float64"):
            other.to_numpy(other.xp.sum(other.from_numpy(x.astype(np.float64))))

    np.testing.assert_array_equal(in_two_parts(work), in_two_parts(lambda: None), strict=True)


def test_jax_works_on_the_device_that_was_named():
    result = run_python(
        """
import numpy as np
from backends import get_backend, tree
from multinn import Dense, Dropout, MeanSquaredError, Sequential, Tanh, Trainer
backend = get_backend("jax:cpu:1")
model = Sequential([Dense(3), Tanh(), Dropout(0.5), Dense(1)])
trainer = Trainer(model, MeanSquaredError(), backend=backend)
x = np.ones((5, 2))
trainer.fit(x, x[:, :1], epochs=2, batch_size=2, validation_data=(x, x[:, :1]), progress=False)
trainer.predict(x)
leaves = tree.leaves((trainer.params, trainer.optimizer_state))
print(backend.device, {f"{d.platform}:{d.id}" for leaf in leaves for d in leaf.devices()})
""",
        environment={"XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
    )
    assert result.stderr == ""
    assert result.stdout == "cpu:1 {'cpu:1'}\n"


def test_an_incomplete_backend_cannot_be_constructed():
    class Half(Backend):
        name = "half"

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]


def test_a_backend_named_by_its_class_can_be_pickled():
    backend = get_backend("tests.support.strict_backend:StrictBackend")
    assert pickle.loads(pickle.dumps(backend)) == get_backend(
        "tests.support.strict_backend:StrictBackend:cpu"
    )


@pytest.mark.parametrize("name", ["json:cpu", ":Class", "my-package.module:Class", "json:No:cpu"])
def test_a_name_without_a_class_is_an_unknown_backend(name):
    with pytest.raises(UnknownBackendError, match="expected one of numpy"):
        get_backend(name)
