"""Functions that the standard lacks, against SciPy, and at the ends of the range."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.special
from scipy.stats import norm

from backends import Backend
from multinn import functional

Function = Callable[[Backend, Any], Any]

GRID = np.concatenate([np.linspace(-37.0, 37.0, 4001), [-1e-300, -0.0, 1e-300]])
WIDE = np.concatenate([GRID, [-700.0, -100.0, 100.0, 700.0]])
ROWS = np.random.default_rng(0).normal(size=(400, 7)) * np.geomspace(0.01, 100.0, 400)[:, None]
HUGE = np.array([-3e38, -1e30, -1000.0, 1000.0, 1e30, 3e38], np.float32)


class Case(NamedTuple):
    """A function, SciPy's counterpart, the inputs, and the allowed errors in units of the precision.

    The allowed relative error grows where an exponential amplifies the rounding of its argument. The
    allowed absolute error is the rounding error of a sum near 1.
    """

    function: Function
    reference: Callable[[np.ndarray], np.ndarray]
    x: np.ndarray
    units: Callable[[np.ndarray], Any]
    absolute: float = 0.0


def below_largest(x: np.ndarray) -> np.ndarray:
    return x.max(axis=-1, keepdims=True) - x


CASES = {
    "sigmoid": Case(functional.sigmoid, scipy.special.expit, WIDE, lambda x: 4.0),
    "softplus": Case(functional.softplus, lambda x: np.logaddexp(0.0, x), WIDE, lambda x: 4.0),
    "log_sigmoid": Case(functional.log_sigmoid, scipy.special.log_expit, WIDE, lambda x: 4.0),
    "log_factorial": Case(
        functional.log_factorial,
        lambda x: scipy.special.gammaln(x + 1.0),
        np.concatenate([np.linspace(0.0, 12.0, 1201), np.geomspace(12.0, 1e15, 200)]),
        lambda x: 4.0,
        absolute=64.0,
    ),
    "softmax": Case(
        functional.softmax,
        lambda x: scipy.special.softmax(x, axis=-1),
        ROWS,
        lambda x: 8.0 + below_largest(x),
    ),
    "log_softmax": Case(
        functional.log_softmax,
        lambda x: scipy.special.log_softmax(x, axis=-1),
        ROWS,
        lambda x: 4.0,
        absolute=2.0,
    ),
    "logsumexp": Case(
        functional.logsumexp,
        lambda x: scipy.special.logsumexp(x, axis=-1),
        ROWS,
        lambda x: 4.0,
        absolute=2.0,
    ),
    "normal_cdf": Case(functional.normal_cdf, scipy.special.ndtr, GRID, lambda x: 20.0 + x * x),
    "normal_pdf": Case(functional.normal_pdf, norm.pdf, GRID, lambda x: 4.0 + x * x),
}


HIDDEN = np.random.default_rng(1).random(ROWS.shape) < 0.5
HIDDEN[::7] = True


@pytest.mark.parametrize("largest", [1.0, 1e36])
def test_masked_softmax_is_the_softmax_of_the_entries_that_are_not_hidden(backend, largest):
    x = (ROWS * (largest / np.abs(ROWS).max())).astype(np.float32)
    hidden = backend.from_numpy(HIDDEN)
    x[HIDDEN] = np.resize([np.inf, -np.inf, np.nan, 3e38], HIDDEN.sum())
    actual = on(backend, lambda backend, x: functional.masked_softmax(backend, x, hidden), x)
    for row, of_row, is_hidden in zip(actual, x.astype(np.float64), HIDDEN, strict=True):
        expected = scipy.special.softmax(of_row[~is_hidden]) if not is_hidden.all() else []
        np.testing.assert_allclose(row[~is_hidden], expected, rtol=1e-5)
        np.testing.assert_array_equal(row[is_hidden], 0.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_values_are_scipys(backend, case, dtype):
    x = case.x.astype(dtype)
    with backend.precision(dtype):
        actual = on(backend, case.function, x)
    assert actual.dtype == dtype
    expected = case.reference(x.astype(np.float64))
    precision, smallest = np.finfo(dtype).eps, np.finfo(dtype).tiny  # XLA rounds below that to 0
    allowed = precision * (case.units(x) * np.abs(expected) + case.absolute) + smallest
    error = np.abs(actual - expected)
    worst = np.argmax(error / allowed)
    assert (error <= allowed).all(), f"{actual.flat[worst]} for {expected.flat[worst]}"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (functional.sigmoid, [0, 0, 0, 1, 1, 1]),
        (functional.log_sigmoid, [-3e38, -1e30, -1000, 0, 0, 0]),
        (functional.softplus, [0, 0, 0, 1000, 1e30, 3e38]),
        (functional.normal_cdf, [0, 0, 0, 1, 1, 1]),
        (functional.normal_pdf, [0, 0, 0, 0, 0, 0]),
        (functional.softmax, [0, 0, 0, 0, 0, 1]),
        (functional.log_softmax, [-np.inf, -3e38, -3e38, -3e38, -3e38, 0]),
        (functional.logsumexp, 3e38),
    ],
)
def test_huge_numbers_overflow_only_where_the_result_does(backend, function, expected):
    smallest = np.finfo(np.float32).tiny
    np.testing.assert_allclose(on(backend, function, HUGE), expected, rtol=1e-7, atol=smallest)


def test_an_offset_common_to_all_logits_costs_no_digits(backend):
    """At 10⁶, float32 resolves 1/16: the offset has to be subtracted before anything else."""
    x = np.array([[-1.0, 0.0, 2.0]], np.float32)
    for function in (functional.softmax, functional.log_softmax):
        near, far = on(backend, function, x), on(backend, function, x + 1e6)
        np.testing.assert_allclose(far, near, rtol=1e-6)


def test_one_hot(backend):
    labels, like = backend.from_numpy((np.array([[0, 2], [1, 1]], np.int32), np.zeros(1, np.float32)))
    rows = backend.to_numpy(functional.one_hot(backend, labels, 3, like))
    np.testing.assert_array_equal(rows, np.eye(3, dtype=np.float32)[[[0, 2], [1, 1]]], strict=True)


def test_shares_give_the_mean_of_the_counted_values(backend):
    counted = np.array([[True, False, True], [False, False, False], [True, True, True]])
    arrays = backend.from_numpy((counted, np.zeros(1, np.float32)))
    shares = backend.to_numpy(functional.shares(backend, *arrays))
    expected = np.array([[0.5, 0.0, 0.5], [0.0] * 3, [1.0 / 3.0] * 3], np.float32)
    np.testing.assert_array_equal(shares, expected, strict=True)


@pytest.mark.parametrize("x", [np.zeros((2, 3, 4), np.float32), np.zeros((1, 1), np.float32)])
def test_they_reduce_the_last_axis(backend, x):
    n = x.shape[-1]
    np.testing.assert_allclose(on(backend, functional.softmax, x), np.full(x.shape, 1.0 / n))
    sums = on(backend, functional.logsumexp, x)
    np.testing.assert_allclose(sums, np.full(x.shape[:-1], np.log(n)), rtol=1e-6)


def on(backend: Backend, function: Function, x: np.ndarray) -> np.ndarray:
    """Compile the function, call it, and return the result as a NumPy array."""
    result = backend.jit(lambda x: function(backend, x))(backend.from_numpy(x))
    host: np.ndarray = backend.to_numpy(result)
    return host
