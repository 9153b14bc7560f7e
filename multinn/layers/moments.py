"""Means and variances: what normalizations have in common.

An axis is one number or a tuple of them, and stays in the results, with length 1. A mask is of booleans,
broadcasts against x, and is False where numbers are padding: these do not count, and z and dx are 0
there. It is None where all count.
"""

import math

from backends import Array, Backend
from multinn.layers.base import Shape

Axis = int | tuple[int, ...]


def only(backend: Backend, x: Array, mask: Array | None) -> Array:
    """Return x, with 0 where it does not count."""
    return x if mask is None else backend.xp.where(mask, x, backend.xp.zeros_like(x))


def mean(backend: Backend, x: Array, axis: Axis, mask: Array | None = None) -> Array:
    """Return the mean of what counts; 0 where nothing does."""
    if mask is None:
        return backend.xp.mean(x, axis=axis, keepdims=True)
    total = backend.xp.sum(only(backend, x, mask), axis=axis, keepdims=True)
    return total / backend.xp.maximum(count(backend, x, axis, mask), 1.0)


def count(backend: Backend, x: Array, axis: Axis, mask: Array) -> Array:
    """Return how many numbers count."""
    ones = only(backend, backend.xp.ones_like(x), mask)
    return backend.xp.sum(ones, axis=axis, keepdims=True)


def centered(backend: Backend, x: Array, axis: Axis, mask: Array | None = None) -> tuple[Array, Array]:
    """Return x - μ, and μ."""
    mu = mean(backend, x, axis, mask)
    difference = only(backend, x - mu, mask)
    # The mean of large numbers is rounded: without this, a row of equal numbers would not give 0.
    correction = mean(backend, difference, axis, mask)
    return only(backend, difference - correction, mask), mu + correction


def standardized(
    backend: Backend, x: Array, axis: Axis, epsilon: float, mask: Array | None = None
) -> tuple[Array, Array]:
    """Return z = (x - μ) / s, and s = √(mean of (x - μ)² + ε)."""
    difference, _ = centered(backend, x, axis, mask)
    variance = mean(backend, difference * difference, axis, mask)
    s = backend.xp.sqrt(variance + epsilon)
    return difference / s, s


def standardized_gradient(
    backend: Backend, dz: Array, z: Array, s: Array, axis: Axis, mask: Array | None = None
) -> Array:
    """Return dx = (dz - mean(dz) - z mean(dz z)) / s, for z and s of `standardized`.

    With n numbers, ∂μ/∂x_j = 1 / n, and ∂s/∂x_j = (x_j - μ) / (n s) = z_j / n, since Σ_i (x_i - μ) = 0.
    So ∂z_i/∂x_j = (δ_ij - 1 / n) / s - z_i z_j / (n s), and dx_j = Σ_i dz_i ∂z_i/∂x_j.
    """
    mean_dz = mean(backend, dz, axis, mask)
    mean_dz_z = mean(backend, dz * z, axis, mask)
    return only(backend, (dz - mean_dz - z * mean_dz_z) / s, mask)


def sum_of_rows(backend: Backend, x: Array) -> Array:
    """Return the sum over all axes but the last, which alone is left."""
    return backend.xp.sum(x, axis=tuple(range(x.ndim - 1)))


def mask_like(backend: Backend, mask: Array | None, dimensions: int) -> Array | None:
    """Return a mask (batch, time) with as many axes as x has."""
    if mask is None:
        return None
    return backend.xp.reshape(mask, (*mask.shape, *(1,) * (dimensions - mask.ndim)))


def check_features(layer: str, input_shape: Shape) -> int:
    """Return how many features or channels there are: the length of the last axis.

    Raises:
        ValueError: the shape, without the batch, is of something else.
    """
    if not input_shape or input_shape[-1] < 1:
        raise ValueError(
            f"{layer}: expected inputs of shape (batch, ..., features), got {('batch', *input_shape)}"
        )
    return input_shape[-1]


def check_epsilon(layer: str, epsilon: float) -> None:
    """Raise ValueError unless epsilon is positive and finite."""
    if not 0.0 < epsilon < math.inf:
        raise ValueError(f"{layer}: expected a positive, finite epsilon, got {epsilon}")
