"""The language model: a causal transformer of characters, and the texts that it writes."""

import argparse

import numpy as np

from backends import Backend, HostArray, tree
from experiments.language.text import UNCOUNTED, Text, training_windows
from multinn import (
    AdamW,
    Dense,
    Dropout,
    Embedding,
    LayerNorm,
    PositionEmbedding,
    Sequential,
    SoftmaxCrossEntropy,
    Trainer,
    TransformerBlock,
)
from multinn.schedules import CosineDecay

_WARMUP_SHARE = 0.05
_BETA_2 = 0.99  # the gradients of small batches change quickly
_HIDDEN_UNITS_PER_WIDTH = 4


def make_trainer(options: argparse.Namespace, text: Text, backend: Backend) -> Trainer:
    """Return an initialized trainer of the model.

    Raises:
        ValueError: the options do not fit together.
    """
    characters = len(text.characters)
    block = TransformerBlock(
        options.width,
        options.heads,
        _HIDDEN_UNITS_PER_WIDTH * options.width,
        options.dropout,
        causal=True,
    )
    model = Sequential(
        [
            Embedding(characters, options.width),
            PositionEmbedding(),
            Dropout(options.dropout),
            *[block] * options.blocks,
            LayerNorm(),
            Dense(characters),
        ]
    )
    x, _ = training_windows(text, options.context, options.batch_size)
    steps = options.epochs * len(x) // options.batch_size
    schedule = CosineDecay(options.learning_rate, steps, warmup_steps=round(_WARMUP_SHARE * steps))
    trainer = Trainer(
        model,
        SoftmaxCrossEntropy(ignored_class=UNCOUNTED),
        AdamW(schedule, beta_2=_BETA_2, weight_decay=options.weight_decay),
        backend=backend,
        dtype=options.dtype,
        seed=options.seed,
    )
    trainer.initialize((options.context,))
    return trainer


def parameter_count(trainer: Trainer) -> int:
    """Return the number of trained parameters."""
    return sum(leaf.size for leaf in tree.leaves(trainer.backend.to_numpy(trainer.params)))


def write_on(
    trainer: Trainer, prompt: HostArray, length: int, *, context: int, temperature: float, seed: int
) -> HostArray:
    """Let the model continue the prompt, character by character.

    Each character is drawn from softmax(logits / temperature) with random numbers from the seed, so
    backends whose logits agree write the same text. The model sees at most the last ``context``
    characters, at the beginning of its window; no position sees the ones after it.

    Args:
        trainer: the trainer of the model.
        prompt: the ids of at least one character.
        length: the number of characters to write.
        context: the length of the model's window.
        temperature: 1 for the model's own probabilities; a lower one prefers likely characters, and 0
            always takes the likeliest.
        seed: the seed of the random numbers.

    Returns:
        The ids of the prompt and of the written characters.
    """
    draws = np.random.default_rng(seed).random(length)
    ids = np.concatenate([prompt, np.zeros(length, prompt.dtype)])
    for place, draw in enumerate(draws.tolist(), len(prompt)):
        seen = ids[max(place - context, 0) : place]
        window = np.pad(seen, (0, context - len(seen)))
        logits = trainer.predict(window[None, :])[0, len(seen) - 1]
        ids[place] = pick(logits, temperature, draw)
    return ids


def pick(logits: HostArray, temperature: float, draw: float) -> int:
    """Return the class whose part of [0, 1) contains the draw.

    The parts have the lengths softmax(logits / temperature).

    >>> [pick(np.array([0.0, 0.0]), 1.0, draw) for draw in (0.2, 0.7)]
    [0, 1]
    """
    if temperature == 0.0:
        return int(np.argmax(logits))
    differences = (logits - np.max(logits)).astype(np.float64)
    ends = np.cumsum(np.exp(differences / temperature))
    return min(int(np.searchsorted(ends, draw * ends[-1], side="right")), len(ends) - 1)
