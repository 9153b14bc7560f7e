"""Gradient cases of losses.

Kinks, where a derivative jumps: an error of 0 for MeanAbsoluteError; an error of ±δ for Huber (in the
second derivative); a margin met exactly for Hinge and MultiClassHinge (in the second, with squares).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from backends import HostArray, Shape
from multinn import (
    CTC,
    BinaryCrossEntropy,
    BinaryFocal,
    CosineSimilarity,
    Focal,
    HalfSquaredError,
    Heads,
    Hinge,
    Huber,
    KLDivergence,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    MultiClassHinge,
    Poisson,
    SoftmaxCrossEntropy,
)
from multinn.testing.gradient_cases.base import Draw, LossCase, Point, normal


def zeros_and_ones(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return targets that are 0 or 1."""
    return generator.integers(2, size=shape)


def between_0_and_1(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return targets uniform in [0, 1)."""
    return generator.uniform(size=shape)


def classes(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return integer classes for logits of this shape."""
    return generator.integers(shape[-1], size=shape[:-1])


def one_hot(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return random classes as one-hot vectors."""
    return np.eye(shape[-1])[classes(generator, shape)]


def distributions(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return probabilities in multiples of 1/64, which sum to exactly 1 in float32, too."""
    return generator.multinomial(64, [1 / shape[-1]] * shape[-1], size=shape[:-1]) / 64


def padded_classes(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return integer classes: about a third of them, and all of the second example, are -1."""
    drawn = classes(generator, shape)
    drawn[generator.uniform(size=drawn.shape) < 1 / 3] = -1
    drawn[1] = -1
    return drawn


def counts(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return Poisson distributed integers."""
    return generator.poisson(2.0, size=shape)


def labels(blank: int) -> Draw:
    """Return a function that draws 1 to 3 labels per example, without the blank, for 5 or more steps."""

    def draw(generator: np.random.Generator, shape: Shape) -> HostArray:
        drawn = generator.integers(1, shape[-1], size=(shape[0], 3))
        drawn = np.where(drawn == blank, 0, drawn)
        length = generator.integers(1, 4, size=(shape[0], 1))
        return np.where(np.arange(3) < length, drawn, -1)

    return draw


def of_heads(*draws: Draw, **named: Draw) -> Callable[[np.random.Generator, Any], Any]:
    """Return a function that draws the targets of each output: a tuple or, with names, a dict."""

    def draw(generator: np.random.Generator, shape: Any) -> Any:
        if named:
            return {name: own(generator, shape[name]) for name, own in named.items()}
        return tuple(own(generator, each) for own, each in zip(draws, shape, strict=True))

    return draw


def _one_label(generator: np.random.Generator, shape: Shape) -> HostArray:
    return np.zeros((shape[0], 1))


def _errors(point: Point) -> Any:
    return point.variables["outputs"] - point.constants["targets"]


def _errors_beyond(delta: float) -> Callable[[Point], HostArray]:
    return lambda point: np.abs(_errors(point)) - delta


def _margins(point: Point) -> HostArray:
    margins: HostArray = 1.0 - point.constants["targets"] * point.variables["outputs"]
    return margins


def _margins_of(margin: float) -> Callable[[Point], HostArray]:
    """Return a function that gives the margins of all classes; the target's own is the constant."""

    def distances(point: Point) -> HostArray:
        z: HostArray = point.variables["outputs"]
        own = np.take_along_axis(z, point.constants["targets"][..., None], axis=-1)
        margins: HostArray = margin + z - own
        return margins

    return distances


_weighted = partial(LossCase, weighted=True)


def _entries(loss: Loss, shape: Any, targets: Draw = normal, **options: Any) -> LossCase:
    """Return a case with a weight for each entry."""
    return _weighted(f"{type(loss).__name__} weighted entries", loss, shape, targets, **options)


_TWO_HEADS = Heads(
    {"price": MeanSquaredError(), "kind": SoftmaxCrossEntropy()}, {"price": 1.0, "kind": 0.5}
)
_PRICE_AND_KIND = {"price": (3, 1), "kind": (3, 3)}
_PRICES_AND_KINDS = of_heads(price=normal, kind=classes)
_SUMS = Heads([HalfSquaredError(), HalfSquaredError()], [2.0, 0.5])

_IGNORING = SoftmaxCrossEntropy(0.1, ignored_class=-1)
_SQUARED = MultiClassHinge(0.5, squared=True)

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
    _weighted("SoftmaxCrossEntropy ignored weighted", _IGNORING, (4, 3, 5), padded_classes),
    LossCase("KLDivergence", KLDivergence(), (5, 4), distributions),
    _weighted("KLDivergence 3-D weighted", KLDivergence(), (2, 3, 4), distributions),
    LossCase("Focal", Focal(), (5, 4), classes),
    _weighted("Focal alpha 3-D weighted", Focal(1.5, (0.5, 1.0, 2.0)), (4, 2, 3), classes),
    LossCase("BinaryFocal", BinaryFocal(), (5, 3), zeros_and_ones),
    _weighted("BinaryFocal alpha weighted", BinaryFocal(0.5, 0.3), (4, 3), zeros_and_ones),
    LossCase("Hinge", Hinge(), (5, 3), zeros_and_ones, kink=_margins),
    _weighted("Hinge squared weighted", Hinge(squared=True), (5, 3), zeros_and_ones, kink=_margins),
    LossCase("MultiClassHinge", MultiClassHinge(), (5, 4), classes, kink=_margins_of(1.0)),
    _weighted("MultiClassHinge squared weighted", _SQUARED, (4, 2, 3), classes, kink=_margins_of(0.5)),
    LossCase("Poisson", Poisson(), (5, 3), counts),
    _weighted("Poisson full weighted", Poisson(full=True), (5, 3), counts),
    LossCase("CosineSimilarity", CosineSimilarity(), (5, 4)),
    _weighted("CosineSimilarity 3-D weighted", CosineSimilarity(), (4, 2, 3)),
    _weighted(
        "CTC weighted",
        CTC(blank=1),
        (3, 6, 4),
        labels(1),
        smaller=LossCase("small", CTC(blank=1), (1, 3, 2), _one_label),
    ),
    _entries(MeanSquaredError(), (3, 2, 2), entries=(3, 2)),
    _entries(HalfSquaredError(), (3, 2), entries=(3, 2)),
    _entries(BinaryCrossEntropy(), (3, 2), zeros_and_ones, entries=(3, 2)),
    _entries(SoftmaxCrossEntropy(), (3, 2, 3), classes, entries=(3, 2)),
    _weighted(
        "SoftmaxCrossEntropy ignored entries", _IGNORING, (4, 3, 3), padded_classes, entries=(4, 3)
    ),
    _entries(KLDivergence(), (2, 2, 3), distributions, entries=(2, 2)),
    _entries(Focal(), (2, 2, 3), classes, entries=(2, 2)),
    _entries(CosineSimilarity(), (2, 2, 3), entries=(2, 2)),
    LossCase("Heads", _TWO_HEADS, _PRICE_AND_KIND, _PRICES_AND_KINDS),
    _weighted("Heads weighted", _TWO_HEADS, _PRICE_AND_KIND, _PRICES_AND_KINDS),
    _weighted(
        "Heads own weights",
        _TWO_HEADS,
        _PRICE_AND_KIND,
        _PRICES_AND_KINDS,
        entries={"price": (3, 1), "kind": (3,)},
    ),
    LossCase("Heads sums", _SUMS, ((3, 1), (3, 2)), of_heads(normal, normal)),
    _weighted(
        "Heads sums own weights",
        _SUMS,
        ((3, 1), (3, 2)),
        of_heads(normal, normal),
        entries=((3,), (3, 2)),
    ),
    _weighted(
        "CTC masked weighted",
        CTC(blank=1),
        (3, 8, 4),
        labels(1),
        lengths=(7, 8, 5),
        smaller=LossCase("small", CTC(blank=1), (1, 3, 2), _one_label, lengths=(2,)),
    ),
)
