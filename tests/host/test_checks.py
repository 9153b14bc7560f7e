"""Checks of data on the host: what is accepted, and one clear error for the rest."""

import math
import re
from typing import Any

import numpy as np
import pytest

from multinn.host.checks import check_finite, check_inputs, check_shape, check_targets, check_weights
from tests.support.memory import peak_memory

NAN, INF = math.nan, math.inf
OBJECTS: list[tuple[Any, str]] = [
    ([["a", "b"]], "x: expected numbers, got an array of dtype <U1"),
    ([[b"a"]], r"x: expected numbers, got an array of dtype \|S1"),
    ([[None, 1.0]], "x: expected numbers, got an array of dtype object"),
    ([[1j]], "x: expected numbers, got an array of dtype complex128"),
    (np.array([["2020-01-01"]], "datetime64[D]"), "x: expected numbers"),
    (None, "x: expected numbers, got an array of dtype object"),
]


@pytest.mark.parametrize(
    "x",
    [
        [[1, 2], [3, 4]],
        ((1.0, 2.0), (3.0, 4.0)),
        np.array([[1, 2], [3, 4]], np.uint64),
        np.array([[1, 2], [3, 4]], np.float16),
        np.array([[1, 2], [3, 4]], ">f8"),
        np.array([[1, 3], [2, 4]], np.int64).T,
    ],
    ids=["lists", "tuples", "uint64", "float16", "big-endian", "transposed"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_and_large_integers_become_floats_of_the_dtype(x, dtype):
    checked = check_inputs(x, dtype)
    np.testing.assert_array_equal(checked, np.array([[1, 2], [3, 4]], dtype), strict=True)
    assert checked.dtype.isnative


@pytest.mark.parametrize("kind", ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32"])
def test_booleans_and_small_integers_are_not_converted(kind):
    x = np.array([[0, 1], [1, 0]], kind)
    assert check_inputs(x, "float32") is x


def test_integers_in_the_other_byte_order_become_native():
    x = np.array([[1, 2], [3, 4]], ">i2")
    np.testing.assert_array_equal(check_inputs(x, "float32"), x.astype(np.int16), strict=True)


@pytest.mark.parametrize(("x", "message"), OBJECTS)
def test_data_other_than_numbers_are_refused(x, message):
    with pytest.raises(TypeError, match=message):
        check_inputs(x, "float32")


@pytest.mark.parametrize("check", [check_inputs, check_targets, check_weights])
def test_ragged_rows_are_refused(check):
    arguments = {check_inputs: ("float32",), check_targets: (2,), check_weights: (2, "float32")}[check]
    with pytest.raises(ValueError, match="got a list of 2: list of length 2, list of length 1"):
        check([[1.0, 2.0], [3.0]], *arguments)


def test_one_axis_is_refused_with_both_remedies():
    message = (
        r"x: expected an array of shape \(examples, features, ...\), got \(3,\); .*reshape\(-1, 1\)"
    )
    with pytest.raises(ValueError, match=message):
        check_inputs([1.0, 2.0, 3.0], "float32")


@pytest.mark.parametrize("x", [3.0, [], np.zeros((0, 3)), np.zeros((3, 0)), np.zeros((2, 0, 2))])
def test_data_without_examples_or_features_are_refused(x):
    with pytest.raises(ValueError, match="x: expected"):
        check_inputs(x, "float32")


@pytest.mark.parametrize("wrong", [NAN, INF, -INF])
@pytest.mark.parametrize(
    ("shape", "place", "where"),
    [
        ((4,), (2,), "row 2"),
        ((4, 3), (2, 1), "row 2, column 1"),
        ((4, 3, 2), (2, 1, 0), "row 2, index 1, index 0"),
    ],
)
def test_nan_and_infinity_are_reported_with_their_place(shape, place, where, wrong):
    array = np.zeros(shape, np.float32)
    array[place] = wrong
    with pytest.raises(ValueError, match=f"data: expected finite numbers, got {wrong} at {where};"):
        check_finite(array, "data")


@pytest.mark.parametrize("shape", [(600_000,), (3000, 400), (3, 500_000)])
def test_the_place_is_right_in_data_that_are_checked_in_chunks(shape):
    array = np.zeros(shape, np.float32)
    place = tuple(length - 1 for length in shape)
    array[place] = NAN
    where = f"row {place[0]}" + "".join(f", column {i}" for i in place[1:])
    with pytest.raises(ValueError, match=f"got nan at {where};"):
        check_finite(array, "data")


def test_a_check_needs_little_memory():
    """A mask as large as the data would be 4 MiB here."""
    x = np.zeros((2048, 2048), np.float32)
    assert peak_memory(lambda: check_inputs(x, "float32")) < 2**20


def test_the_first_of_several_is_reported():
    x = np.zeros((4, 3))
    x[3, 0] = x[1, 2] = NAN
    with pytest.raises(ValueError, match="at row 1, column 2"):
        check_inputs(x, "float32")


def test_a_number_too_large_for_the_dtype_is_refused():
    with pytest.raises(ValueError, match=r"got inf at row 0, column 1; .* too large for float32"):
        check_inputs([[0.0, 1e300]], "float32")
    assert check_inputs([[0.0, 1e300]], "float64")[0, 1] == 1e300


@pytest.mark.parametrize(
    "y", [np.array([0, 1]), np.array([True, False]), np.array([[0.5], [1.0]], np.float32)], ids=str
)
def test_targets_keep_their_dtype(y):
    np.testing.assert_array_equal(check_targets(y, 2), y, strict=True)


@pytest.mark.parametrize("y", [np.zeros(3), np.zeros((1, 2)), np.zeros(0), 2.0])
def test_targets_of_another_length_are_refused(y):
    with pytest.raises(ValueError, match="y: expected 2 rows, as many as x has, got"):
        check_targets(y, 2)


def test_targets_must_be_finite_numbers():
    with pytest.raises(ValueError, match="y: expected finite numbers, got nan at row 1"):
        check_targets([0.0, NAN], 2)
    with pytest.raises(TypeError, match="y: expected numbers"):
        check_targets(["cat", "dog"], 2)


@pytest.mark.parametrize("shape", [(4,), [4], np.array([4]), (np.int64(4),), ((5, 4), (6, 3)), ()])
def test_shapes_of_integers_become_tuples(shape):
    assert check_shape(shape) == tuple(shape)


@pytest.mark.parametrize("shape", [(None,), (None, 3), ("a",), (3.0,), (True,), [[5], [4]]])
def test_shapes_with_other_entries_than_integers_are_refused(shape):
    got = re.escape(repr(tuple(shape)))
    with pytest.raises(TypeError, match=f"input_shape: expected integers, .* got {got}$"):
        check_shape(shape)


def test_shapes_of_several_arrays_keep_their_structure():
    expected = {"age": (1,), "words": ((4, 2), (3,))}
    assert check_shape({"age": [1], "words": ((np.int64(4), 2), np.array([3]))}) == expected


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        (((5, 4), (6, None)), TypeError, r"input_shape\[1\]: expected integers, .* got \(6, None\)"),
        ({"age": 1}, TypeError, r"input_shape\['age'\]: expected a tuple, .*, got 1"),
        (((5,), 4), TypeError, r"input_shape\[1\]: expected a tuple, .*, got 4"),
        ({1: (5,)}, TypeError, "input_shape: expected strings as the keys of a dict, got 1"),
        ({"a": {}}, ValueError, r"input_shape\['a'\]: expected at least one entry, got an empty dict"),
    ],
)
def test_the_wrong_one_of_several_shapes_is_named(shape, kind, message):
    with pytest.raises(kind, match=message):
        check_shape(shape)


@pytest.mark.parametrize("weights", [[1, 2], (0.0, 0.5), np.array([True, False])])
def test_weights_become_floats_of_the_dtype(weights):
    expected = np.asarray(weights).astype("float32")
    np.testing.assert_array_equal(check_weights(weights, 2, "float32"), expected, strict=True)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "weights: expected 2 rows"),
        (1.0, "weights: expected 2 rows"),
        ([[1.0], [1.0]], r"weights: expected shape \(2,\), got \(2, 1\)"),
        ([1.0, NAN], "weights: expected finite numbers, got nan at row 1"),
        ([1.0, 1e300], "weights: expected finite numbers, got inf at row 1"),
        ([1.0, -0.5], "weights: expected 0 or more, got -0.5 at row 1"),
        ([0.0, 0.0], "weights: expected at least one above 0"),
        ([0.0, 1e-300], "weights: expected at least one above 0"),
    ],
)
def test_wrong_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        check_weights(weights, 2, "float32")
