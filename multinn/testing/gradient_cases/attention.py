"""Attention."""

from multinn import (
    Dense,
    Identity,
    MultiHeadAttention,
    Parallel,
    Sequential,
    SiLU,
    Tanh,
    TransformerBlock,
)
from multinn.testing.gradient_cases.base import LayerCase

_CROSS = Sequential(
    [
        Parallel([Identity(), Sequential([Dense(2), Tanh()])]),
        MultiHeadAttention(2, key_size=3, use_bias=False),
    ]
)

CASES: tuple[LayerCase, ...] = (
    # The second example has nothing to look at.
    LayerCase("MultiHeadAttention padded", MultiHeadAttention(2), (3, 3, 4), lengths=(2, 0, 3)),
    LayerCase(
        "MultiHeadAttention causal training",
        MultiHeadAttention(2, causal=True, dropout=0.3),
        (2, 3, 4),
        training=True,
    ),
    LayerCase("MultiHeadAttention cross no bias", _CROSS, (2, 3, 4), lengths=(2, 3)),
    LayerCase(
        "TransformerBlock",
        TransformerBlock(4, 2, 5, activation=SiLU()),
        (2, 3, 4),
        lengths=(2, 3),
    ),
    LayerCase(
        "TransformerBlock post training",
        TransformerBlock(4, 2, 3, dropout=0.2, activation=SiLU(), pre_normalization=False),
        (2, 3, 4),
        training=True,
    ),
)
