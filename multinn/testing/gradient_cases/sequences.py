"""Gradient cases of layers for sequences.

Kinks, where a derivative jumps: an input of 0 to ReLU in SimpleRNN; equal maxima in GlobalMaxPool1D.
"""

from functools import partial

import numpy as np

from backends import HostArray
from multinn import (
    GRU,
    LSTM,
    Bidirectional,
    Embedding,
    GlobalAveragePool1D,
    GlobalMaxPool1D,
    PositionalEncoding,
    PositionEmbedding,
    Sequential,
    SimpleRNN,
)
from multinn.testing.gradient_cases.base import LayerCase, Point, inputs

_SHAPE = (2, 3, 2)
_LENGTHS = (3, 2)


def _differences_of_steps(point: Point) -> HostArray:
    x = inputs(point)
    first, second, third = x[:, 0], x[:, 1], x[:, 2]
    return np.stack([first - second, first - third, second - third])


def _inputs_of_relu(point: Point) -> HostArray:
    params = point.variables["params"]
    h, z = np.zeros((2, 2)), []
    for x in inputs(point).swapaxes(0, 1):
        z.append(x @ params["W"] + params["b"] + h @ params["U"])
        h = np.maximum(z[-1], 0.0)
    return np.stack(z)


_TEXT = Sequential(
    [
        Embedding(4, 2, padding_id=0),
        PositionalEncoding(),
        Bidirectional(SimpleRNN(2, return_sequences=True), merge="sum"),
        GlobalAveragePool1D(),
    ]
)

_small = partial(LayerCase, "two steps of one number", shape=(2, 2, 1))

CASES: tuple[LayerCase, ...] = (
    LayerCase("Embedding", Embedding(4, 2), (3, 4), ids=4),
    LayerCase("PositionalEncoding", PositionalEncoding(), (2, 3, 5)),
    LayerCase("PositionEmbedding", PositionEmbedding(), (2, 3, 2)),
    LayerCase("PositionEmbedding steps", PositionEmbedding(steps=4), (2, 3, 2)),
    LayerCase("SimpleRNN", SimpleRNN(2), _SHAPE),
    LayerCase("SimpleRNN backwards", SimpleRNN(2, go_backwards=True), _SHAPE, lengths=_LENGTHS),
    LayerCase("SimpleRNN relu", SimpleRNN(2, activation="relu"), _SHAPE, kink=_inputs_of_relu),
    LayerCase("GRU", GRU(2), _SHAPE, lengths=_LENGTHS, smaller=_small(GRU(1), lengths=(2, 1))),
    LayerCase(
        "GRU sequences",
        GRU(2, return_sequences=True),
        _SHAPE,
        smaller=_small(GRU(1, return_sequences=True)),
    ),
    LayerCase(
        "GRU reset before",
        GRU(2, return_sequences=True, reset_after=False),
        _SHAPE,
        lengths=_LENGTHS,
        smaller=_small(GRU(1, reset_after=False), lengths=(2, 1)),
    ),
    LayerCase("LSTM", LSTM(2), _SHAPE, smaller=_small(LSTM(1))),
    LayerCase(
        "LSTM sequences",
        LSTM(2, return_sequences=True),
        _SHAPE,
        lengths=_LENGTHS,
        smaller=_small(LSTM(1, return_sequences=True), lengths=(2, 1)),
    ),
    LayerCase(
        "Bidirectional",
        Bidirectional(LSTM(2)),
        _SHAPE,
        lengths=_LENGTHS,
        smaller=_small(Bidirectional(LSTM(1)), lengths=(2, 1)),
    ),
    LayerCase("Sequential of ids", _TEXT, (2, 3), ids=4),
    LayerCase("GlobalAveragePool1D", GlobalAveragePool1D(), _SHAPE),
    LayerCase("GlobalAveragePool1D mask", GlobalAveragePool1D(), _SHAPE, lengths=_LENGTHS),
    LayerCase("GlobalMaxPool1D", GlobalMaxPool1D(), _SHAPE, kink=_differences_of_steps),
    LayerCase(
        "GlobalMaxPool1D mask", GlobalMaxPool1D(), _SHAPE, lengths=_LENGTHS, kink=_differences_of_steps
    ),
)
