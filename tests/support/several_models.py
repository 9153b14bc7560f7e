"""Traces of models with several inputs and several outputs."""

import numpy as np

from multinn import (
    SGD,
    Add,
    Adam,
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
    "numbers and a category into two heads": Sequential(
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


def two_heads(dtype: str = "float64", *, steps: int = 1, weighted: bool = True) -> Trace:
    """Return a trace of numbers and a category into two heads, with weights for each head."""
    generator = np.random.default_rng(0)
    x = {"numbers": generator.normal(size=(6, 3)), "city": generator.integers(10, size=(6, 1))}
    y = {"price": generator.normal(size=(6, 1)), "kind": generator.integers(3, size=6)}
    losses = {"price": MeanSquaredError(), "kind": SoftmaxCrossEntropy()}
    loss = Heads(losses, {"price": 1.0, "kind": 0.5})
    model = MODELS["numbers and a category into two heads"]
    trainer = Trainer(model, loss, SGD(0.1), backend="numpy", dtype=dtype)
    weights = {"price": np.array([1.0, 0.0, 1.0, 2.0, 1.0, 1.0]), "kind": np.arange(6.0)}
    return trainer.trace(x, y, steps=steps, batch_size=4, weights=weights if weighted else None)


def cross_attention(dtype: str = "float64") -> Trace:
    """Return a trace of attention from one input to another, with a weight for each step."""
    generator = np.random.default_rng(0)
    x = {"target": generator.integers(1, 9, (2, 3)), "source": np.array([[1, 2, 3, 4], [5, 6, 0, 0]])}
    loss = SoftmaxCrossEntropy(ignored_class=-1)
    trainer = Trainer(MODELS["cross-attention"], loss, Adam(0.01), backend="numpy", dtype=dtype)
    return trainer.trace(
        x, [[1, 2, 3], [4, 0, -1]], weights=np.array([[1.0, 2.0, 0.0], [1.0, 1.0, 3.0]])
    )


def trees_within_trees(dtype: str = "float64") -> Trace:
    """Return a trace of nested inputs, whose names are those of a mask, and of nested outputs."""
    generator = np.random.default_rng(0)
    x = {"values": generator.normal(size=(4, 2)), "mask": generator.normal(size=(4, 3))}
    x["b"] = {"c": generator.normal(size=(4, 3))}
    y = {"q": (generator.normal(size=(4, 2)), generator.normal(size=(4, 1))), "r": np.arange(4) % 2}
    losses = {"q": Heads([MeanSquaredError(), MeanAbsoluteError()]), "r": SoftmaxCrossEntropy()}
    loss = Heads(losses, {"q": 2.0, "r": 0.0})
    trainer = Trainer(MODELS["trees within trees"], loss, SGD(0.1), backend="numpy", dtype=dtype)
    weights = {"q": (np.ones(4), np.array([0.0, 1.0, 1.0, 2.0])), "r": np.ones(4)}
    return trainer.trace(x, y, weights=weights)


SEVERAL = {
    "two heads": two_heads,
    "cross-attention": cross_attention,
    "trees within trees": trees_within_trees,
}
