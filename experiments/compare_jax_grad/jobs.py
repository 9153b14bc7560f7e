"""The five models of the comparison with `jax.grad`, each written twice, and their data."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from backends import HostArray
from experiments.competitors import plain_jax
from experiments.competitors.plain_jax import Forward, PlainLoss
from experiments.convnet import ARCHITECTURES, CLASSES, make_model
from experiments.sequence import models as sequence_models
from experiments.sequence.adding_problem import draw_sequences
from multinn import (
    Dense,
    Embedding,
    Layer,
    LayerNorm,
    Loss,
    MeanSquaredError,
    PositionEmbedding,
    Sequential,
    SoftmaxCrossEntropy,
    TransformerBlock,
)

Draw = Callable[[np.random.Generator, int], tuple[HostArray, HostArray]]

LEARNING_RATE: Final = 0.001


@dataclass(frozen=True)
class Job:
    """A model in multinn's layers and in plain JAX, with its data; it is trained with Adam.

    Attributes:
        name: the name in options and tables.
        description: the model and the batch.
        model: the model in multinn's layers.
        forward: the model in JAX, on the same parameters.
        loss: the loss in multinn.
        plain_loss: the loss in JAX.
        batch_size: examples in a step.
        steps: steps of an epoch.
        draw: takes a generator and the number of examples, and returns inputs and targets.
    """

    name: str
    description: str
    model: Sequential
    forward: Forward
    loss: Loss
    plain_loss: PlainLoss
    batch_size: int
    steps: int
    draw: Draw


def all_jobs() -> dict[str, Job]:
    """Return the jobs by name."""
    cross_entropy = (SoftmaxCrossEntropy(), plain_jax.cross_entropy)
    squared_error = (MeanSquaredError(), plain_jax.squared_error)
    heads = sequence_models.ATTENTION_HEADS
    jobs = [
        Job(
            "convnet-digits",
            "convolutions 3x3x16 and 3x3x32 on 8 x 8, batch 32",
            make_model("digits"),
            _plain_convnet("digits"),
            *cross_entropy,
            batch_size=32,
            steps=40,
            draw=partial(_images, size=8),
        ),
        Job(
            "convnet-mnist",
            "convolutions 5x5x8 and 5x5x16 on 28 x 28, batch 50",
            make_model("mnist"),
            _plain_convnet("mnist"),
            *cross_entropy,
            batch_size=50,
            steps=20,
            draw=partial(_images, size=28),
        ),
        Job(
            "lstm",
            "LSTM of 32 units over 50 steps, batch 50",
            sequence_models.lstm(padded=False),
            plain_jax.lstm,
            *squared_error,
            batch_size=50,
            steps=40,
            draw=_sequences,
        ),
        Job(
            "attention",
            "a transformer block of width 16 over 50 steps, batch 50",
            sequence_models.attention(padded=False),
            partial(plain_jax.attention, heads=heads),
            *squared_error,
            batch_size=50,
            steps=40,
            draw=_sequences,
        ),
        Job(
            "language",
            "69 characters, two blocks of width 128 over 64 steps, batch 32",
            language_model(vocabulary=69, width=128, heads=4, blocks=2),
            partial(plain_jax.language_model, heads=4),
            *cross_entropy,
            batch_size=32,
            steps=8,
            draw=partial(_text, vocabulary=69, context=64),
        ),
    ]
    return {job.name: job for job in jobs}


def language_model(vocabulary: int, width: int, heads: int, blocks: int) -> Sequential:
    """Return a transformer that predicts the next character at each step of a text."""
    hidden: list[Layer] = [TransformerBlock(width, heads, 4 * width, causal=True) for _ in range(blocks)]
    embedding = [Embedding(vocabulary, width), PositionEmbedding()]
    return Sequential([*embedding, *hidden, LayerNorm(), Dense(vocabulary)])


def _plain_convnet(dataset: str) -> Forward:
    _, _, padding = ARCHITECTURES[dataset]
    return partial(plain_jax.convnet, padding=padding.upper())


def _images(generator: np.random.Generator, examples: int, *, size: int) -> tuple[HostArray, HostArray]:
    x = generator.random((examples, size, size, 1))
    return x, generator.integers(0, CLASSES, examples).astype(np.int32)


def _sequences(generator: np.random.Generator, examples: int) -> tuple[HostArray, HostArray]:
    x, y = draw_sequences(generator, examples, steps=50, shortest=50)
    return x, y


def _text(
    generator: np.random.Generator, examples: int, *, vocabulary: int, context: int
) -> tuple[HostArray, HostArray]:
    text = generator.integers(0, vocabulary, (examples, context + 1)).astype(np.int32)
    return text[:, :-1], text[:, 1:]
