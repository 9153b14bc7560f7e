"""Losses.

kink: where a derivative jumps. MeanAbsoluteError: where an error is 0. Huber: the second, at an error of
± δ.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from experiments.gradient_cases.base import HostArray, LossCase, Point, Shape
from multinn import (
    BinaryCrossEntropy,
    HalfSquaredError,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)


def zeros_and_ones(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return targets that are 0 or 1."""
    return generator.integers(2, size=shape)


def between_0_and_1(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return targets uniform in [0, 1)."""
    return generator.uniform(size=shape)


def classes(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return integer classes, for logits of that shape."""
    return generator.integers(shape[-1], size=shape[:-1])


def one_hot(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return random classes as one-hot vectors."""
    return np.eye(shape[-1])[classes(generator, shape)]


def distributions(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return probabilities in 64ths: in float32 too, they sum to 1 exactly."""
    return generator.multinomial(64, [1 / shape[-1]] * shape[-1], size=shape[:-1]) / 64


def _errors(point: Point) -> Any:
    return point.variables["outputs"] - point.constants["targets"]


def _errors_beyond(delta: float) -> Callable[[Point], HostArray]:
    return lambda point: np.abs(_errors(point)) - delta


_weighted = partial(LossCase, weighted=True)

CASES: tuple[LossCase, ...] = (
    LossCase("MeanSquaredError", MeanSquaredError(), (5, 3)),
    LossCase("MeanSquaredError 1-D", MeanSquaredError(), (5,)),
    _weighted("MeanSquaredError 3-D weighted", MeanSquaredError(), (4, 2, 3)),
    LossCase("HalfSquaredError", HalfSquaredError(), (5, 3)),
    _weighted("HalfSquaredError 3-D weighted", HalfSquaredError(), (4, 2, 3)),
    LossCase("MeanAbsoluteError", MeanAbsoluteError(), (5, 3), kink=_errors),
    _weighted("MeanAbsoluteError 3-D weighted", MeanAbsoluteError(), (4, 2, 3), kink=_errors),
    LossCase("Huber", Huber(), (5, 3), kink=_errors_beyond(1.0)),
    LossCase("Huber delta 0.4", Huber(0.4), (5, 3), kink=_errors_beyond(0.4)),
    _weighted("Huber 3-D weighted", Huber(), (4, 2, 3), kink=_errors_beyond(1.0)),
    LossCase("BinaryCrossEntropy", BinaryCrossEntropy(), (5, 1), zeros_and_ones),
    LossCase("BinaryCrossEntropy soft", BinaryCrossEntropy(), (5, 3), between_0_and_1),
    _weighted("BinaryCrossEntropy 3-D weighted", BinaryCrossEntropy(), (4, 2, 3), zeros_and_ones),
    LossCase("SoftmaxCrossEntropy", SoftmaxCrossEntropy(), (5, 4), classes),
    _weighted("SoftmaxCrossEntropy weighted", SoftmaxCrossEntropy(), (5, 4), classes),
    LossCase("SoftmaxCrossEntropy one-hot", SoftmaxCrossEntropy(), (5, 4), one_hot),
    _weighted("SoftmaxCrossEntropy one-hot weighted", SoftmaxCrossEntropy(), (5, 4), one_hot),
    LossCase("SoftmaxCrossEntropy soft", SoftmaxCrossEntropy(), (5, 4), distributions),
    LossCase("SoftmaxCrossEntropy smoothed", SoftmaxCrossEntropy(0.1), (5, 4), classes),
    LossCase("SoftmaxCrossEntropy one-hot smoothed", SoftmaxCrossEntropy(0.1), (5, 4), one_hot),
    LossCase("SoftmaxCrossEntropy 3-D", SoftmaxCrossEntropy(), (2, 3, 4), classes),
    _weighted("SoftmaxCrossEntropy 3-D weighted", SoftmaxCrossEntropy(), (4, 3, 5), classes),
    LossCase("SoftmaxCrossEntropy 3-D smoothed", SoftmaxCrossEntropy(0.2), (2, 3, 4), classes),
    LossCase("SoftmaxCrossEntropy 3-D one-hot", SoftmaxCrossEntropy(), (2, 3, 4), one_hot),
)
