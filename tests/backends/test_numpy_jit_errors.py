"""Functions that cannot be compiled for NumPy: they need numbers, write in place, or leak arrays."""

import math
from typing import Any

import numpy as np
import pytest

from tests.support.compiled_numpy import COMPILED, ROWS, A, assert_same_bits


def branch(x: Any) -> Any:
    return x if x[0] > 0 else -x


@pytest.mark.parametrize(
    "function",
    [
        *(branch, lambda x: x * float(x[0]), lambda x: [row + 1 for row in x], lambda x: 1.0 in x),
        *(
            lambda x: f"{x[0]:.2f}",
            lambda x: np.asarray(x),
            lambda x: np.array([x, x]),
            lambda x: round(x),
        ),
        *(
            lambda x: np.allclose(x, x),
            lambda x: range(x[0]),
            lambda x: math.exp(x[0]),
            lambda x: [x].index(A),
        ),
    ],
)
def test_python_cannot_use_numbers_while_compiling(function):
    with pytest.raises(TypeError, match=r"no numbers yet.*'numpy:eager'|no numbers yet, so it can call"):
        COMPILED.jit(function, A)


def add_in_place(x: Any) -> Any:
    y = x + 1.0
    y += x
    return y


def assign(x: Any) -> Any:
    x[0] = 1.0
    return x


@pytest.mark.parametrize(
    "function",
    [
        *(add_in_place, assign, lambda x: np.add(x, 1.0, out=np.zeros(3))),
        *(lambda x: np.add.at(x, 0, 1.0), lambda x: np.sum(x, out=np.zeros(()))),
    ],
)
def test_a_write_in_place_raises(function):
    before = A.copy()
    with pytest.raises(TypeError, match="writes into an array"):
        COMPILED.jit(function, A)
    assert_same_bits(A, before)


@pytest.mark.parametrize("function", [lambda x: np.copyto(x, 0.0), lambda x: np.put(x, [0], [9.0])])
def test_numpy_cannot_write_into_an_argument(function):
    before = A.copy()
    with pytest.raises((ValueError, TypeError)):
        COMPILED.jit(function, A)
    assert_same_bits(A, before)


@pytest.mark.parametrize(
    "function",
    [
        *(lambda x: x[x > 1], np.nonzero, np.unique, lambda x: np.where(x > 1)),
        lambda x: np.repeat(x, np.astype(x, np.int32)),
    ],
)
def test_shapes_cannot_depend_on_numbers(function):
    with pytest.raises(TypeError, match="shape of the result depends on numbers"):
        COMPILED.jit(function, A)


def test_a_result_of_another_shape_raises():
    compiled = COMPILED.jit(np.union1d, A, A)
    with pytest.raises(TypeError, match=r"expected an array of shape \(3,\).*got \(6,\).*'numpy:eager'"):
        compiled(A, A + 3.0)


def test_an_array_used_outside_raises():
    kept: list[Any] = []
    COMPILED.jit(lambda x: kept.append(x + 1.0), A)
    with pytest.raises(TypeError, match="used outside"):
        COMPILED.jit(lambda x: x + kept[0], A)
    with pytest.raises(TypeError, match="used outside"):
        kept[0] + 1.0

    def leaks(x: Any) -> Any:
        COMPILED.scan(lambda c, x: (c, kept.append(c * x)), x[0, ...], x)
        return kept[-1]

    with pytest.raises(TypeError, match="used outside"):
        COMPILED.jit(leaks, A)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"x": A.astype(np.float64)}, r"argument 0\.x: .*float32 \(3,\), got an array of float64"),
        ({"x": A[:2]}, r"argument 0\.x: .*float32 \(3,\), got an array of float32 \(2,\)"),
        ({"x": None}, r"argument 0\.x: .*, got nothing"),
        ({"x": A, "y": A}, r"argument 0\.y: this function is compiled for nothing"),
        ({"x": 1.0}, r"argument 0\.x: a compiled function takes NumPy arrays of numbers, got float"),
        (A, "argument 0: .*nothing"),
    ],
)
def test_arguments_of_another_kind_raise(argument, message):
    compiled = COMPILED.jit(lambda tree: tree["x"] + 1.0, {"x": A})
    with pytest.raises(TypeError, match=message):
        compiled(argument)


@pytest.mark.parametrize("example", [1.0, 2, np.array([None]), np.ma.array([1.0])])
def test_only_arrays_of_numbers_may_be_arguments(example):
    with pytest.raises(TypeError, match="takes NumPy arrays of numbers"):
        COMPILED.jit(lambda x: x, example)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (lambda c, x: (np.astype(c, np.float64), x), TypeError),
        (lambda c, x: (np.sum(c), x), TypeError),
        (lambda c, x: (1.0, x), TypeError),
        (lambda c, x: (None, x), (TypeError, ValueError)),
        (lambda c, x: ((c, c), x), (TypeError, ValueError)),
    ],
)
def test_a_carry_keeps_its_kind(step, error):
    with pytest.raises(error):
        COMPILED.jit(lambda c, xs: COMPILED.scan(step, c, xs), A, ROWS)
