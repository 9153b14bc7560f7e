"""Ten examples, a small model and trainers for the tests of the trainer."""

from functools import cache
from typing import Any

import numpy as np

from backends import Backend, Tree, tree
from multinn import Adam, Dense, Dropout, Layer, Loss, MeanSquaredError, Sequential, Tanh, Trainer

_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(10, 3)).astype(np.float32)
Y = _RNG.normal(size=(10, 2)).astype(np.float32)
CLASSES = _RNG.integers(0, 2, 10)
WEIGHTS = _RNG.integers(0, 4, 10).astype(np.float32)

MODEL = Sequential([Dense(4), Tanh(), Dropout(0.3), Dense(2)])
PLAIN = Sequential([Dense(4), Tanh(), Dense(2)])


def make_trainer(
    backend: str | Backend = "numpy", model: Layer = MODEL, loss: Loss | None = None, **keywords: Any
) -> Trainer:
    """Return a trainer, by default with shuffling and dropout."""
    arguments = {"optimizer": Adam(0.01)} | keywords
    return Trainer(model, loss or MeanSquaredError(), backend=backend, **arguments)


def fit(trainer: Trainer, epochs: int, **keywords: Any) -> Trainer:
    """Train on the ten examples, in batches of 4, 4 and 2, and return the trainer."""
    arguments = {"x": X, "y": Y, "batch_size": 4, "progress": False} | keywords
    trainer.fit(epochs=epochs, **arguments)
    return trainer


@cache
def reference_run(backend: Backend, epochs: int, dtype: str = "float32") -> Trainer:
    """Return a trainer after an uninterrupted run; tests must not change it."""
    return fit(make_trainer(backend, dtype=dtype), epochs)


def host(trainer: Trainer) -> tuple[Tree, Tree]:
    """Return the parameters and the state of the optimizer as NumPy arrays."""
    changing: tuple[Tree, Tree] = trainer.backend.to_numpy((trainer.params, trainer.optimizer_state))
    return changing


def assert_same_bits(one: Trainer, other: Trainer) -> None:
    """Compare everything that training changes."""
    tree.map(np.testing.assert_array_equal, host(one), host(other))
    assert (one.epoch, one.step) == (other.epoch, other.step)
    assert one.history.losses == other.history.losses
