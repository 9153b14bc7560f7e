"""Layers of images."""

from collections.abc import Callable

import numpy as np

from experiments.gradient_cases.base import HostArray, LayerCase, Point, inputs
from multinn import AveragePool2D, ChannelsLast, Conv2D, MaxPool2D


def _lead_of_largest(size: int, stride: int) -> Callable[[Point], HostArray]:
    """Return what gives, for each window of images, by how much its largest entry leads."""

    def lead(point: Point) -> HostArray:
        windows = np.lib.stride_tricks.sliding_window_view(inputs(point), (size, size), axis=(1, 2))
        entries = windows[:, ::stride, ::stride].reshape(-1, size * size)
        first, second = np.sort(entries, axis=1)[:, :-3:-1].T
        return np.asarray(first - second)

    return lead


CASES: tuple[LayerCase, ...] = (
    LayerCase("ChannelsLast", ChannelsLast(), (2, 3, 4, 5)),
    LayerCase("Conv2D", Conv2D(3, 2), (2, 4, 5, 2)),
    LayerCase("Conv2D no bias", Conv2D(2, (3, 1), use_bias=False), (3, 4, 3, 1)),
    LayerCase("Conv2D as large as the image", Conv2D(4, (3, 4)), (2, 3, 4, 2)),
    LayerCase("Conv2D stride 2", Conv2D(2, 3, 2), (2, 7, 6, 2)),
    LayerCase("Conv2D stride (1, 3)", Conv2D(2, 2, (1, 3)), (2, 3, 8, 2)),
    LayerCase("MaxPool2D", MaxPool2D(), (2, 4, 4, 2), kink=_lead_of_largest(2, 2)),
    LayerCase("MaxPool2D ragged", MaxPool2D(), (2, 5, 3, 2), kink=_lead_of_largest(2, 2)),
    LayerCase("MaxPool2D overlapping", MaxPool2D(3, 2), (1, 5, 7, 2), kink=_lead_of_largest(3, 2)),
    LayerCase("MaxPool2D with gaps", MaxPool2D(2, 3), (1, 5, 8, 2), kink=_lead_of_largest(2, 3)),
    LayerCase("AveragePool2D", AveragePool2D(), (2, 4, 5, 2)),
    LayerCase("AveragePool2D overlapping", AveragePool2D((3, 2), 1), (2, 4, 5, 2)),
)
