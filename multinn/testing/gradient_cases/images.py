"""Gradient cases of layers for images."""

from collections.abc import Callable

import numpy as np

from backends import HostArray
from multinn import (
    AveragePool1D,
    AveragePool2D,
    ChannelsLast,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
)
from multinn.layers.images.geometry import Margins, Pair
from multinn.testing.gradient_cases.base import LayerCase, Point, inputs


def _lead_of_largest(
    size: int | Pair, stride: int | Pair, margins: int | Margins = 0, dilation: int | Pair = 1
) -> Callable[[Point], HostArray]:
    """Return a function that gives, for each window, the difference of its two largest entries."""
    (height, width), (down, across), (lower, wider) = (
        np.broadcast_to(each, 2).tolist() for each in (size, stride, dilation)
    )
    extent = (lower * (height - 1) + 1, wider * (width - 1) + 1)

    def lead(point: Point) -> HostArray:
        padding = ((0, 0), *np.broadcast_to(margins, (2, 2)).tolist(), (0, 0))
        images = np.pad(inputs(point), padding, constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(images, extent, axis=(1, 2))
        entries = windows[:, ::down, ::across, :, ::lower, ::wider].reshape(-1, height * width)
        first, second = np.sort(entries, axis=1)[:, :-3:-1].T
        return np.asarray(first - second)

    return lead


def _lead_in_pairs(point: Point) -> HostArray:
    """Return the differences of the entries that `MaxPool1D` compares."""
    return np.asarray(inputs(point)[:, 1::2] - inputs(point)[:, ::2])


CASES: tuple[LayerCase, ...] = (
    LayerCase("ChannelsLast", ChannelsLast(), (2, 3, 4, 5)),
    LayerCase("Conv2D", Conv2D(3, 2), (2, 4, 5, 2)),
    LayerCase("Conv2D no bias", Conv2D(2, (3, 1), use_bias=False), (3, 4, 3, 1)),
    LayerCase("Conv2D as large as the image", Conv2D(4, (3, 4)), (2, 3, 4, 2)),
    LayerCase("Conv2D stride 2", Conv2D(2, 3, 2), (2, 7, 6, 2)),
    LayerCase("Conv2D stride (1, 3)", Conv2D(2, 2, (1, 3)), (2, 3, 8, 2)),
    LayerCase("Conv2D same, stride (2, 3)", Conv2D(2, 3, (2, 3), "same"), (2, 4, 5, 2)),
    LayerCase(
        "Conv2D padded, dilated, groups",
        Conv2D(4, (3, 2), (2, 1), ((1, 2), (0, 1)), dilation=(3, 2), groups=2),
        (2, 5, 4, 4),
    ),
    LayerCase(
        "Conv2D row by row, groups", Conv2D(4, (3, 2), (1, 2), ((2, 1), (0, 1)), groups=2), (2, 4, 3, 6)
    ),
    LayerCase("Conv2D depthwise", Conv2D(2, (3, 4), (1, 2), "same", (1, 2), groups=2), (2, 3, 4, 2)),
    LayerCase(
        "Conv1D causal, dilated, masked",
        Conv1D(2, 3, padding="causal", dilation=2),
        (2, 5, 2),
        lengths=(5, 3),
    ),
    LayerCase("Conv1D depthwise, no bias", Conv1D(2, 2, 2, 1, groups=2, use_bias=False), (2, 5, 2)),
    LayerCase("ConvTranspose2D", ConvTranspose2D(4, 3), (2, 3, 2, 2)),
    LayerCase("ConvTranspose2D same", ConvTranspose2D(2, 3, (2, 1), "same"), (2, 2, 3, 2)),
    LayerCase(
        "ConvTranspose2D dilated, groups",
        ConvTranspose2D(2, 2, (3, 2), 1, (2, 0), (1, 3), groups=2, use_bias=False),
        (2, 2, 3, 4),
    ),
    LayerCase("ConvTranspose1D groups", ConvTranspose1D(2, 3, 2, (1, 0), 1, groups=2), (2, 3, 2)),
    LayerCase("MaxPool2D", MaxPool2D(), (2, 4, 4, 2), kink=_lead_of_largest(2, 2)),
    LayerCase("MaxPool2D ragged", MaxPool2D(), (2, 5, 3, 2), kink=_lead_of_largest(2, 2)),
    LayerCase("MaxPool2D overlapping", MaxPool2D(3, 2), (1, 5, 7, 2), kink=_lead_of_largest(3, 2)),
    LayerCase("MaxPool2D with gaps", MaxPool2D(2, 3), (1, 5, 8, 2), kink=_lead_of_largest(2, 3)),
    LayerCase("MaxPool2D padded", MaxPool2D(2, 2, 1), (1, 2, 4, 2), kink=_lead_of_largest(2, 2, 1)),
    LayerCase("MaxPool1D", MaxPool1D(), (2, 4, 2), kink=_lead_in_pairs),
    LayerCase(
        "MaxPool2D dilated up to the end",
        MaxPool2D(2, (1, 2), ((0, 1), (2, 0)), dilation=(2, 3), ceil_mode=True),
        (1, 4, 5, 2),
        kink=_lead_of_largest((2, 2), (1, 2), ((0, 1), (2, 1)), (2, 3)),
    ),
    LayerCase("AveragePool2D", AveragePool2D(), (2, 4, 5, 2)),
    LayerCase("AveragePool2D overlapping", AveragePool2D((3, 2), 1), (2, 4, 5, 2)),
    LayerCase("AveragePool2D same", AveragePool2D(3, 2, "same"), (1, 4, 5, 2)),
    LayerCase("AveragePool1D counting padding", AveragePool1D(3, 2, (1, 2), True), (2, 5, 2)),
    LayerCase(
        "AveragePool2D dilated up to the end",
        AveragePool2D(2, 2, 1, dilation=(2, 1), ceil_mode=True),
        (1, 4, 5, 2),
    ),
    LayerCase(
        "AveragePool1D to the end of padding",
        AveragePool1D(3, 2, (0, 1), True, ceil_mode=True),
        (2, 5, 2),
    ),
    LayerCase("GlobalAveragePool2D", GlobalAveragePool2D(), (2, 2, 3, 2)),
    LayerCase("GlobalMaxPool2D", GlobalMaxPool2D(), (2, 2, 3, 2), kink=_lead_of_largest((2, 3), (2, 3))),
)
