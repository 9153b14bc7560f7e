"""Runs of XOR for several test files: the published runs by hand, the script, the recipes."""

import subprocess
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from experiments.xor.recipes import RECIPES, Recipe, Run
from multinn import Trainer
from tests.support.helpers import run_experiment

# The published runs in plain NumPy, without code of this project.

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
Y = np.array([[0], [1], [1], [0]])


@dataclass
class HandWritten:
    losses: list[float]
    predictions: Any


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@cache
def notebook() -> HandWritten:
    np.random.seed(42)
    W1 = np.random.randn(2, 2)
    W2 = np.random.randn(2, 1)
    b1 = np.zeros((1, 2))
    b2 = np.zeros((1, 1))
    return train_by_hand(W1, b1, W2, b2, learning_rate=0.1, biases=True)


@cache
def classroom(biases: bool = False) -> HandWritten:
    np.random.seed(0)
    W1 = np.random.rand(2, 2)
    W2 = np.random.rand(2, 1)
    b1 = np.random.rand(1, 2)
    b2 = np.random.rand(1, 1)
    return train_by_hand(W1, b1, W2, b2, learning_rate=0.5, biases=biases)


def train_by_hand(W1, b1, W2, b2, learning_rate, biases) -> HandWritten:
    losses = []
    for _ in range(10_000):
        hidden = sigmoid(X @ W1 + b1)
        output = sigmoid(hidden @ W2 + b2)
        error = Y - output
        losses.append(np.mean(error**2))
        d_output = error * output * (1 - output)
        d_hidden = d_output @ W2.T * hidden * (1 - hidden)
        W2 = W2 + learning_rate * (hidden.T @ d_output)
        W1 = W1 + learning_rate * (X.T @ d_hidden)
        if biases:
            b2 = b2 + learning_rate * d_output.sum(axis=0, keepdims=True)
            b1 = b1 + learning_rate * d_hidden.sum(axis=0, keepdims=True)
    return HandWritten(losses, sigmoid(sigmoid(X @ W1 + b1) @ W2 + b2)[:, 0])


BY_HAND = {"notebook": notebook, "classroom": classroom}


def run_xor(*arguments: str, backend: str = "") -> subprocess.CompletedProcess[str]:
    """Run the script as a person does; `backend` is the environment variable."""
    return run_experiment("xor", *arguments, environment={"MULTINN_BACKEND": backend})


@cache
def trained(name: str, seed: int, epochs: int | None = None) -> tuple[Recipe, Run, Trainer]:
    """Return a recipe, its run from a seed, and the trainer, on the faster backend."""
    recipe = RECIPES[name] if epochs is None else replace(RECIPES[name], epochs=epochs)
    trainer = recipe.new_trainer("jax" if recipe.epochs > 1000 else "numpy")
    recipe.start(trainer, seed)
    return recipe, recipe.finish(trainer, recipe.fit(trainer, recipe.epochs)), trainer
