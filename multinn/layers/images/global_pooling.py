"""Pooling over all time steps or a whole image: one number per feature or channel."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.layers.base import Layer, check_axes, mask_of, values_of
from multinn.layers.images.geometry import Geometry, check_images
from multinn.layers.masked import zero_padding
from multinn.layers.normalization import moments
from multinn.random import Key


@dataclass(frozen=True)
class _PoolingOverTime(Layer):
    """Pooling over the time steps that count: m_t = 1, else 0; without a mask, all steps count."""

    takes_mask: ClassVar[bool] = True

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and (features,)."""
        check_axes(self, input_shape, "sequences", "time", "features")
        return {}, input_shape[1:]

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and ∂y/∂x."""
        mask = mask_of(x)
        return self._pool(backend, values_of(x), None if mask is None else mask[..., None])

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy ∂y/∂x."""
        return dy[:, None, :] * cache, {}

    @abstractmethod
    def _pool(self, backend: Backend, x: Array, mask: Array | None) -> tuple[Array, Array]:
        """Return y, and ∂y/∂x, for a mask (batch, time, 1)."""


@dataclass(frozen=True)
class GlobalAveragePool1D(_PoolingOverTime):
    """y = Σ_t m_t x_t / n: the mean over the n = Σ_t m_t steps that count; 0 if no step counts.

    Shapes: x (batch, time, features), m (batch, time), y (batch, features).

    ∂y/∂x_t = m_t / n, so dx_t = dy m_t / n.
    Source: M. Lin, Q. Chen and S. Yan, Network in network, ICLR 2014, section 3.2, along time.
    """

    def _pool(self, backend: Backend, x: Array, mask: Array | None) -> tuple[Array, Array]:
        xp = backend.xp
        m = xp.ones_like(x[..., :1]) if mask is None else xp.astype(mask, x.dtype)
        share = m / xp.maximum(xp.sum(m, axis=1, keepdims=True), 1.0)
        return xp.sum(zero_padding(backend, x, mask) * share, axis=1), share


@dataclass(frozen=True)
class GlobalMaxPool1D(_PoolingOverTime):
    """y = the maximum of x_t over the steps that count, for each feature; 0 if no step counts.

    Shapes: x (batch, time, features), m (batch, time), y (batch, features).

    ∂y/∂x_t is 1 where x_t is the maximum, else 0; of several equal maxima, the first is taken. So dx is
    dy there, else 0.
    Source: R. Collobert et al., Natural language processing (almost) from scratch, JMLR 12, 2011,
    section 3.3.2, equation 6.
    """

    def _pool(self, backend: Backend, x: Array, mask: Array | None) -> tuple[Array, Array]:
        xp = backend.xp
        counted = x if mask is None else xp.where(mask, x, xp.full_like(x, -math.inf))
        first = xp.argmax(counted, axis=1, keepdims=True)
        steps = xp.reshape(xp.arange(x.shape[1], dtype=first.dtype), (1, -1, 1))
        taken = steps == first
        y = xp.max(counted, axis=1)
        if mask is not None:
            taken = taken & mask  # if no step counts, argmax gives the first
            y = xp.where(xp.any(mask, axis=1), y, xp.zeros_like(y))
        return y, xp.astype(taken, x.dtype)


class _PoolingOfImages(Layer):
    """One number per channel of each image, and no parameters."""

    mixes_steps: ClassVar[bool] = True

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and (channels,)."""
        check_images(self, input_shape, Geometry((1, 1), (1, 1)))
        return {}, input_shape[2:]


@dataclass(frozen=True)
class GlobalAveragePool2D(_PoolingOfImages):
    """y_nc = Σ_hw x_nhwc / (height width): the mean of each channel of each image.

    Shapes: x (batch, height, width, channels), y (batch, channels).

    ∂y_nc/∂x_nhwc = 1 / (height width), so dx = dy / (height width) at every pixel.
    Source: M. Lin, Q. Chen and S. Yan, Network in network, ICLR 2014, section 3.2.
    """

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and x for its shape."""
        return moments.mean(backend, x, (1, 2))[:, 0, 0, :], x

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy / (height width), at every pixel."""
        height, width = cache.shape[1:3]
        share = dy[:, None, None, :] * (1.0 / (height * width))
        return backend.xp.broadcast_to(share, cache.shape), {}


@dataclass(frozen=True)
class GlobalMaxPool2D(_PoolingOfImages):
    """y_nc = the maximum of x_nhwc over all h and w: the maximum of each channel of each image.

    Shapes: x (batch, height, width, channels), y (batch, channels).

    It is `GlobalMaxPool1D` with the pixels, row by row, for the time steps: dx is dy at the first of the
    maxima, else 0.
    Source: as `MaxPool2D`, with one window for the whole image.
    """

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and ∂y/∂x."""
        pixels = backend.xp.reshape(x, (x.shape[0], -1, x.shape[3]))
        y, taken = GlobalMaxPool1D().forward(backend, params, pixels, key)
        return y, backend.xp.reshape(taken, x.shape)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy ∂y/∂x."""
        return dy[:, None, None, :] * cache, {}
