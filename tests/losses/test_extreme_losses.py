"""Losses at extreme but valid inputs; test_extremes.py tests layers and the other losses."""

import math

import numpy as np
import pytest

from backends import Backend
from multinn import (
    BinaryFocal,
    CosineSimilarity,
    Focal,
    Hinge,
    KLDivergence,
    MultiClassHinge,
    Poisson,
    SoftmaxCrossEntropy,
)
from tests.support.loss_calls import per_example, per_example_eagerly

pytestmark = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_size = pytest.mark.parametrize("size", [1e4, 1e30])


@each_size
@pytest.mark.parametrize("loss", [Focal(), Focal(0.5), Focal(0.0)], ids=str)
def test_a_focal_loss_of_logits_far_apart(backend: Backend, loss: Focal, size: float, dtype: str):
    outputs = np.array([[size, 0.0, -size]] * 2, dtype)
    values, gradient = per_example_eagerly(backend, loss, outputs, np.array([0, 2]))
    np.testing.assert_allclose(values, [0.0, 2.0 * size], rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[0.0, 0.0, 0.0], [1.0, 0.0, -1.0]])


@each_size
@pytest.mark.parametrize("loss", [BinaryFocal(), BinaryFocal(0.5), BinaryFocal(0.0)], ids=str)
def test_a_binary_focal_loss_of_large_logits(backend, loss, size, dtype):
    outputs = np.array([[size], [-size], [size], [-size]], dtype)
    values, gradient = per_example_eagerly(backend, loss, outputs, np.array([[1], [0], [0], [1]]))
    np.testing.assert_allclose(values, [0.0, 0.0, size, size], rtol=1e-6, atol=1e-15)
    np.testing.assert_allclose(gradient[:, 0], [0.0, 0.0, 1.0, -1.0], rtol=1e-6, atol=1e-15)


@each_size
def test_a_divergence_of_logits_far_apart(backend, size, dtype):
    outputs = np.array([[size, 0.0, -size]] * 3, dtype)
    targets = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0]])
    values, gradient = per_example_eagerly(backend, KLDivergence(), outputs, targets)
    np.testing.assert_allclose(values, [0.0, 2.0 * size, 0.5 * size - math.log(2.0)], rtol=1e-6)
    np.testing.assert_allclose(gradient, np.array([[1.0, 0.0, 0.0]]) - targets, atol=1e-7)


@each_size
def test_hinges_of_large_scores(backend, size, dtype):
    outputs = np.array([[size, -size], [-size, size]], dtype)
    values, gradient = per_example_eagerly(backend, Hinge(), outputs, np.array([[1, 0], [1, 0]]))
    np.testing.assert_allclose(values, [0.0, size + 1.0], rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[0.0, 0.0], [-0.5, 0.5]])
    values, gradient = per_example_eagerly(backend, MultiClassHinge(), outputs, np.array([0, 0]))
    np.testing.assert_allclose(values, [0.0, size + 0.5], rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[0.0, 0.0], [-0.5, 0.5]])


def test_rates_from_nothing_to_the_largest(backend, dtype):
    top = math.floor(math.log(float(np.finfo(dtype).max)))
    outputs = np.array([[-1e4], [-1e4], [top]], dtype)
    values, gradient = per_example_eagerly(
        backend, Poisson(full=True), outputs, np.array([[0], [3], [3]])
    )
    np.testing.assert_allclose(values, [0.0, 3e4 + math.log(6.0), math.exp(top)], rtol=1e-4)
    np.testing.assert_allclose(gradient[:, 0], [0.0, -3.0, math.exp(top)], rtol=1e-4)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30, "largest"])
def test_the_angle_between_vectors_does_not_depend_on_their_length(backend, size, dtype):
    size = float(np.finfo(dtype).max) / 8.0 if size == "largest" else size
    outputs = np.array([[size, 0.0], [size, size], [-size, 0.0]], dtype)
    values, gradient = per_example_eagerly(
        backend, CosineSimilarity(), outputs, np.array([[2.0, 0.0]] * 3)
    )
    np.testing.assert_allclose(values, [0.0, 1.0 - math.sqrt(0.5), 2.0], rtol=1e-6, atol=1e-7)
    slope = math.sqrt(0.5) / 2.0 / size
    smallest = np.finfo(dtype).tiny
    expected = [[0.0, 0.0], [-slope, slope], [0.0, 0.0]]
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=max(1e-7 / size, smallest))


@pytest.mark.parametrize("part", [0.0, 1.0], ids=["zero", "smallest"])
def test_the_zero_vector_has_no_direction(backend, part, dtype):
    nothing = np.array([[1.0, 0.0, -1.0]], dtype) * np.finfo(dtype).smallest_subnormal * part
    something = np.array([[3.0, 4.0, 0.0]], dtype)
    for outputs, targets in ((nothing, something), (something, nothing), (nothing, nothing)):
        values, gradient = per_example_eagerly(backend, CosineSimilarity(), outputs, targets)
        np.testing.assert_array_equal(values, [1.0])
        np.testing.assert_array_equal(gradient, np.zeros((1, 3)))


@pytest.mark.parametrize("size", [1e30, np.inf, np.nan])
def test_logits_of_positions_that_are_ignored_have_no_effect(backend, size, dtype):
    outputs = np.array([[[1e4, 0.0], [0.0, 0.0], [-size, size]]], dtype)
    loss = SoftmaxCrossEntropy(ignored_class=-1)
    values, gradient = per_example(backend, loss, outputs, np.array([[-1, 0, -1]]))
    np.testing.assert_allclose(values, [math.log(2.0)], rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[[0.0, 0.0], [-0.5, 0.5], [0.0, 0.0]]])
