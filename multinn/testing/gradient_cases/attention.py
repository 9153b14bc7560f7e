"""Gradient cases of attention."""

from multinn import (
    Add,
    Dense,
    Embedding,
    Identity,
    Masking,
    MultiHeadAttention,
    Parallel,
    RelativePositionBias,
    Select,
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

# The additive mask is computed from x, too: (batch, time, time of C), or with an axis for the heads.
_BIASED = Sequential(
    [
        Parallel([Identity(), Sequential([Dense(2), Tanh()]), Dense(3)]),
        MultiHeadAttention(2, key_size=3, use_bias=False, scale=0.4, value_size=2),
    ]
)
_SMALL_BIASED = Sequential(
    [
        Parallel([Identity(), Identity(), Dense(2)]),
        MultiHeadAttention(1, key_size=1, use_bias=False, scale=0.4),
    ]
)

_SMALL_CROSS = Sequential(
    [
        Parallel([Identity(), Sequential([Dense(1), Tanh()])]),
        MultiHeadAttention(1, key_size=1, use_bias=False),
    ]
)

# Two inputs: steps that may be padding, and ids, of which 0 is padding. The sum has a residual branch.
_TWO_INPUTS = Sequential(
    [
        Parallel([Sequential([Select(0), Masking()]), Sequential([Select(1), Embedding(3, 2, 0)])]),
        Add([Select(0), MultiHeadAttention(1, use_bias=False)]),
    ]
)


def _block_across(features: int, first: bool) -> TransformerBlock:
    return TransformerBlock(
        *(features, 1, 2), activation=SiLU(), pre_normalization=first, cross_attention=True
    )


CASES: tuple[LayerCase, ...] = (
    LayerCase("RelativePositionBias", RelativePositionBias(2), (2, 3, 2), lengths=(3, 2)),
    # In the second example, all steps are padding.
    LayerCase(
        "MultiHeadAttention padded",
        MultiHeadAttention(2),
        (3, 3, 4),
        lengths=(2, 0, 3),
        smaller=LayerCase("small", MultiHeadAttention(1), (2, 2, 1), lengths=(2, 0)),
    ),
    LayerCase(
        "MultiHeadAttention causal training",
        MultiHeadAttention(2, causal=True, dropout=0.3),
        (2, 3, 4),
        training=True,
        smaller=LayerCase(
            "small", MultiHeadAttention(2, causal=True, dropout=0.3), (1, 2, 2), training=True
        ),
    ),
    LayerCase(
        "MultiHeadAttention cross no bias",
        _CROSS,
        (2, 3, 4),
        lengths=(2, 3),
        smaller=LayerCase("small", _SMALL_CROSS, (1, 2, 1), lengths=(2,)),
    ),
    LayerCase(
        "MultiHeadAttention additive mask",
        _BIASED,
        (2, 3, 4),
        lengths=(2, 3),
        smaller=LayerCase("small", _SMALL_BIASED, (1, 2, 1)),
    ),
    LayerCase(
        "MultiHeadAttention of two inputs",
        _TWO_INPUTS,
        ((2, 2, 2), (2, 3)),
        ids=(None, 3),
        smaller=LayerCase("small", _TWO_INPUTS, ((1, 1, 2), (1, 2)), ids=(None, 3)),
    ),
    LayerCase(
        "TransformerBlock",
        TransformerBlock(4, 2, 5, activation=SiLU()),
        (2, 3, 4),
        lengths=(2, 3),
        smaller=LayerCase(
            "small", TransformerBlock(1, 1, 1, activation=SiLU()), (1, 2, 1), lengths=(1,)
        ),
    ),
    LayerCase(
        "TransformerBlock post training",
        TransformerBlock(4, 2, 3, dropout=0.2, activation=SiLU(), pre_normalization=False),
        (2, 3, 4),
        training=True,
        smaller=LayerCase(
            "small",
            TransformerBlock(1, 1, 1, activation=SiLU(), pre_normalization=False),
            (1, 2, 1),
            training=True,
        ),
    ),
    *(
        LayerCase(
            f"TransformerBlock across {'first' if first else 'last'}",
            _block_across(4, first),
            ((2, 3, 4), (2, 2, 3)),
            smaller=LayerCase("small", _block_across(1, first), ((1, 2, 1), (1, 2, 1))),
        )
        for first in (True, False)
    ),
)
