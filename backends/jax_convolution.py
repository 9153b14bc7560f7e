"""Convolution in JAX: by XLA's own function or, on the CPU, in products.

XLA's function for the CPU is fast within loops only with the axes (batch, height, width, channels), in
float32, without groups and with at least about 4 channels. All else is brought to this form, or to
products of matrices. Blocks of columns, and groups computed together, multiply zeros too, so NaN and
infinity in x also reach neighboring outputs of the same image.
"""

import math
from typing import Any

import jax.numpy as jnp
from jax import lax

from backends import convolution
from backends.windows import Margins, Pair

Array = Any

_AXES = ("NHWC", "HWIO", "NHWC")
_FEW = 4  # channels; with fewer, blocks of columns serve as channels
_BUNCH = 32  # channels; groups are computed together up to this number
_PARTS = 8  # a long sum is divided into so many products, for several threads


def convolve(
    x: Array, weights: Array, stride: Pair, padding: Margins, dilation: Pair, spread: Pair, groups: int
) -> Array:
    """Return y, as `Backend.convolve` defines it, by XLA's function."""
    return lax.conv_general_dilated(
        x, weights, stride, padding, spread, dilation, _AXES, feature_group_count=groups
    )


def convolve_weights(
    x: Array, dy: Array, size: Pair, stride: Pair, padding: Margins, dilation: Pair, groups: int
) -> Array:
    """Return the gradient of the weights, as `Backend.convolve_weights` defines it, by XLA's function.

    It is a convolution of x with dy as the kernel, which sums over the examples in place of channels.
    """
    axes = ("CHWN", "IHWO", "HWNC")
    dW = lax.conv_general_dilated(
        x, dy, dilation, padding, rhs_dilation=stride, dimension_numbers=axes, batch_group_count=groups
    )
    return dW[: size[0], : size[1]]


