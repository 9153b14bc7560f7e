"""Gradient cases of the layers of a perceptron."""

from multinn import Dense, Dropout, Flatten, Rescale
from multinn.testing.gradient_cases.base import LayerCase

CASES: tuple[LayerCase, ...] = (
    LayerCase("Dense", Dense(4), (5, 3)),
    LayerCase("Dense 3-D", Dense(4), (2, 3, 5)),
    LayerCase("Dense no bias", Dense(4, use_bias=False), (5, 3)),
    LayerCase("Dense 3-D no bias", Dense(4, use_bias=False), (2, 3, 5)),
    LayerCase("Dense one to one", Dense(1), (1, 1)),
    LayerCase("Dropout training", Dropout(0.4), (4, 6), training=True),
    LayerCase("Dropout inference", Dropout(0.4), (4, 6)),
    LayerCase("Rescale", Rescale(0.5, -1.5), (4, 6)),
    LayerCase("Flatten", Flatten(), (2, 3, 4)),
)
