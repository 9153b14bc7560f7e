"""The base class of convolutions and transposed convolutions."""

import math
from typing import Any, ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn.descriptions.bounds import check_integers
from multinn.initializers import Initializer
from multinn.layers.base import Layer, sum_of_rows
from multinn.layers.images.geometry import Geometry, Padding, Padding1D, Pair, height_and_width
from multinn.layers.images.windows import as_images, in_form_of


class BaseConvolution(Layer):
    """Hyperparameters, parameters, and a convolution with its two adjoints.

    For images X and weights W (..., channels / groups, filters), the convolution is linear in both:
        Y = C(X, W).
    Its adjoints are the gradients dX for given W and dW for given X. Sequences are images of height 1.
    """

    filters: int
    kernel_size: int | Pair
    stride: int | Pair
    padding: Padding | Padding1D
    dilation: int | Pair
    groups: int
    use_bias: bool
    weight_initializer: Initializer
    bias_initializer: Initializer

    mixes_steps: ClassVar[bool] = True

    def _convolve(self, backend: Backend, X: Array, W: Array) -> Array:
        """Return Y = C(X, W)."""
        shape = height_and_width(X)
        Y = backend.convolve(as_images(X), _for_images(W), **self._options(shape))
        return in_form_of(X, Y)

    def _convolve_back(self, backend: Backend, dY: Array, W: Array, shape: Pair) -> Array:
        """Return dX for X of this height and width.

        X_p enters Y_h with the weights W_i if p = s h + d i, so dX_p = Σ_i W_i dY_((p - d i) / s), over
        all i for which s divides p - d i. This is a convolution with the turned kernel, W_(k - 1 - i),
        of dY with s - 1 zeros between its entries. Padded by e - 1 zeros before, it begins at p = 0.
        Here p counts from the first row of the padded X, k is the size of the kernel, s the stride, d
        the dilation, and e = d (k - 1) + 1.
        """
        geometry = self._geometry
        lengths = zip(
            shape,
            geometry.margins(shape),
            geometry.extent,
            geometry.stride,
            height_and_width(dY),
            strict=True,
        )
        vertical, horizontal = (
            (e - 1 - before, n + before - s * (count - 1) - 1) for n, (before, _), e, s, count in lengths
        )
        dX = backend.convolve(
            as_images(dY),
            self._turned(backend, _for_images(W)),
            padding=(vertical, horizontal),
            dilation=geometry.dilation,
            spread=geometry.stride,
            groups=self.groups,
        )
        return in_form_of(dY, dX)

    def _weights_gradient(self, backend: Backend, X: Array, dY: Array, shape: Shape) -> Array:
        """Return dW, in the shape of W."""
        images, size = as_images(X), self._geometry.size
        options = self._options(height_and_width(X))
        dW = backend.convolve_weights(images, as_images(dY), size, **options)
        return backend.xp.reshape(dW, shape)

    def _options(self, shape: Pair) -> dict[str, Any]:
        """Return the arguments of a convolution of images of this height and width."""
        geometry = self._geometry
        return {
            "stride": geometry.stride,
            "padding": geometry.margins(shape),
            "dilation": geometry.dilation,
            "groups": self.groups,
        }

    def _turned(self, backend: Backend, W: Array) -> Array:
        """Return W turned by 180 degrees, with the channels and filters of each group exchanged."""
        xp = backend.xp
        *size, channels, filters = W.shape
        parts = xp.reshape(xp.flip(W, axis=(0, 1)), (*size, channels, self.groups, -1))
        exchanged = xp.permute_dims(parts, (0, 1, 4, 3, 2))
        return xp.reshape(exchanged, (*size, filters // self.groups, self.groups * channels))

    def _gradients(self, backend: Backend, dW: Array, dy: Array) -> Tree:
        """Return {"W": dW, "b": Σ dy}."""
        return {"W": dW} | ({"b": sum_of_rows(backend, dy)} if self.use_bias else {})

    def _check_filters(self) -> None:
        check_integers(self, "filters", "groups")
        if self.filters % self.groups:
            raise ValueError(
                f"{type(self).__name__}: expected filters divisible by {self.groups} groups, "
                f"got {self.filters}"
            )

    def _check_channels(self, channels: int) -> None:
        if channels % self.groups:
            raise ValueError(
                f"{type(self).__name__}: expected input channels divisible by {self.groups} groups, "
                f"got {channels}"
            )

    def _draw(self, generator: np.random.Generator, shape: Shape, channels: int) -> Tree:
        """Draw W of this shape and, with a bias, b (filters,)."""
        fans = (
            math.prod(shape[:-2]) * channels // self.groups,
            math.prod(shape[:-2]) * self.filters // self.groups,
        )
        params = {"W": self.weight_initializer(generator, shape, *fans)}
        if self.use_bias:
            params["b"] = self.bias_initializer(generator, (self.filters,), *fans)
        return params

    @property
    def _geometry(self) -> Geometry:
        normalized: Any = self  # the sizes are pairs
        return Geometry(
            normalized.kernel_size, normalized.stride, normalized.dilation, normalized.padding
        )


def _for_images(W: Array) -> Array:
    """Return the weights of a convolution of images; those of sequences get a height of 1."""
    return W if W.ndim == 4 else W[None, ...]
