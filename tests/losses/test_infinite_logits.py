"""Logits of minus infinity, of classes that are impossible, and other infinite or NaN outputs."""

import math
from typing import Any

import numpy as np
import pytest

from multinn import (
    CTC,
    BinaryCrossEntropy,
    BinaryFocal,
    Focal,
    Hinge,
    KLDivergence,
    Loss,
    MeanSquaredError,
    MultiClassHinge,
    Poisson,
    SoftmaxCrossEntropy,
)
from multinn.sklearn.losses import HalfPoissonDeviance
from tests.support.loss_calls import per_example

IMPOSSIBLE = [0.0, -np.inf, 0.0]  # logits of three classes, the second of probability 0
SIGNS = [-np.inf, np.inf, -np.inf, np.inf]
ZEROS_AND_ONES = [0, 1, 1, 0]  # the first two are right, the others as wrong as can be
SLOPE = 0.25 * (1.0 + 2.0 * math.log(2.0))  # r² (1 + γ q c) with r = q = 1/2, γ = 2 and c = 2 log 2

# For each: outputs, targets, the loss and its gradient, worked out by hand with 0 log 0 = 0.
INFINITE: dict[Loss, list[tuple[Any, Any, float, Any]]] = {
    SoftmaxCrossEntropy(): [
        (IMPOSSIBLE, 0, math.log(2.0), [-0.5, 0.0, 0.5]),
        (IMPOSSIBLE, 1, math.inf, [0.5, -1.0, 0.5]),
        (IMPOSSIBLE, [0.5, 0.0, 0.5], math.log(2.0), [0.0, 0.0, 0.0]),
        (IMPOSSIBLE, [0.5, 0.5, 0.0], math.inf, [0.0, -0.5, 0.5]),
    ],
    SoftmaxCrossEntropy(label_smoothing=0.3): [(IMPOSSIBLE, 0, math.inf, [-0.3, -0.1, 0.4])],
    KLDivergence(): [
        (IMPOSSIBLE, [0.5, 0.0, 0.5], 0.0, [0.0, 0.0, 0.0]),
        (IMPOSSIBLE, [1.0, 0.0, 0.0], math.log(2.0), [-0.5, 0.0, 0.5]),
        (IMPOSSIBLE, [0.5, 0.5, 0.0], math.inf, [0.0, -0.5, 0.5]),
    ],
    Focal(): [
        (IMPOSSIBLE, 0, 0.25 * math.log(2.0), [-0.5 * SLOPE, 0.0, 0.5 * SLOPE]),
        (IMPOSSIBLE, 1, math.inf, [0.5, -1.0, 0.5]),
    ],
    Focal(alpha=(1.0, 0.0, 1.0)): [(IMPOSSIBLE, 1, 0.0, [0.0, 0.0, 0.0])],
    MultiClassHinge(): [
        ([0.0, -np.inf, 0.5], 0, 0.5, [-1.0 / 3.0, 0.0, 1.0 / 3.0]),
        (IMPOSSIBLE, 1, math.inf, [1.0 / 3.0, -2.0 / 3.0, 1.0 / 3.0]),
    ],
    BinaryCrossEntropy(): [
        (SIGNS[:2], ZEROS_AND_ONES[:2], 0.0, [0.0, 0.0]),
        (SIGNS[2:], ZEROS_AND_ONES[2:], math.inf, [-0.5, 0.5]),
        (SIGNS[:2], [0.25, 0.25], math.inf, [-0.125, 0.375]),
    ],
    BinaryFocal(): [
        (SIGNS[:2], ZEROS_AND_ONES[:2], 0.0, [0.0, 0.0]),
        (SIGNS[2:], ZEROS_AND_ONES[2:], math.inf, [-0.5, 0.5]),
    ],
    BinaryFocal(alpha=1.0): [([np.inf], [0], 0.0, [0.0])],
    Hinge(): [
        (SIGNS[:2], ZEROS_AND_ONES[:2], 0.0, [0.0, 0.0]),
        (SIGNS[2:], ZEROS_AND_ONES[2:], math.inf, [-0.5, 0.5]),
    ],
    Poisson(full=True): [([-np.inf], [0], 0.0, [0.0]), ([-np.inf], [3], math.inf, [-3.0])],
    HalfPoissonDeviance(): [([-np.inf], [0], 0.0, [0.0]), ([-np.inf], [3], math.inf, [-3.0])],
}


@pytest.mark.parametrize("loss", INFINITE, ids=str)
def test_logits_may_be_infinite(backend, loss):
    for outputs, target, value, expected in INFINITE[loss]:
        targets = np.array([target])
        values, gradient = per_example(backend, loss, np.array([outputs], np.float32), targets)
        np.testing.assert_allclose(values, [value], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(gradient, [expected], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"], indirect=True)
@pytest.mark.parametrize("loss", [*INFINITE, MeanSquaredError(), CTC()], ids=str)
def test_outputs_that_are_nan_give_no_finite_loss(backend, loss):
    target = {MeanSquaredError(): [0.0], CTC(): [1]}.get(loss) or INFINITE[loss][0][1]
    shape = (2, 3) if isinstance(loss, CTC) else np.shape(target) or (3,)
    outputs = np.full((1, *shape), np.nan, np.float32)
    assert not np.isfinite(per_example(backend, loss, outputs, np.array([target]))[0]).any()
