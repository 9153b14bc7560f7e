"""The models for the adding problem."""

from collections.abc import Callable
from typing import Final

from multinn import (
    LSTM,
    Dense,
    Flatten,
    GlobalAveragePool1D,
    Layer,
    Masking,
    PositionalEncoding,
    ReLU,
    Sequential,
    TransformerBlock,
)

LSTM_UNITS: Final = 32
ATTENTION_FEATURES: Final = 16
ATTENTION_HEADS: Final = 2
HIDDEN_UNITS: Final = 44  # of the feed-forward network; about as many parameters as the LSTM has


def lstm(*, padded: bool) -> Sequential:
    """Return an LSTM whose output after the last step gives the answer."""
    return Sequential([*_mask(padded), LSTM(LSTM_UNITS), Dense(1)])


def attention(*, padded: bool) -> Sequential:
    """Return a small transformer that averages its outputs over the steps."""
    block = TransformerBlock(
        ATTENTION_FEATURES, ATTENTION_HEADS, 2 * ATTENTION_FEATURES, activation=ReLU()
    )
    return Sequential(
        [
            *_mask(padded),
            Dense(ATTENTION_FEATURES),
            PositionalEncoding(),
            block,
            GlobalAveragePool1D(),
            Dense(1),
        ]
    )


def feed_forward(*, padded: bool) -> Sequential:
    """Return a network that sees all steps at once, padding included, with weights for each step."""
    del padded
    return Sequential([Flatten(), Dense(HIDDEN_UNITS), ReLU(), Dense(1)])


#: The models by their names on the command line; ``padded`` asks for a mask of the padding.
MODELS: Final[dict[str, Callable[..., Sequential]]] = {
    "lstm": lstm,
    "attention": attention,
    "feed-forward": feed_forward,
}


def _mask(padded: bool) -> list[Layer]:
    return [Masking()] if padded else []
