"""A layer that moves the channels of images from first to last."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree
from multinn.layers.base import Layer, check_axes
from multinn.random import Key


@dataclass(frozen=True)
class ChannelsLast(Layer):
    """y_nhwc = x_nchw: images (batch, channels, height, width) become (batch, height, width, channels).

    Layers for images expect the channels last. If the images have them first, as in PyTorch, this is the
    first layer of the model. It only reorders the numbers, so dx_nchw = dy_nhwc.
    """

    mixes_steps: ClassVar[bool] = True
    keeps_values: ClassVar[bool] = True

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and (height, width, channels)."""
        check_axes(self, input_shape, "images", "channels", "height", "width", minimum=0)
        channels, height, width = input_shape
        return {}, (height, width, channels)

    def kept_values(self, inputs: HostArray) -> HostArray:
        """Return y, as the next layer may choose columns of it."""
        return np.moveaxis(inputs, 1, -1)

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, and None."""
        return backend.xp.permute_dims(x, (0, 2, 3, 1)), None

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dy with the channels first."""
        return backend.xp.permute_dims(dy, (0, 3, 1, 2)), {}
