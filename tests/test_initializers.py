"""Initializers: the moments that their sources prescribe, and the same bits from the same seed."""

import math

import numpy as np
import pytest

from multinn.initializers import (
    Constant,
    Glorot,
    He,
    Initializer,
    LeCun,
    Normal,
    Ones,
    Orthogonal,
    Uniform,
    Zeros,
)

SHAPE, FAN_IN, FAN_OUT = (300, 200), 300, 200
SIZE = math.prod(SHAPE)

# initializer: mean, variance, and the bound of a uniform distribution
MOMENTS: dict[Initializer, tuple[float, float, float]] = {
    Uniform(): (0.0, 0.1**2 / 12.0, 0.05),
    Uniform(2.0, 5.0): (3.5, 9.0 / 12.0, 1.5),
    Normal(): (0.0, 0.05**2, math.inf),
    Normal(-1.0, 3.0): (-1.0, 9.0, math.inf),
    Glorot(): (0.0, 2.0 / 500.0, math.sqrt(6.0 / 500.0)),
    Glorot("normal"): (0.0, 2.0 / 500.0, math.inf),
    He(): (0.0, 2.0 / 300.0, math.sqrt(6.0 / 300.0)),
    He("normal"): (0.0, 2.0 / 300.0, math.inf),
    LeCun(): (0.0, 1.0 / 300.0, math.sqrt(3.0 / 300.0)),
    LeCun("normal"): (0.0, 1.0 / 300.0, math.inf),
}
RANDOM = list(MOMENTS)
CERTAIN = [
    (Zeros(), 0.0),
    (Ones(), 1.0),
    (Constant(-2.5), -2.5),
    (Normal(3.0, 0.0), 3.0),
    (Uniform(2, 2), 2.0),
]


def draw(initializer: Initializer, seed: int = 0) -> np.ndarray:
    return initializer(np.random.default_rng(seed), SHAPE, FAN_IN, FAN_OUT)


@pytest.mark.parametrize("initializer", RANDOM, ids=str)
def test_moments(initializer):
    mean, variance, bound = MOMENTS[initializer]
    values = draw(initializer) - mean
    kurtosis = 3.0 if bound == math.inf else 9.0 / 5.0  # of a normal, of a uniform distribution
    assert abs(values.mean()) < 4.0 * math.sqrt(variance / SIZE)
    assert abs(np.mean(values**2) / variance - 1.0) < 4.0 * math.sqrt((kurtosis - 1.0) / SIZE)
    assert abs(np.mean(values**4) / variance**2 / kurtosis - 1.0) < 0.05
    assert np.abs(values).max() <= bound


@pytest.mark.parametrize("initializer", RANDOM, ids=str)
def test_the_bounds_of_a_uniform_distribution_are_reached(initializer):
    mean, _, bound = MOMENTS[initializer]
    if bound < math.inf:
        assert np.abs(draw(initializer) - mean).max() > 0.999 * bound
    else:
        assert np.abs(draw(initializer) - mean).max() > 4.0 * math.sqrt(MOMENTS[initializer][1])


@pytest.mark.parametrize(("initializer", "value"), CERTAIN, ids=str)
def test_certain_values(initializer, value):
    np.testing.assert_array_equal(draw(initializer), np.full(SHAPE, value), strict=True)


@pytest.mark.parametrize("initializer", [*RANDOM, *(initializer for initializer, _ in CERTAIN)], ids=str)
def test_the_same_generator_gives_the_same_float64_bits(initializer):
    values = draw(initializer)
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, draw(initializer), strict=True)


@pytest.mark.parametrize("initializer", RANDOM, ids=str)
def test_another_seed_gives_other_values(initializer):
    assert (draw(initializer) != draw(initializer, seed=1)).all()


def test_the_variance_depends_on_the_fans_and_not_on_the_shape():
    square = He("normal")(np.random.default_rng(0), (100, 100), 8, 1)
    assert abs(square.std() - 0.5) < 0.02


def draw_orthogonal(shape: tuple[int, ...], gain: float = 1.0, seed: int = 0) -> np.ndarray:
    return Orthogonal(gain)(np.random.default_rng(seed), shape, 1, 1)


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (2, 3, 4), (1, 1)], ids=str)
def test_orthogonal_rows_or_columns(shape):
    values = draw_orthogonal(shape, gain=2.0)
    assert values.shape == shape
    assert values.dtype == np.float64
    matrix = values.reshape(-1, shape[-1])
    smaller = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(smaller, 4.0 * np.eye(len(smaller)), atol=1e-14)


def test_all_orthogonal_matrices_are_equally_likely():
    draws = np.stack([draw_orthogonal((2, 2), seed=seed) for seed in range(2000)])
    angles = np.sort(np.arctan2(draws[:, 1, 0], draws[:, 0, 0])) / (2.0 * math.pi) + 0.5
    assert np.abs(angles - np.linspace(0.0, 1.0, len(angles))).max() < 0.04  # Kolmogorov-Smirnov
    assert abs(np.mean(np.linalg.det(draws) > 0.0) - 0.5) < 0.05


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(1.0, 0.0), "Uniform: expected finite low <= high, got 1.0, 0.0"),
        (lambda: Uniform(0.0, math.inf), "Uniform"),
        (lambda: Uniform(math.nan, 1.0), "Uniform"),
        (lambda: Normal(0.0, -1.0), "Normal: .*standard_deviation of 0 or more, got -1.0"),
        (lambda: Normal(0.0, math.nan), "Normal"),
        (lambda: Normal(math.inf, 1.0), "Normal"),
        (lambda: Constant(math.nan), "Constant"),
        (lambda: He("cauchy"), "He: expected distribution 'uniform' or 'normal', got 'cauchy'"),
        (lambda: Glorot("Uniform"), "Glorot"),
        (lambda: LeCun(""), "LeCun"),
        (lambda: Orthogonal(math.inf), "Orthogonal: expected a finite gain, got inf"),
        (lambda: draw_orthogonal((3,)), r"Orthogonal: expected .* two axes or more, got shape \(3,\)"),
    ],
)
def test_invalid_hyperparameters_raise(make, message):
    with pytest.raises(ValueError, match=message):
        make()
