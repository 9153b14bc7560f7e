"""Models whose traces need each case of the formulas of layers, beyond `traced_models.LAYER_MODELS`."""

from dataclasses import dataclass

import numpy as np

from backends import HostArray, Shape
from multinn import (
    GRU,
    LSTM,
    Add,
    AveragePool1D,
    AveragePool2D,
    Bidirectional,
    ChannelsLast,
    Columns,
    Concatenate,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool1D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    Identity,
    Layer,
    Masking,
    MaxPool1D,
    MaxPool2D,
    MultiHeadAttention,
    Parallel,
    PReLU,
    RelativePositionBias,
    ReLU,
    Rescale,
    Residual,
    Select,
    Sequential,
    Sigmoid,
    SimpleRNN,
    Softmax,
    SpatialDropout,
    Tanh,
)
from multinn.initializers import Initializer, Uniform
from tests.support.traced_models import Traced

_GENERATOR = np.random.default_rng(0)


@dataclass(frozen=True)
class _HidesLater(Initializer):
    """Draw numbers for each distance, but -∞ for this step and all later ones."""

    def __call__(
        self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int
    ) -> HostArray:
        distances = np.arange(shape[-1]) - shape[-1] // 2
        return np.where(distances < 0, generator.normal(size=shape), -np.inf)


def _normal(*shape: int) -> HostArray:
    return _GENERATOR.normal(size=shape)


def _padded(x: HostArray, *lengths: int) -> HostArray:
    """Return sequences with zeros after so many time steps."""
    counts = np.arange(x.shape[1]) < np.array(lengths)[:, None]
    return np.where(counts[..., None], x, 0.0)


def _traced(x: HostArray, *layers: Layer) -> Traced:
    model = Sequential(layers)
    shape = model.init(np.random.default_rng(0), x.shape[1:])[1]
    return Traced(model, x, _normal(len(x), *shape))


FORMULA_MODELS = {
    "steep sigmoid": _traced(300.0 * _normal(4, 3), Sigmoid()),
    "softmax of large numbers": _traced(1000.0 + _normal(4, 3), Softmax()),
    "prelu of images": _traced(_normal(2, 3, 4, 2), Conv2D(2, 2), PReLU()),
    "rescaled images": _traced(_normal(3, 2, 2, 2), Rescale(), Rescale(2.0, 1.0), Flatten(), Dense(2)),
    "dropout": _traced(_normal(4, 3), Dense(6), Dropout(0.3), Dense(3), Dropout(0.0)),
    "dropout of channels": _traced(_normal(3, 4, 4, 2), Conv2D(4, 2), SpatialDropout(0.4)),
    "dropout of features": _traced(_normal(3, 4, 2), Dense(4), SpatialDropout(0.4)),
    "channels first": _traced(
        _normal(2, 3, 5, 4), ChannelsLast(), Conv2D(3, (2, 3), (2, 1), ((0, 1), (2, 1))), MaxPool2D(2, 1)
    ),
    "convolution with all options": _traced(
        _normal(2, 7, 6, 6), Conv2D(6, (3, 2), (2, 3), ((2, 1), (0, 2)), (2, 1), groups=3)
    ),
    "transposed convolution with all options": _traced(
        _normal(2, 3, 2, 4),
        ConvTranspose2D(6, (3, 2), (3, 2), ((1, 2), (0, 1)), (2, 1), (2, 1), groups=2),
    ),
    "transposed convolution, same": _traced(_normal(2, 3, 3, 2), ConvTranspose2D(2, 4, 2, "same")),
    "convolutions of sequences": _traced(
        _normal(2, 9, 2), Conv1D(3, 3, 2, "same", 2), Conv1D(3, 2, 1, (2, 0))
    ),
    "convolutions of masked sequences": _traced(
        _padded(_normal(3, 6, 2), 6, 3, 0),
        Masking(),
        Conv1D(4, 3, 1, "causal", 2, groups=2),
        Conv1D(3, 2, 1, "same"),
        GlobalMaxPool1D(),
    ),
    "overlapping windows": _traced(
        _normal(2, 7, 6, 2), MaxPool2D(3, (1, 2), "same"), AveragePool2D((3, 2), 2, ((1, 2), (0, 1)))
    ),
    "windows that count padding": _traced(_normal(2, 6, 5, 2), AveragePool2D(3, 2, 1, True)),
    "windows with gaps": _traced(_normal(2, 7, 6, 2), AveragePool2D(2, 3), MaxPool2D((1, 2), None, 0)),
    "windows of sequences": _traced(
        _normal(2, 8, 3), MaxPool1D(3, 1, "same"), AveragePool1D(3, 2, (1, 2)), MaxPool1D(2, 3)
    ),
    "equal maxima": _traced(np.round(_normal(2, 5, 5, 2)), MaxPool2D(3, 1, "same")),
    "equal maxima of images": _traced(np.round(_normal(2, 3, 4, 2)), GlobalMaxPool2D()),
    "pooling over masked steps": _traced(
        _padded(np.round(2.0 * _normal(4, 5, 3)), 5, 2, 0, 3),
        Masking(),
        Concatenate([GlobalMaxPool1D(), GlobalAveragePool1D()]),
    ),
    "pooling over all steps": _traced(
        _normal(4, 5, 3), Concatenate([GlobalMaxPool1D(), GlobalAveragePool1D()])
    ),
    "padding of 0.1": _traced(
        np.where(_padded(np.ones((3, 4, 2)), 4, 2, 1), _normal(3, 4, 2), 0.1), Masking(0.1), Dense(2)
    ),
    "residual convolution": _traced(
        _normal(2, 4, 4, 1),
        Conv2D(3, 3, padding="same"),
        Residual(Sequential([Conv2D(3, 3, padding="same"), ReLU()])),
        MaxPool2D(),
        Flatten(),
        Dense(2),
    ),
    "masked branches": _traced(
        _padded(_normal(3, 4, 3), 4, 2, 1),
        Masking(),
        Add([Dense(3), Identity(), Sequential([Dense(3), Tanh()])]),
        Residual(Dense(3), Dense(3)),
    ),
    "concatenation along each axis": _traced(
        _normal(2, 4, 3),
        Concatenate([Dense(3), Dense(3), Identity()], 1),
        Concatenate([Identity(), Tanh()], -2),
        Concatenate([Identity(), Dense(2)]),
    ),
    "both directions": _traced(
        _padded(_normal(3, 5, 2), 5, 3, 1),
        Masking(),
        Bidirectional(GRU(3, return_sequences=True)),
        Bidirectional(LSTM(2, return_sequences=True), "sum"),
        Bidirectional(SimpleRNN(2)),
    ),
    "a tuple of masked arrays": _traced(
        _padded(_normal(2, 3, 4), 3, 2),
        Masking(),
        Parallel([Dense(4), Identity()]),
        Identity(),
        MultiHeadAttention(2, 2),
    ),
    "heads by name": _traced(
        _normal(3, 4),
        Parallel({"wide": Dense(3), "same": Tanh()}),
        Parallel([Select("same"), Sequential([Select("wide"), Columns((2, 0))])]),
        Concatenate([Select(1), Select(0)]),
    ),
    "hidden relative positions": _traced(
        _normal(2, 3, 4),
        Parallel([Identity(), Identity(), RelativePositionBias(2, _HidesLater())]),
        MultiHeadAttention(2),
    ),
    "relative positions": _traced(
        _normal(2, 3, 4),
        Parallel([Dense(4), Identity(), RelativePositionBias(2, Uniform())]),
        MultiHeadAttention(2, scale=0.3),
    ),
}
