"""Batch normalization."""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.layers.base import Layer
from multinn.layers.masked import Masked, mask_of, values_of, with_mask
from multinn.layers.normalization import moments
from multinn.random import Key


class _Statistics(NamedTuple):
    """Of each channel of a batch, (channels,): the mean, the sum of squares around it, and n."""

    mean: Array
    squares: Array
    n: Array


@dataclass(frozen=True)
class BatchNorm(Layer):
    """y = γ z + β with z = (x - μ) / s: each feature or channel normalized over the batch.

    While training, μ = Σ_i x_i / n and s = √(Σ_i (x_i - μ)² / n + ε), where i runs over the n numbers
    that the batch has of a channel: over all axes but the last, so pixels and time steps, too. At
    inference, μ and s² - ε are the running mean and variance, which are part of the layer's state.

    Shapes: x (batch, ..., channels) and y alike, γ and β (channels,).

    With dy = ∂L/∂y:
        ∂L/∂γ = Σ_i dy_i z_i and ∂L/∂β = Σ_i dy_i.
        At inference, μ and s are constants, so dx = γ dy / s. While training,
        ∂μ/∂x_j = 1 / n, and ∂s/∂x_j = (x_j - μ) / (n s) = z_j / n, since Σ_i (x_i - μ) = 0. So
        ∂z_i/∂x_j = (δ_ij - 1 / n - z_i z_j / n) / s, and dx_j = Σ_i dy_i γ ∂z_i/∂x_j gives
        dx = γ (dy - ∂L/∂β / n - z ∂L/∂γ / n) / s.
    Time steps that a mask marks as padding count nowhere: their y and dx are 0.
    A bias in the layer right before has no use, as μ takes it away again. Its gradient is 0 but for
    rounding, of which an optimizer such as Adam makes whole steps: leave it out with use_bias=False.

    The running mean is that of all numbers seen, where those of t steps ago count momentumᵗ: with
    w' = momentum w + n, beginning at w = 0, it moves by n / w' of the way to the mean of the batch. The
    running variance is likewise that of all squares Σ_i (x_i - μ)², over all degrees of freedom n - 1.
    In batches of equal size this is the usual average, momentum · old + (1 - momentum) · new, of the
    variances that are unbiased by n / (n - 1), but the zeros and ones that it begins with weigh nothing:
    it is right from the first step on. A smaller last batch counts less, as it has fewer numbers, and
    one with a single number of a channel does not count in the variance, of which it knows nothing: its
    z is 0, as are its dx.
    Numbers whose square overflows, from about 1e19 on in float32, are out of its range.
    Source: S. Ioffe and C. Szegedy, Batch normalization, ICML 2015, algorithms 1 and 2 and section 3.

    Attributes:
        momentum: how much of the weight of past batches is left after a step, in [0, 1]. As in Keras and
            Flax; PyTorch calls 1 - momentum so. With 1, all batches count alike.
        epsilon: added to the variance, positive.

    Raises:
        ValueError: momentum is outside [0, 1], or epsilon not positive and finite.
    """

    takes_mask: ClassVar[bool] = True

    momentum: float = 0.9
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if not 0.0 <= self.momentum <= 1.0:
            raise ValueError(f"BatchNorm: expected a momentum in [0, 1], got {self.momentum}")
        moments.check_epsilon("BatchNorm", self.epsilon)

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return γ = 1 and β = 0, both (channels,), and the shape unchanged."""
        channels = moments.check_features("BatchNorm", input_shape)
        return {"gamma": np.ones(channels), "beta": np.zeros(channels)}, input_shape

    def init_state(self, params: Tree) -> Tree:
        """Return a mean of 0 and a variance of 1, whose weights are 0; all are (channels,)."""
        zeros, ones = np.zeros_like(params["beta"]), np.ones_like(params["beta"])
        return {"mean": zeros, "mean_weight": zeros, "variance": ones, "variance_weight": zeros}

    def forward(
        self, backend: Backend, params: Tree, x: Array | Masked, key: Key | None = None
    ) -> tuple[Array | Masked, Tree]:
        """Return what `forward_with_state` does without a state: while training alone."""
        return self.forward_with_state(backend, params, None, x, key)

    def forward_with_state(
        self, backend: Backend, params: Tree, state: Tree, x: Array | Masked, key: Key | None = None
    ) -> tuple[Array | Masked, Tree]:
        """Return y, and (z, s, the mask, and while training the statistics of the batch)."""
        mask = moments.mask_like(backend, mask_of(x), values_of(x).ndim)
        values = moments.only(backend, values_of(x), mask)
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
        y = moments.only(backend, params["gamma"] * z + params["beta"], mask)
        return with_mask(y, mask_of(x)), (z, s, mask, statistics)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = γ (dy - Σ dy / n - z Σ dy z / n) / s, and {"gamma": Σ dy z, "beta": Σ dy}."""
        z, s, mask, statistics = cache
        dy = moments.only(backend, dy, mask)
        gradients = self.parameter_gradients(backend, params, cache, dy)
        if statistics is not None:
            n = backend.xp.maximum(statistics.n, 1.0)
            dy = dy - gradients["beta"] / n - z * (gradients["gamma"] / n)
        return moments.only(backend, dy * (params["gamma"] / s), mask), gradients

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"gamma": Σ dy z, "beta": Σ dy}."""
        z, _, mask, _ = cache
        dy = moments.only(backend, dy, mask)
        d_gamma = moments.sum_of_rows(backend, dy * z)
        return {"gamma": d_gamma, "beta": moments.sum_of_rows(backend, dy)}

    def next_state(self, backend: Backend, state: Tree, cache: Tree) -> Tree:
        """Return the running mean and variance, and their weights, with the batch among them."""
        maximum = backend.xp.maximum
        mean, squares, n = cache[3]
        degrees = maximum(n - 1.0, 0.0)
        mean_weight = self.momentum * state["mean_weight"] + n
        variance_weight = self.momentum * state["variance_weight"] + degrees
        # A weight below 1 is that of a batch without numbers, which changes nothing: 0 is added.
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
    squares = moments.sum_of_rows(backend, moments.only(backend, difference * difference, mask))
    if mask is None:
        n = xp.full_like(mean, float(math.prod(x.shape[:-1])))
    else:
        n = xp.reshape(moments.count(backend, x, leading, mask), (-1,))
    return _Statistics(mean, squares, n), difference
