"""Compiled NumPy packs arrays that are updated alike, and gives the bits of eager NumPy."""

import operator
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import Tree, get_backend, tree
from backends.numpy_backend import NumpyBackend
from tests.support.compiled_numpy import assert_compiles, draw_array

GENERATOR = np.random.default_rng(0)
PARAMS = {
    "W1": GENERATOR.normal(size=(3, 4)),
    "b1": GENERATOR.normal(size=4),
    "W2": GENERATOR.normal(size=(4, 4)),
    "b2": GENERATOR.normal(size=4),
}
XS = GENERATOR.normal(size=(4, 4))
ROW, ONE, MASK = np.arange(4.0), np.full((1, 1), 0.5), np.array([True, False, True, True])


def update(seed: int, p: Any, m: Any, g: Any, shared: Any) -> tuple[Any, Any]:
    """Return the next p and m, by the same random arithmetic for each leaf of a carry."""
    r = random.Random(seed)
    pool = [p, m, g]
    for _ in range(r.randint(1, 6)):
        x, y = r.choice(pool), r.choice([*pool, shared, 0.5, -0.0, np.float32(0.25)])
        pool.append(r.choice([operator.add, operator.sub, operator.mul, np.maximum])(x, y))
    return r.choice(pool), r.choice(pool[1:])


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from([(3,), (1,), (2, 3), (4, 1), (2, 1, 2), (1, 1), (0, 2), ()]), max_size=5),
    st.sampled_from(["C", "C", "F", "strided"]),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["nothing", "a gradient", "a parameter", "a later parameter"]),
    st.booleans(),
)
def test_arrays_that_are_updated_alike_get_the_bits_of_eager_numpy(
    shapes, order, seed, also_read, has_an_axis
):
    """Updates as by optimizers, with gradients that depend on all parameters."""
    generator = np.random.default_rng(seed)
    params, moments = (
        {str(i): draw_array(generator, shape, order=order) for i, shape in enumerate(shapes)}
        for _ in range(2)
    )
    xs = draw_array(generator, (4, 3))

    def step(xp: Any, carry: Tree, x: Any) -> tuple[Tree, Any]:
        params, moments, count = carry
        total = xp.sum(x)
        for leaf in tree.leaves(params):
            total = total + xp.sum(leaf) * xp.max(x)
        gradients = tree.map(lambda leaf: xp.cumulative_sum(xp.reshape(leaf, (-1,))), params)
        gradients = tree.map(lambda g, leaf: xp.reshape(g, leaf.shape) * total, gradients, params)
        rate = xp.reshape(total, (1,)) if has_an_axis and () not in shapes else total
        both = {
            name: update(seed, params[name], moments[name], gradients[name], rate) for name in params
        }
        after = {name: pair[0] for name, pair in both.items()}
        y = {
            "nothing": x,
            "a gradient": [xp.sum(g) for g in gradients.values()],
            "a parameter": [leaf + 1.0 for leaf in params.values()],
            "a later parameter": [xp.sum(leaf) for leaf in after.values()],
        }[also_read]
        return (after, {name: pair[1] for name, pair in both.items()}, count + 1), y

    def run(backend: NumpyBackend, carry: Tree, xs: Any) -> Tree:
        def body(carry: Tree, x: Any) -> tuple[Tree, Any]:
            return step(backend.xp, carry, x)

        def epoch(carry: Tree, xs: Any) -> tuple[Tree, Any]:
            carry, ys = backend.scan(body, carry, xs)
            carry, y = body(carry, xs[0, ...]) if seed % 2 else (carry, None)
            return carry, (ys, y)

        return backend.scan(epoch, carry, backend.xp.stack([xs, xs]))

    assert_compiles(run, ((params, moments, np.zeros(1, np.int32)), xs))


def by_matrix(name: str, p: Any) -> Any:
    return 0.99 * p if name.startswith("W") else p


def frozen(name: str, p: Any) -> Any:
    return 0.0 * p if name == "b1" else p


