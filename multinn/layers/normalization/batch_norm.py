"""Batch normalization."""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.descriptions.bounds import check_positive
from multinn.layers.base import Layer, Masked, check_features, mask_of, sum_of_rows, values_of, with_mask
from multinn.layers.masked import expand_mask, zero_padding
from multinn.layers.normalization import moments
from multinn.random import Key


class _Statistics(NamedTuple):
    """For each channel of a batch, (channels,): the mean, the sum of (x - mean)², and n."""

    mean: Array
    squares: Array
    n: Array


@dataclass(frozen=True)
class BatchNorm(Layer):
    """y = γ z + β with z = (x - μ) / s: each feature or channel normalized over the batch.

    While training, μ = Σ_i x_i / n and s = √(Σ_i (x_i - μ)² / n + ε), where i runs over the n numbers of
    a channel in the batch: over all axes but the last, including pixels and time steps. At inference,
    μ and s² - ε are the running mean and variance, which are the state of the layer.

    Shapes: x and y (batch, ..., channels), γ and β (channels,).

    With dy = ∂L/∂y:
        ∂L/∂γ = Σ_i dy_i z_i and ∂L/∂β = Σ_i dy_i.
        At inference, μ and s are constants, so dx = γ dy / s. While training,
        ∂μ/∂x_j = 1 / n, and ∂s/∂x_j = (x_j - μ) / (n s) = z_j / n, since Σ_i (x_i - μ) = 0. So
        ∂z_i/∂x_j = (δ_ij - 1 / n - z_i z_j / n) / s, and dx_j = Σ_i dy_i γ ∂z_i/∂x_j gives
        dx = γ (dy - ∂L/∂β / n - z ∂L/∂γ / n) / s.
    Time steps that a mask marks as padding do not count: their y and dx are 0.
    The layer before needs no bias, since subtracting μ removes it: use use_bias=False. The gradient of
    such a bias is only rounding error, which optimizers such as Adam scale up to full steps.

    The running mean weighs each number from t steps ago by momentumᵗ: with w' = momentum w + n, starting
    at w = 0, it moves by n / w' of the way to the mean of the batch. The running variance is a weighted
    sum of the squares Σ_i (x_i - μ)², divided by the same sum of the degrees of freedom n - 1. For
    batches of equal size, both converge to the usual average, momentum · old + (1 - momentum) · new, of
    the means and of the variances with the factor n / (n - 1). But the initial zeros and ones have
    weight 0, so the statistics are unbiased from the first step on. A smaller last batch has less
    weight. A batch with one number per channel leaves the variance unchanged; its z and dx are 0.
    The squares of the inputs must not overflow: in float32, keep inputs below about 1e19. The running
    mean is rounded to the dtype: at inference, z loses digits where μ is far larger than s.
    Source: S. Ioffe and C. Szegedy, Batch normalization, ICML 2015, algorithms 1 and 2 and section 3.

    Attributes:
        momentum: the factor by which a step reduces the weight of past batches, in [0, 1], as in Keras
            and Flax; PyTorch's momentum is 1 minus this. With 1, all numbers have equal weight.
        epsilon: added to the variance, positive.

    Raises:
        ValueError: momentum is outside [0, 1], or epsilon is not positive and finite.
    """

    takes_mask: ClassVar[bool] = True

    momentum: float = 0.9
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if not 0.0 <= self.momentum <= 1.0:
            raise ValueError(f"BatchNorm: expected a momentum in [0, 1], got {self.momentum}")
        check_positive(self, "epsilon")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return γ = 1 and β = 0, both (channels,), and the shape unchanged."""
        channels = check_features(self, input_shape)
        return {"gamma": np.ones(channels), "beta": np.zeros(channels)}, input_shape

    def init_state(self, params: Tree) -> Tree:
        """Return mean 0 and variance 1, both with weight 0; all arrays are (channels,)."""
        zeros, ones = np.zeros_like(params["beta"]), np.ones_like(params["beta"])
        return {"mean": zeros, "mean_weight": zeros, "variance": ones, "variance_weight": zeros}

    def forward(
        self, backend: Backend, params: Tree, x: Array | Masked, key: Key | None = None
    ) -> tuple[Array | Masked, Tree]:
        """Return y and the cache of `forward_with_state`; it needs a key, as there is no state."""
        return self.forward_with_state(backend, params, None, x, key)

    def forward_with_state(
        self, backend: Backend, params: Tree, state: Tree, x: Array | Masked, key: Key | None = None
    ) -> tuple[Array | Masked, Tree]:
        """Return y, and (z, s, the mask, the statistics of the batch); the last is None at inference."""
        mask = expand_mask(backend, mask_of(x), values_of(x).ndim)
        values = zero_padding(backend, values_of(x), mask)
        if key is not None:
            statistics, difference = _statistics(backend, values, mask)
            variance = statistics.squares / backend.xp.maximum(statistics.n, 1.0)
        elif state is None:
            raise ValueError(
                "BatchNorm: expected a state at inference, got none; call forward_with_state with the "
                "state of a trained model, or pass a key to normalize by the batch, as while training"
            )
        else:
            statistics, variance = None, state["variance"]
            difference = values - state["mean"]
        s = backend.xp.sqrt(variance + self.epsilon)
        z = difference / s
        y = zero_padding(backend, params["gamma"] * z + params["beta"], mask)
        return with_mask(y, mask_of(x)), (z, s, mask, statistics)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = γ (dy - Σ dy / n - z Σ dy z / n) / s, and {"gamma": Σ dy z, "beta": Σ dy}."""
        z, s, mask, statistics = cache
        dy = zero_padding(backend, dy, mask)
        gradients = self.parameter_gradients(backend, params, cache, dy)
        if statistics is not None:
            n = backend.xp.maximum(statistics.n, 1.0)
            dy = dy - gradients["beta"] / n - z * (gradients["gamma"] / n)
        return zero_padding(backend, dy * (params["gamma"] / s), mask), gradients

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"gamma": Σ dy z, "beta": Σ dy}."""
        z, _, mask, _ = cache
        dy = zero_padding(backend, dy, mask)
        d_gamma = sum_of_rows(backend, dy * z)
        return {"gamma": d_gamma, "beta": sum_of_rows(backend, dy)}

    def next_state(self, backend: Backend, state: Tree, cache: Tree) -> Tree:
        """Return the running mean and variance, and their weights, updated by the batch."""
        maximum = backend.xp.maximum
        mean, squares, n = cache[3]
        degrees = maximum(n - 1.0, 0.0)
        mean_weight = self.momentum * state["mean_weight"] + n
        variance_weight = self.momentum * state["variance_weight"] + degrees
        # Only a batch that adds no weight can leave a weight below 1, and its step is 0.
        mean_step = n * (mean - state["mean"]) / maximum(mean_weight, 1.0)
        variance_step = (squares - degrees * state["variance"]) / maximum(variance_weight, 1.0)
        return {
            "mean": state["mean"] + mean_step,
            "mean_weight": mean_weight,
            "variance": state["variance"] + variance_step,
            "variance_weight": variance_weight,
        }


def _statistics(backend: Backend, x: Array, mask: Array | None) -> tuple[_Statistics, Array]:
    """Return the statistics of a batch, and x - μ."""
    xp = backend.xp
    leading = tuple(range(x.ndim - 1))
    difference, mu = moments.centered(x, partial(moments.mean, backend, axis=leading, mask=mask))
    mean = xp.reshape(mu, (-1,))
    squares = sum_of_rows(backend, zero_padding(backend, difference * difference, mask))
    if mask is None:
        n = xp.full_like(mean, float(math.prod(x.shape[:-1])))
    else:
        n = xp.reshape(moments.count(backend, x, leading, mask), (-1,))
    return _Statistics(mean, squares, n), difference
