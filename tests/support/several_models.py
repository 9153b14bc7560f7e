"""Models with several inputs and several outputs, with examples."""

from typing import Any, NamedTuple

import numpy as np

from multinn import (
    SGD,
    Adam,
    Add,
    Columns,
    Concatenate,
    Dense,
    Embedding,
    Flatten,
    Heads,
    Identity,
    MeanAbsoluteError,
    MeanSquaredError,
    MultiHeadAttention,
    Parallel,
    PositionEmbedding,
    ReLU,
    Select,
    Sequential,
    SoftmaxCrossEntropy,
    Trainer,
)
from multinn.tracing import Trace

_PAIR = Sequential([Select("b"), Select("c")])
MODELS = {
    "two heads": Sequential(
        [
            Concatenate([Select("numbers"), Sequential([Select("city"), Embedding(10, 2), Flatten()])]),
            Dense(4),
            ReLU(),
            Parallel({"price": Dense(1), "kind": Dense(3)}),
        ]
    ),
    "cross-attention": Sequential(
        [
            Parallel(
                [
                    Sequential([Select("target"), Embedding(9, 4), PositionEmbedding()]),
                    Sequential([Select("source"), Embedding(9, 4, padding_id=0), PositionEmbedding()]),
                ]
            ),
            Add([Select(0), MultiHeadAttention(2)]),
            Dense(5),
        ]
    ),
    "trees within trees": Sequential(
        [
            Parallel([Identity(), Parallel({"2": Sequential([_PAIR, Columns((2, 0))]), "1": _PAIR})]),
            Parallel(
                {
                    "q": Parallel(
                        [
                            Sequential([Select(0), Select("mask"), Dense(2)]),
                            Sequential([Select(1), Select("2"), Dense(1)]),
                        ]
                    ),
                    "r": Sequential([Select(1), Select("1"), Dense(2)]),
                }
            ),
        ]
    ),
}


class Several(NamedTuple):
    """A trainer, and examples with weights for their targets."""

    trainer: Trainer
    x: Any
    y: Any
    weights: Any

    def trace(self, **options: Any) -> Trace:
        """Return a trace of the next steps."""
        return self.trainer.trace(self.x, self.y, weights=self.weights, **options)


def two_heads(dtype: str = "float64") -> Several:
    """Return numbers and a category with two targets, with weights of the examples for each of them."""
    generator = np.random.default_rng(0)
    x = {"numbers": generator.normal(size=(6, 3)), "city": generator.integers(10, size=(6, 1))}
    y = {"price": generator.normal(size=(6, 1)), "kind": generator.integers(3, size=6)}
    losses = {"price": MeanSquaredError(), "kind": SoftmaxCrossEntropy()}
    loss = Heads(losses, {"price": 1.0, "kind": 0.5})
    weights = {"price": np.array([1.0, 0.0, 1.0, 2.0, 1.0, 1.0]), "kind": np.arange(6.0)}
    trainer = Trainer(MODELS["two heads"], loss, SGD(0.1), backend="numpy", dtype=dtype)
    return Several(trainer, x, y, weights)


def cross_attention(dtype: str = "float64") -> Several:
    """Return two sequences, of which one has padding, with classes and a weight for each step."""
    generator = np.random.default_rng(0)
    x = {"target": generator.integers(1, 9, (2, 3)), "source": np.array([[1, 2, 3, 4], [5, 6, 0, 0]])}
    y, weights = np.array([[1, 2, 3], [4, 0, -1]]), np.array([[1.0, 2.0, 0.0], [1.0, 1.0, 3.0]])
    loss = SoftmaxCrossEntropy(ignored_class=-1)
    trainer = Trainer(MODELS["cross-attention"], loss, Adam(0.01), backend="numpy", dtype=dtype)
    return Several(trainer, x, y, weights)


def trees_within_trees(dtype: str = "float64") -> Several:
    """Return nested inputs, two of them with the names that traces give to masks, and nested targets."""
    generator = np.random.default_rng(0)
    pair = {"values": generator.normal(size=(4, 2)), "mask": generator.normal(size=(4, 3))}
    x = pair | {"b": {"c": generator.normal(size=(4, 3))}}
    y = {"q": (generator.normal(size=(4, 2)), generator.normal(size=(4, 1))), "r": np.arange(4) % 2}
    losses = {"q": Heads([MeanSquaredError(), MeanAbsoluteError()]), "r": SoftmaxCrossEntropy()}
    loss = Heads(losses, {"q": 2.0, "r": 0.0})
    weights = {"q": (np.ones(4), np.array([0.0, 1.0, 1.0, 2.0])), "r": np.ones(4)}
    trainer = Trainer(MODELS["trees within trees"], loss, SGD(0.1), backend="numpy", dtype=dtype)
    return Several(trainer, x, y, weights)


SEVERAL = {
    "two heads": two_heads,
    "cross-attention": cross_attention,
    "trees within trees": trees_within_trees,
}