def in_columns(xp: Any, p: Any) -> Any:
    """Return a gradient that NumPy computes, and sums, column by column."""
    return xp.clip(xp.matmul(XS.T, p.T).T, -1.0, 1.0) if p.ndim == 2 else xp.clip(p, -1.0, 1.0)


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize(
    "updated",
    [
        lambda xp, name, p, g, x: by_matrix(name, p) - 0.1 * g,
        lambda xp, name, p, g, x: p - 0.1 * frozen(name, g),
        lambda xp, name, p, g, x: p - x * g,
        lambda xp, name, p, g, x: p * ROW - g,
        lambda xp, name, p, g, x: p * ONE - g if p.ndim == 2 else p,
        lambda xp, name, p, g, x: (p - g) * MASK,
        lambda xp, name, p, g, x: p - np.float64(0.1) * g,
    ],
    ids=[
        "decay of matrices",
        "a frozen leaf",
        "a shared row",
        "a constant row",
        "one number",
        "a mask",
        "a scalar",
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_leaves_may_be_updated_differently(updated, length, dtype):
    def run(backend: NumpyBackend, carry: Tree, xs: Any) -> Tree:
        xp = backend.xp

        def step(carry: Tree, x: Any) -> tuple[Tree, Any]:
            params, moments = carry
            gradients = tree.map(lambda p: xp.cumulative_sum(p, axis=0) * 0.1, params)
            moments = tree.map(lambda m, g: 0.9 * m + g, moments, gradients)
            after = {name: updated(xp, name, p, moments[name], x) for name, p in params.items()}
            return (tree.map(lambda p: xp.astype(p, x.dtype), after), moments), 1.0

        return backend.scan(step, carry, xs)

    params = {name: p.astype(dtype) for name, p in PARAMS.items()}
    xs = XS[:length].astype(dtype)
    assert_compiles(run, ((params, tree.map(np.zeros_like, params)), xs))


def test_gradients_in_column_order_are_summed_in_that_order():
    def run(backend: NumpyBackend, carry: Tree, xs: Any) -> Tree:
        xp = backend.xp

        def step(carry: Tree, x: Any) -> tuple[Tree, Any]:
            gradients = tree.map(lambda p: in_columns(xp, p), carry)
            total = sum(xp.sum(g) for g in tree.leaves(gradients))
            return tree.map(lambda p, g: p - 0.01 * total * g, carry, gradients), total

        return backend.scan(step, carry, xs)

    carry = [GENERATOR.normal(size=(n, 4)) for n in (37, 38)]
    assert_compiles(run, (carry, XS))


def test_a_gradient_may_be_packed_into_two_vectors():
    def run(backend: NumpyBackend, carry: Tree, xs: Any) -> Tree:
        def step(carry: Tree, x: Any) -> tuple[Tree, Any]:
            params, moments = carry
            gradients = [backend.xp.cumulative_sum(p * x) for p in params]
            moments = [0.9 * m + g for m, g in zip(moments, gradients, strict=True)]
            updated = [p - 0.1 * g for p, g in zip(params[:2], gradients[:2], strict=True)]
            return ([*updated, params[2]], moments), None

        return backend.scan(step, carry, xs)

    rows = [row + 0.0 for row in XS[:3]]
    assert_compiles(run, ((rows, rows), XS))


def test_arrays_may_be_updated_in_another_precision():
    def run(backend: NumpyBackend, carry: Tree, rates: Any) -> Tree:
        def step(carry: Tree, rate: Any) -> tuple[Tree, Any]:
            return tree.map(lambda c: np.multiply(c, rate, dtype=np.float32), carry), None

        return backend.scan(step, carry, rates)

    assert_compiles(run, ([row.astype(np.float32) for row in XS], XS[:, :1]))


def test_a_long_chain_of_calls_in_a_loop():
    def run(backend: NumpyBackend, carry: Tree, xs: Any) -> Tree:
        def step(carry: Tree, x: Any) -> tuple[Tree, Any]:
            for _ in range(500):
                carry = tree.map(lambda c: c + 0.001 * c, carry)
            return carry, x

        return backend.scan(step, carry, xs)

    assert_compiles(run, ([XS[0], XS[1]], XS))


def test_a_second_loop_may_start_with_a_part_of_the_first_carry():
    def run(backend: NumpyBackend, carry: Tree, xs: Any) -> Tree:
        def step(carry: Tree, x: Any) -> tuple[Tree, Any]:
            return tree.map(lambda c: c * 0.5 + 1.0, carry), None

        first, _ = backend.scan(step, carry, xs)
        second, _ = backend.scan(step, first[:3], xs)
        return first, second

    assert_compiles(run, ([row + 0.0 for row in XS], XS))


def test_a_loop_over_constant_rows():
    rows = np.array([[0, 1], [2, 0]])

    def run(backend: NumpyBackend, table: Any) -> Tree:
        def step(total: Any, ids: Any) -> tuple[Any, Any]:
            return total + backend.xp.sum(backend.xp.take(table, ids, axis=0)), None

        return backend.scan(step, backend.xp.sum(table), rows)

    assert_compiles(run, (XS,))


def test_repeated_arrays_are_not_written_into():
    def run(backend: NumpyBackend, x: Any) -> Tree:
        repeated = backend.xp.broadcast_to(x * 2.0, (3, 4)) + 1.0
        return repeated, backend.xp.broadcast_to(x * 3.0, (4,)) + 1.0

    assert_compiles(run, (XS[0],))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_first_rounds_may_change_the_order_of_axes(count):
    """A carry in C order leaves the first round in Fortran order."""
    x = np.arange(27, dtype=np.float32).reshape(3, 3, 3) / 8
    arguments = (np.eye(3, dtype=np.float32), x, np.array(count, np.int32))

    def run(backend):
        def step(carry, x):
            return backend.xp.matmul(x, carry.T).T, backend.xp.sum(carry, axis=0)

        first = backend.jit(lambda *arguments: backend.scan_first(step, *arguments), *arguments)
        carry, ys = first(*arguments)
        return carry, ys[:count]

    compiled, eager = run(get_backend("numpy")), run(get_backend("numpy:eager"))
    for one, other in zip(compiled, eager, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
    assert compiled[0].strides == eager[0].strides


def test_a_stacked_result_may_be_read_again_after_it_is_computed():
    def run(backend: NumpyBackend, rows: Any) -> Tree:
        xp = backend.xp

        def step(carry: Any, row: Any) -> tuple[Any, Any]:
            new = carry + row[:, None] * row
            later = xp.maximum(new, 0.5) * new
            after = new - later
            return after, {"twice": (new, new), "view": new[0, :], "later": later, "carry": after}

        return backend.scan(step, xp.zeros((4, 4)), rows)

    assert_compiles(run, (XS,))
