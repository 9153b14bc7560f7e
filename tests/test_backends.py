"""The contract of a backend: every member does the same on each of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backends import Backend, PrecisionError, Tree, get_backend, tree
from tests.helpers import run_python

LEAVES = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "int32": np.array([-(2**31), 0, 2**31 - 1], np.int32),
    "uint8": np.arange(4, dtype=np.uint8),
    "bool": np.array([[True], [False]]),
    "no axes": np.array(1.5, np.float32),
    "no axes, bool": np.array(True),
    "empty": np.zeros((0, 3), np.float32),
    "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "every other": np.arange(10, dtype=np.float32)[::2],
    "reversed": np.arange(5, dtype=np.int32)[::-1],
    "broadcast": np.broadcast_to(np.float32(2), (3, 2)),
    "read-only": np.frombuffer(np.arange(3, dtype=np.float32).tobytes(), np.float32),
}


class Pair(NamedTuple):
    first: Any
    second: Any


def assert_trees_equal(actual: Tree, expected: Tree) -> None:
    """Compare the NumPy leaves: values, shapes and dtypes; and the structure."""
    tree.map(lambda a, e: np.testing.assert_array_equal(a, e, strict=True), actual, expected)


def test_a_backend_says_what_it_is(backend):
    assert backend.name
    assert backend.device.startswith("cpu")
    assert backend.version[0].isdigit()
    assert repr(backend) == f"{type(backend).__name__}(device={backend.device!r})"


@pytest.mark.parametrize("leaf", LEAVES.values(), ids=LEAVES.keys())
def test_a_round_trip_keeps_values_shape_and_dtype(backend, leaf):
    back = backend.to_numpy(backend.from_numpy(leaf))
    assert isinstance(back, np.ndarray)
    np.testing.assert_array_equal(back, leaf, strict=True)


@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_a_round_trip_keeps_64_bits_where_they_are_asked_for(backend, dtype):
    leaf = np.array([2**40 + 1, -3], dtype)
    with backend.precision("float64"):
        back = backend.to_numpy(backend.from_numpy(leaf))
    np.testing.assert_array_equal(back, leaf, strict=True)


def test_a_round_trip_keeps_the_tree(backend):
    values = {"a": (LEAVES["float32"], None), "b": [Pair(LEAVES["bool"], {})]}
    back = backend.to_numpy(backend.from_numpy(values))
    assert isinstance(back["b"][0], Pair)
    assert_trees_equal(back, values)


@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_arrays_of_the_namespace_go_to_numpy_too(name):
    backend = get_backend(name)
    np.testing.assert_array_equal(backend.to_numpy(backend.xp.ones((2, 1))), np.ones((2, 1)))


@pytest.mark.parametrize("dtype", ["float64", "int64", "uint64", "complex128"])
def test_jax_does_not_narrow_in_silence(dtype):
    with pytest.raises(PrecisionError, match=rf"{dtype} into .*with backend.precision\('float64'\)"):
        get_backend("jax").from_numpy({"x": np.ones(2, dtype)})


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "double", ""])
def test_other_precisions_are_refused(backend, dtype):
    with pytest.raises(PrecisionError, match=f"'float32' or 'float64', got dtype '{dtype}'"):
        backend.precision(dtype)


def test_float64_is_computed_in_float64(backend):
    with backend.precision("float64"):
        x = backend.from_numpy(np.array([1.0, 1e-15]))
        total = backend.to_numpy(backend.jit(backend.xp.sum)(x))
    assert total.dtype == np.float64
    assert total == 1.0 + 1e-15


def test_float32_stays_float32_where_float64_can_be_had(backend):
    with backend.precision("float64"):
        x = backend.from_numpy(np.ones(3, np.float32))
        assert backend.to_numpy(2.0 * x + 1.0).dtype == np.float32


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


@pytest.mark.parametrize("row_shape", [(), (3,), (2, 3)])
def test_scatter_add_takes_rows_of_any_shape(backend, row_shape):
    ids = np.array([1, 1, 0], np.int32)
    table, rows = np.ones((2, *row_shape), np.float32), np.ones((3, *row_shape), np.float32)
    result = backend.jit(backend.scatter_add)(*backend.from_numpy((table, ids, rows)))
    expected = np.array([2, 3], np.float32).reshape(2, *(1 for _ in row_shape)) * table
    np.testing.assert_array_equal(backend.to_numpy(result), expected, strict=True)


def test_scatter_add_leaves_the_table_as_it_was(backend):
    table, ids, rows = backend.from_numpy(
        (np.zeros((2, 1), np.float32), np.zeros(1, np.int32), np.ones((1, 1), np.float32))
    )
    backend.scatter_add(table, ids, rows)
    assert not backend.to_numpy(table).any()


def rich_step(carry: Tree, x: Tree) -> tuple[Tree, Tree]:
    """A step whose carry, x and y are trees of all kinds."""
    total = carry["total"] + x[0]
    scaled = carry["pair"].first * x[1]["scale"]
    y = {"pair": Pair(total, (scaled, None)), "nothing": (), "sum": total + scaled}
    return {"total": total, "pair": Pair(scaled, None)}, y


RICH_CARRY = {"total": np.zeros(2, np.float32), "pair": Pair(np.array(1.0, np.float32), None)}


@settings(max_examples=25)
@given(arrays(np.float32, st.tuples(st.integers(1, 4), st.just(2)), elements=st.integers(-5, 5)))
def test_scan_is_a_loop(backend, x):
    xs = (x, {"scale": x[:, 0], "nothing": None})
    carry, parts = RICH_CARRY, []
    for i in range(len(x)):
        carry, y = rich_step(carry, tree.map(lambda leaf, i=i: leaf[i], xs))
        parts.append(y)
    expected = carry, tree.map(lambda *leaves: np.stack(leaves), *parts)
    actual = backend.scan(rich_step, *backend.from_numpy((RICH_CARRY, xs)))
    assert_trees_equal(backend.to_numpy(actual), tree.map(np.asarray, expected))


def test_scan_within_scan_within_jit(backend):
    def cumulative(carry: Any, row: Any) -> tuple[Any, Any]:
        return backend.scan(lambda c, x: (c + x, c + x), carry, row)

    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    start = np.array(0.0, np.float32)
    run = backend.jit(lambda carry, xs: backend.scan(cumulative, carry, xs))
    total, sums = backend.to_numpy(run(*backend.from_numpy((start, x))))
    assert total == x.sum()
    np.testing.assert_array_equal(sums, np.cumsum(x).reshape(3, 4))


def test_scan_may_report_nothing(backend):
    carry, x = backend.from_numpy((np.array(1.0, np.float32), np.ones(3, np.float32)))
    carry, ys = backend.scan(lambda carry, x: (carry + x, None), carry, x)
    assert backend.to_numpy(carry) == 4.0
    assert ys is None


@pytest.mark.parametrize(
    "xs",
    [
        {},
        None,
        (np.zeros(2, np.float32), np.zeros(3, np.float32)),
        np.zeros((0, 2), np.float32),
        np.array(1.0, np.float32),
    ],
    ids=["no-leaves", "none", "two-lengths", "length-0", "no-axes"],
)
def test_scan_refuses_what_has_no_one_length(backend, xs):
    carry, xs = backend.from_numpy((np.array(1.0, np.float32), xs))
    with pytest.raises(ValueError, match="scan needs"):
        backend.scan(lambda carry, x: (carry, x), carry, xs)


def affine(x: Any, params: Tree) -> Tree:
    return {"y": x @ params["W"] + params["b"], "none": None}


def test_jit_changes_no_result(backend):
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    params = {"W": np.ones((2, 2), np.float32), "b": np.array([1, 2], np.float32)}
    arguments = backend.from_numpy((x, params))
    expected = backend.to_numpy(affine(*arguments))
    assert_trees_equal(backend.to_numpy(backend.jit(affine)(*arguments)), expected)
    assert_trees_equal(backend.to_numpy(backend.jit(affine, *arguments)(*arguments)), expected)


@pytest.mark.parametrize("with_example", [True, False])
def test_a_compiled_function_prints_no_floating_point_warnings(backend, with_example):
    xp = backend.xp
    x = backend.from_numpy(np.array([0.0, -1.0, 1e30], np.float32))
    compiled = backend.jit(
        lambda x: (1.0 / x, xp.log(x), xp.exp(x), x * x, x * 1e-30), *([x] if with_example else [])
    )
    inverse, logarithm, exponential, square, _ = backend.to_numpy(compiled(x))
    assert inverse[0] == np.inf
    assert np.isnan(logarithm[1])
    assert exponential[2] == square[2] == np.inf


def test_the_results_of_a_compiled_function_outlive_the_next_call(backend):
    """Whatever it returns: new arrays, one of them twice, its arguments, and views of them."""
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


def test_a_compiled_function_may_be_called_from_several_threads(backend):
    def function(x: Any) -> Any:
        for _ in range(20):
            x = backend.xp.tanh(x @ x) + x
        return x

    inputs = [np.full((30, 30), 0.01 * i, np.float32) for i in range(4)]
    arguments = [backend.from_numpy(x) for x in inputs]
    compiled = backend.jit(function, arguments[0])
    alone = [backend.to_numpy(compiled(x)) for x in arguments]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(compiled, arguments * 10))
    for index, result in enumerate(together):
        np.testing.assert_array_equal(backend.to_numpy(result), alone[index % 4])


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


def test_sync_returns_the_tree(backend):
    values = backend.from_numpy({"a": (np.ones(2, np.float32), None)})
    assert_trees_equal(backend.to_numpy(backend.sync(values)), {"a": (np.ones(2, np.float32), None)})


@pytest.mark.parametrize(("name", "other_name"), [("numpy", "jax"), ("jax", "numpy")])
def test_two_backends_work_side_by_side(name, other_name):
    """Work on another backend, in another precision, changes nothing that comes after it."""
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


def test_the_contract_cannot_be_half_kept():
    class Half(Backend):
        name = "half"

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]