def convolve_on_cpu(
    x: Array, weights: Array, stride: Pair, padding: Margins, dilation: Pair, spread: Pair, groups: int
) -> Array:
    """Return y, as `Backend.convolve` defines it."""
    size, (channels, filters) = weights.shape[:2], weights.shape[2:]
    if x.dtype != jnp.float32 or size == (1, 1):
        return convolution.convolve(jnp, x, weights, stride, padding, dilation, spread, groups)
    if groups > 1:
        together = _groups_together(channels, groups)
        bunches = groups // together
        W = jnp.reshape(weights, (*size, 1, channels, bunches, together, filters // groups))
        W = jnp.where(_diagonal(together), W, 0.0)
        W = jnp.reshape(W, (*size, together * channels, bunches, filters // bunches))
        parts = [
            convolve_on_cpu(part, W[:, :, :, i], stride, padding, dilation, spread, 1)
            for i, part in enumerate(jnp.split(x, bunches, axis=3))
        ]
        return jnp.concatenate(parts, axis=3)
    if channels >= _FEW or size[1] == 1 or not stride[1] == dilation[1] == spread[1] == 1:
        return convolve(x, weights, stride, padding, dilation, spread, 1)
    columns = x.shape[2] + sum(padding[1]) - size[1] + 1
    block = -(-_FEW // channels)
    X = _columns_in_blocks(x, padding[1][0], size[1], columns, block)
    vertical = (stride[0], 1), (padding[0], (0, 0)), (dilation[0], 1), (spread[0], 1)
    Y = convolve(X, _weights_of_blocks(weights, block), *vertical, 1)
    return jnp.reshape(Y, (*Y.shape[:2], Y.shape[2] * block, filters))[:, :, :columns]


def convolve_weights_on_cpu(
    x: Array, dy: Array, size: Pair, stride: Pair, padding: Margins, dilation: Pair, groups: int
) -> Array:
    """Return the gradient of the weights, as `Backend.convolve_weights` defines it."""
    channels, filters = x.shape[3] // groups, dy.shape[3]
    if groups > 1:
        together = _groups_together(channels, groups)
        bunches = groups // together
        inputs, outputs = (jnp.split(array, bunches, axis=3) for array in (x, dy))
        parts = [
            convolve_weights_on_cpu(part, of_part, size, stride, padding, dilation, 1)
            for part, of_part in zip(inputs, outputs, strict=True)
        ]
        shape = (*size, together, channels, bunches, together, filters // groups)
        dW = jnp.reshape(jnp.stack(parts, axis=3), shape)
        dW = jnp.sum(jnp.where(_diagonal(together), dW, 0.0), axis=2)
        return jnp.reshape(dW, (*size, channels, filters))
    if channels >= _FEW or size[1] == 1 or not stride[1] == dilation[1] == 1:
        return _sum_of_products(x, dy, size, stride, padding, dilation)
    columns, block = dy.shape[2], -(-_FEW // channels)
    X = _columns_in_blocks(x, padding[1][0], size[1], columns, block)
    dY = _columns_in_blocks(dy, 0, 1, columns, block)
    width = -(-(size[1] + block - 1) // block)
    vertical = (stride[0], 1), (padding[0], (0, 0)), (dilation[0], 1)
    dW = _sum_of_products(X, dY, (size[0], width), *vertical)
    dW = jnp.reshape(dW, (size[0], width * block, channels, block, filters))
    return sum(dW[:, t : t + size[1], :, t] for t in range(block))


def _sum_of_products(
    x: Array, dy: Array, size: Pair, stride: Pair, padding: Margins, dilation: Pair
) -> Array:
    """Return the gradient of the weights without groups, as one product over all windows.

    Let P hold the places (j, c) of windows of one row, and D copies of dY, for each i shifted down by
    d i rows: D_(n, s h + d i, w),(i, f) = dY_nhwf. Then dW is Pᵀ D. P and D have k channels + k filters
    columns. The matrix of whole windows, with k² channels, is used where it is no larger.
    """
    batch, rows, columns, filters = dy.shape
    (height, width), (down, across), channels = size, stride, x.shape[3]
    if x.dtype != jnp.float32 or height * width * channels < width * channels + height * filters:
        return convolution.convolve_weights(jnp, x, dy, size, stride, padding, dilation, 1)
    X = _pad(x, *((*margin, 0) for margin in padding))
    starts = range(0, width * dilation[1], dilation[1])
    P = jnp.concatenate([X[:, :, j : j + across * (columns - 1) + 1 : across] for j in starts], axis=3)
    spare = X.shape[1] - (down * (rows - 1) + 1)
    starts = range(0, height * dilation[0], dilation[0])
    D = jnp.concatenate([_pad(dy, (i, spare - i, down - 1), (0, 0, 0)) for i in starts], axis=3)
    parts = math.gcd(batch, _PARTS)
    places = batch // parts * X.shape[1] * columns
    P = jnp.reshape(P, (parts, places, width * channels))
    D = jnp.reshape(D, (parts, places, height * filters))
    products = lax.dot_general(P, D, (((1,), (1,)), ((0,), (0,))))
    dW = jnp.reshape(jnp.sum(products, axis=0), (width, channels, height, filters))
    return jnp.transpose(dW, (2, 0, 1, 3))


def _columns_in_blocks(x: Array, left: int, width: int, columns: int, block: int) -> Array:
    """Return images in which blocks of columns are channels, for kernels of this width.

    x gets ``left`` columns of zeros before, and after as many as ``columns`` windows need, in blocks.
    """
    batch, height, length, channels = x.shape
    blocks = -(-columns // block) - 1 + -(-(width + block - 1) // block)
    X = _pad(x, (0, 0, 0), (left, blocks * block - length - left, 0))
    return jnp.reshape(X, (batch, height, blocks, block * channels))


def _weights_of_blocks(weights: Array, block: int) -> Array:
    """Return the weights for images with blocks of columns as channels.

    Their filters (t, f) compute column t of a block: the kernel lies t columns further right.
    """
    height, width, channels, filters = weights.shape
    blocks = -(-(width + block - 1) // block)
    shifted = [
        jnp.pad(weights, ((0, 0), (t, blocks * block - width - t), (0, 0), (0, 0))) for t in range(block)
    ]
    shape = (height, blocks, block * channels, block * filters)
    W = jnp.stack(shifted, axis=3)  # (height, blocks · block, channels, block, filters)
    return jnp.reshape(W, shape)


def _groups_together(channels: int, groups: int) -> int:
    """Return how many groups of so many channels are computed as one, with zeros between groups."""
    divisors = (n for n in range(groups, 0, -1) if groups % n == 0)
    return next(n for n in divisors if n == 1 or n * channels <= _BUNCH)


def _diagonal(together: int) -> Array:
    """Return a mask (together, 1, 1, together, 1) of a group's own channels and filters."""
    return jnp.eye(together, dtype=bool)[:, None, None, :, None]


def _pad(x: Array, *rows_and_columns: tuple[int, int, int]) -> Array:
    """Return images with zeros (before, after, between) their rows and columns."""
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *rows_and_columns, (0, 0, 0)))
