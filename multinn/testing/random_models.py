"""Random models of all layers, as gradient cases."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from backends import HostArray, Shape, Tree, get_backend, tree
from multinn import layers
from multinn.host.trees import map_shapes, shape_of
from multinn.layers import Layer, Sequential
from multinn.layers.base import with_mask
from multinn.testing.gradient_cases.base import LayerCase

_ATTEMPTS = 1000
_MOST_NUMBERS = 250  # in an output of a layer
_EPSILON = 0.1  # of normalizations: a small one multiplies rounding errors
_VOCABULARY = 7
_KINDS = (  # of inputs
    *["features", *["images"] * 3, *["sequences"] * 2, "masked", "ids"],
    *["numbers and ids", "queries and context"],
)


@dataclass(frozen=True)
class Draws:
    """Random hyperparameters, from one generator.

    Attributes:
        generator: the generator.
        depth: how many containers may enclose each other.
    """

    generator: np.random.Generator
    depth: int = 2

    def number(self, low: int, high: int) -> int:
        """Return an integer between two, both included."""
        return int(self.generator.integers(low, high + 1))

    def pair(self, low: int, high: int) -> tuple[int, int]:
        """Return two integers."""
        return self.number(low, high), self.number(low, high)

    def one_of(self, *choices: Any) -> Any:
        """Return one of the choices."""
        return choices[self.number(0, len(choices) - 1)]

    def flag(self) -> bool:
        """Return True or False."""
        return self.number(0, 1) == 1

    def layer(self, shape: Shape) -> Layer:
        """Return a layer that may not fit examples of that shape."""
        draws, makers = self, self.one_of(_LAYERS, _OF_RANK.get(len(shape), _LAYERS))
        if self.depth and self.number(0, 4) == 0:
            draws, makers = Draws(self.generator, self.depth - 1), _CONTAINERS
        made: Layer = self.one_of(*makers)(draws, shape)
        return made


def random_case(seed: int) -> LayerCase:
    """Return a model of up to seven layers that fit together, on inputs of a random shape.

    The inputs are features, images, sequences with or without a mask, ids, or two of these. Some models
    end in several outputs. Half of the models train, so that dropout draws masks.

    Args:
        seed: 0 or more.

    Raises:
        RuntimeError: no layer fits.
    """
    draws = Draws(np.random.default_rng([seed, *b"random models"]))
    kind = draws.one_of(*_KINDS)
    batch, lengths, model = draws.number(1, 4), None, None
    shape: Any = (draws.number(2, 6), draws.number(1, 5))
    ids: Any = None
    if kind == "features":
        shape = shape[1:]
    elif kind == "images":
        shape = (*draws.pair(3, 6), draws.number(1, 4))
    elif kind == "ids":
        shape, ids = shape[:1], _VOCABULARY
        model = Sequential([_embedding(draws)])
    elif kind == "numbers and ids":
        shape, ids = {"numbers": shape[1:], "city": (draws.number(1, 2),)}, {"city": _VOCABULARY}
        embedded = [layers.Select("city"), _embedding(draws, None), layers.Flatten()]
        model = Sequential([layers.Concatenate([layers.Select("numbers"), Sequential(embedded)])])
    elif kind == "queries and context":
        shape, ids = (shape, (draws.number(2, 5),)), (None, _VOCABULARY)
        pair = [layers.Select(0), Sequential([layers.Select(1), _embedding(draws)])]
        attention = layers.MultiHeadAttention(1, use_bias=draws.flag())
        across = layers.Add([layers.Select(0), attention])
        block = _transformer(draws, shape[0], cross_attention=True)
        model = Sequential([layers.Parallel(pair), draws.one_of(across, block)])
    elif kind == "masked":
        lengths = tuple(draws.number(0 if row else 1, shape[0]) for row in range(batch))
    mask = None if lengths is None else np.arange(shape[0]) < np.array(lengths)[:, None]
    shape = map_shapes(lambda own: (batch, *own), shape)
    x = map_shapes(np.zeros, shape)
    for _ in range(draws.number(2, 5)):
        model = _with_another_layer(draws.layer, model, x, mask)
    if draws.number(0, 7) == 0:
        model = _with_another_layer(partial(_heads, draws), model, x, mask)
    assert model is not None
    return LayerCase(f"random {seed}", model, shape, training=draws.flag(), lengths=lengths, ids=ids)


def _with_another_layer(
    make: Callable[[Shape], Layer], model: Sequential | None, x: Tree, mask: HostArray | None
) -> Sequential:
    """Return the model with another layer at its end, which takes the outputs of those before it."""
    known = () if model is None else model.layers
    shape = shape_of(x) if model is None else model.init(np.random.default_rng(0), shape_of(x))[1]
    for _ in range(_ATTEMPTS):
        try:
            candidate = Sequential([*known, make(shape)])
            params, output_shape = candidate.init(np.random.default_rng(0), shape_of(x))
            candidate.forward_with_state(
                get_backend("numpy:eager"), params, candidate.init_state(params), with_mask(x, mask)
            )
        except ValueError:
            continue
        if all(0 < size <= _MOST_NUMBERS for size in tree.leaves(map_shapes(math.prod, output_shape))):
            return candidate
    raise RuntimeError(f"no layer takes the outputs of {model!r}, of shape {shape}")


def _heads(draws: Draws, shape: Shape) -> Layer:
    heads = [draws.layer(shape), draws.layer(shape)]
    return layers.Parallel(heads, draws.one_of(None, ["price", "kind"]))


def _embedding(draws: Draws, *padding_ids: int | None) -> Layer:
    return layers.Embedding(_VOCABULARY, draws.number(1, 5), draws.one_of(*padding_ids or (None, 0)))


Maker = Callable[[Draws, Shape], Layer]


def _recurrent(draws: Draws, shape: Shape) -> Any:
    options: dict[str, Any] = {"return_sequences": draws.flag(), "go_backwards": draws.flag()}
    kind = draws.one_of(layers.SimpleRNN, layers.GRU, layers.LSTM)
    if kind is layers.SimpleRNN:
        options["activation"] = draws.one_of("tanh", "relu")
    elif kind is layers.GRU:
        options["reset_after"] = draws.flag()
    return kind(draws.number(1, 4), **options)


def _bidirectional(draws: Draws, shape: Shape) -> Layer:
    return layers.Bidirectional(_recurrent(draws, shape), draws.one_of("concatenate", "sum"))


def _attention(draws: Draws, shape: Shape) -> layers.MultiHeadAttention:
    return layers.MultiHeadAttention(
        draws.number(1, 2),
        draws.one_of(None, 1, 3),
        causal=draws.flag(),
        use_bias=draws.flag(),
        dropout=draws.one_of(0.0, 0.3),
        scale=draws.one_of(None, 0.4),
        value_size=draws.one_of(None, None, 2),
    )


def _cross_attention(draws: Draws, shape: Shape) -> Layer:
    branches = layers.Parallel([draws.layer(shape), draws.layer(shape)])
    return Sequential([branches, _attention(draws, shape)])


def _attention_with_additive_mask(draws: Draws, shape: Shape) -> Layer:
    attention = _attention(draws, shape)
    mask = draws.one_of(layers.Dense(shape[0]), layers.RelativePositionBias(attention.heads))
    branches = layers.Parallel([draws.layer(shape), layers.Identity(), mask])
    return Sequential([branches, attention])


def _transformer(draws: Draws, shape: Shape, *, cross_attention: bool = False) -> Layer:
    return layers.TransformerBlock(
        shape[-1],
        1 if cross_attention else draws.number(1, 2),  # any number of features has one head
        draws.number(1, 5),
        draws.one_of(0.0, 0.2),
        causal=draws.flag(),
        activation=_activation(draws, shape),
        pre_normalization=draws.flag(),
        cross_attention=cross_attention,
    )


def _activation(draws: Draws, shape: Shape) -> Layer:
    drawn: Layer = draws.one_of(
        layers.ELU(draws.one_of(1.0, 0.5)),
        layers.GELU(draws.one_of("none", "tanh")),
        layers.HardSwish(),
        layers.LeakyReLU(draws.one_of(0.01, 0.3)),
        layers.Mish(),
        layers.ReLU(),
        layers.ReLU6(),
        layers.SiLU(),
        layers.Sigmoid(),
        layers.Softplus(),
        layers.Softsign(),
        layers.Tanh(),
    )
    return drawn


def _pooling(draws: Draws, shape: Shape) -> Layer:
    is_1d = len(shape) == 2
    each, margins = (draws.number, (0, 1)) if is_1d else (draws.pair, ((0, 1), (1, 0)))
    options: dict[str, Any] = {
        "pool_size": each(1, 3),
        "stride": draws.one_of(None, 1, 2, each(1, 3)),
        "padding": draws.one_of("valid", "valid", "same", 1, margins),
        "dilation": each(1, 2),
        "ceil_mode": draws.flag(),
    }
    if draws.flag():
        return layers.MaxPool1D(**options) if is_1d else layers.MaxPool2D(**options)
    options["count_padding"] = draws.flag()
    return layers.AveragePool1D(**options) if is_1d else layers.AveragePool2D(**options)


def _convolution(draws: Draws, shape: Shape) -> Layer:
    is_1d = len(shape) == 2
    each, transposed = draws.number if is_1d else draws.pair, draws.flag()
    options: dict[str, Any] = {
        "filters": draws.number(1, 4),
        "kernel_size": each(1, 3),
        "stride": each(1, 2),
        "dilation": each(1, 2),
        "groups": draws.number(1, 2),
        "use_bias": draws.flag(),
    }
    paddings: tuple[Any, ...] = ("valid", "same", 1)
    if transposed:
        options |= {"padding": draws.one_of(*paddings), "output_padding": draws.one_of(0, 0, 1)}
        return layers.ConvTranspose1D(**options) if is_1d else layers.ConvTranspose2D(**options)
    paddings += ("causal", (2, 0)) if is_1d else (((1, 0), (0, 2)),)
    options["padding"] = draws.one_of(*paddings)
    return layers.Conv1D(**options) if is_1d else layers.Conv2D(**options)


def _selected(draws: Draws, shape: Shape) -> Layer:
    branches = {"one": draws.layer(shape), "other": draws.layer(shape)}
    return Sequential([layers.Parallel(branches), layers.Select(draws.one_of(*branches))])


def _columns(draws: Draws, shape: Shape) -> Layer:
    order = draws.generator.permutation(shape[-1])
    return layers.Columns(tuple(order[: draws.number(1, len(order))]))


def _sequential(draws: Draws, shape: Shape) -> Layer:
    return Sequential([draws.layer(shape) for _ in range(draws.number(1, 3))])


def _residual(draws: Draws, shape: Shape) -> Layer:
    inner = draws.layer(shape)
    return layers.Residual(inner, draws.layer(shape)) if draws.flag() else layers.Residual(inner)


def _add(draws: Draws, shape: Shape) -> Layer:
    return layers.Add([draws.layer(shape) for _ in range(draws.number(1, 3))])


def _concatenate(draws: Draws, shape: Shape) -> Layer:
    branches = [draws.layer(shape) for _ in range(draws.number(1, 3))]
    return layers.Concatenate(branches, draws.one_of(-1, 1))


# For inputs of any shape.
_LAYERS: tuple[Maker, ...] = (
    lambda draws, shape: layers.Dense(draws.number(1, 5), use_bias=draws.flag()),
    _activation,
    _activation,
    _activation,
    lambda draws, shape: layers.PReLU(),
    lambda draws, shape: layers.Softmax(),
    lambda draws, shape: layers.Identity(),
    _columns,
    lambda draws, shape: layers.Rescale(0.5, -0.2),
    lambda draws, shape: layers.BatchNorm(epsilon=_EPSILON),
    lambda draws, shape: layers.LayerNorm(_EPSILON, draws.number(1, 2)),
    lambda draws, shape: layers.RMSNorm(_EPSILON, draws.number(1, 2)),
    lambda draws, shape: layers.GroupNorm(draws.number(1, 2), _EPSILON),
    lambda draws, shape: layers.Dropout(0.3),
    lambda draws, shape: Sequential([layers.Flatten(), layers.Dense(draws.number(1, 5))]),
)

_OF_RANK: dict[int, tuple[Maker, ...]] = {
    2: (
        _recurrent,
        _bidirectional,
        _attention,
        _cross_attention,
        _attention_with_additive_mask,
        _transformer,
        *[_convolution, _pooling] * 4,
        lambda draws, shape: layers.GlobalAveragePool1D(),
        lambda draws, shape: layers.GlobalMaxPool1D(),
        lambda draws, shape: layers.Masking(),
        lambda draws, shape: layers.PositionalEncoding(),
        lambda draws, shape: layers.PositionEmbedding(steps=draws.one_of(None, shape[0] + 1)),
        lambda draws, shape: layers.SpatialDropout(0.3),
    ),
    3: (
        *[_convolution, _pooling] * 4,
        lambda draws, shape: layers.ChannelsLast(),
        lambda draws, shape: layers.GlobalAveragePool2D(),
        lambda draws, shape: layers.GlobalMaxPool2D(),
        lambda draws, shape: layers.SpatialDropout(0.3),
    ),
}

_CONTAINERS: tuple[Maker, ...] = (_sequential, _residual, _add, _concatenate, _selected)


def parts_of(layer: Layer) -> list[Layer]:
    """Return the layer and all layers in it."""
    children = layer.children if isinstance(layer, layers.Container) else ()
    return [layer, *(part for child in children for part in parts_of(child))]
