"""What `check_gradients` checks: each layer and each loss, at a point drawn at random.

A new layer is a new line in `LAYERS`, a new loss a new line in `LOSSES`. Shapes include the batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn import (
    ELU,
    GELU,
    AveragePool2D,
    BinaryCrossEntropy,
    ChannelsLast,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    HalfSquaredError,
    Huber,
    Layer,
    LayerNorm,
    LeakyReLU,
    Loss,
    MaxPool2D,
    MeanAbsoluteError,
    MeanSquaredError,
    ReLU,
    Rescale,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    SoftmaxCrossEntropy,
    Softplus,
    Tanh,
    random,
)

HostArray = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]

_MARGIN = 0.05
_ATTEMPTS = 10_000


class Point(NamedTuple):
    """Where a gradient is taken: trees of NumPy arrays, whose float64 numbers float32 holds exactly.

    Attributes:
        variables: what the gradient is with respect to.
        constants: the rest, such as targets.
    """

    variables: Tree
    constants: Tree


class Evaluation(NamedTuple):
    """What the library computes at a point.

    Attributes:
        value: the value of the function, without axes.
        gradients: the hand-derived gradients, in the structure of the variables.
        twins: two trees that the library computes in two ways, which must be the same to the bit.
    """

    value: Array
    gradients: Tree
    twins: tuple[Tree, Tree]


Draw = Callable[[np.random.Generator, Shape], HostArray]


@dataclass(frozen=True)
class Case(ABC):
    """A function with one number as its value, and its hand-derived gradients.

    Attributes:
        name: unique; at most 36 characters, so that tables fit 80 columns.
        kink: gives, for a point, numbers none of which may be near 0; None for a smooth function. At a
            kink the derivative jumps: there is no gradient to compare with, and near by a difference
            quotient reaches across.
    """

    name: str
    kink: Callable[[Point], HostArray] | None = field(default=None, kw_only=True)

    def draw(self, seed: int) -> Point:
        """Draw a point away from kinks; the same seed and name give the same point."""
        generator = np.random.default_rng([seed, *self.name.encode()])
        for _ in range(_ATTEMPTS):
            point: Point = tree.map(_to_single_precision, self._draw(generator))
            if self.kink is None or np.abs(self.kink(point)).min() > _MARGIN:
                return point
        raise RuntimeError(f"case {self.name!r}: {_ATTEMPTS} points drawn, all of them near a kink")

    @abstractmethod
    def value(self, backend: Backend, variables: Tree, constants: Tree) -> Array:
        """Return the value of the function: the forward pass alone."""

    @abstractmethod
    def evaluate(self, backend: Backend, variables: Tree, constants: Tree) -> Evaluation:
        """Return the value, the hand-derived gradients, and what must be the same to the bit."""

    @abstractmethod
    def _draw(self, generator: np.random.Generator) -> Point: ...


@dataclass(frozen=True)
class LayerCase(Case):
    """The sum of dy y, where y is the layer's output and dy is random: `backward` gives its gradient.

    Attributes:
        layer: the layer.
        shape: the shape (batch, ...) of x.
        training: whether the layer gets a key.
    """

    layer: Layer
    shape: Shape
    training: bool = field(default=False, kw_only=True)

    def value(self, backend: Backend, variables: Tree, constants: Tree) -> Array:
        """Return the sum of dy y."""
        return self._forward(backend, variables, constants)[0]

    def evaluate(self, backend: Backend, variables: Tree, constants: Tree) -> Evaluation:
        """Return also dx and the gradients of the parameters, these by `parameter_gradients` too."""
        value, cache = self._forward(backend, variables, constants)
        arguments = (backend, variables["params"], cache, constants["dy"])
        dx, gradients = self.layer.backward(*arguments)
        twins = gradients, self.layer.parameter_gradients(*arguments)
        return Evaluation(value, {"x": dx, "params": gradients}, twins)

    def _forward(self, backend: Backend, variables: Tree, constants: Tree) -> tuple[Array, Tree]:
        words = constants["words"]
        key = None if words is None else random.Key(words)
        y, cache = self.layer.forward(backend, variables["params"], variables["x"], key)
        return backend.xp.sum(constants["dy"] * y), cache

    def _draw(self, generator: np.random.Generator) -> Point:
        initial, output_shape = self.layer.init(generator, self.shape[1:])
        # Zero biases and unit scales would hide what is multiplied by them.
        params = tree.map(lambda leaf: leaf + 0.2 * generator.normal(size=leaf.shape), initial)
        seed = int(generator.integers(2**31))
        constants = {
            "dy": generator.normal(size=(self.shape[0], *output_shape)),
            "words": random.step_words(seed, 0, 1)[0] if self.training else None,
        }
        return Point({"params": params, "x": generator.normal(size=self.shape)}, constants)


def normal(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return standard normal targets."""
    return generator.normal(size=shape)


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


@dataclass(frozen=True)
class LossCase(Case):
    """A loss of random outputs.

    Attributes:
        loss: the loss.
        shape: the shape (batch, ...) of the outputs.
        targets: draws the targets.
        weighted: whether the examples have weights, one of which is 0.
    """

    loss: Loss
    shape: Shape
    targets: Draw = normal
    weighted: bool = field(default=False, kw_only=True)

    def value(self, backend: Backend, variables: Tree, constants: Tree) -> Array:
        """Return the loss."""
        return self.loss.value(backend, variables["outputs"], *_targets_and_weights(constants))

    def evaluate(self, backend: Backend, variables: Tree, constants: Tree) -> Evaluation:
        """Return also the gradient with respect to the outputs, and the loss by `value` too."""
        value, gradient = self.loss(backend, variables["outputs"], *_targets_and_weights(constants))
        return Evaluation(
            value, {"outputs": gradient}, (value, self.value(backend, variables, constants))
        )

    def _draw(self, generator: np.random.Generator) -> Point:
        targets = self.targets(generator, self.shape)
        weights = generator.uniform(0.5, 2.0, size=self.shape[:1])
        weights[0] = 0.0
        constants = {
            "targets": self.loss.prepare_targets(targets, self.shape[1:], "float64"),
            "weights": weights if self.weighted else None,
        }
        return Point({"outputs": generator.normal(size=self.shape)}, constants)


def _targets_and_weights(constants: Tree) -> tuple[Array, Array | None]:
    return constants["targets"], constants["weights"]


def _to_single_precision(leaf: HostArray) -> HostArray:
    """Round floats to float32, kept as float64, so that both dtypes compute at the same point."""
    return leaf.astype(np.float32).astype(np.float64) if leaf.dtype.kind == "f" else leaf


def _inputs(point: Point) -> Any:
    return point.variables["x"]


def _after_first_layer(point: Point) -> Any:
    params = point.variables["params"][0]
    return _inputs(point) @ params["W"] + params["b"]


def _lead_of_largest(size: int, stride: int) -> Callable[[Point], HostArray]:
    """Return what gives, for each window of images, by how much its largest entry leads."""

    def lead(point: Point) -> HostArray:
        windows = np.lib.stride_tricks.sliding_window_view(_inputs(point), (size, size), axis=(1, 2))
        entries = windows[:, ::stride, ::stride].reshape(-1, size * size)
        first, second = np.sort(entries, axis=1)[:, :-3:-1].T
        return np.asarray(first - second)

    return lead


def _errors(point: Point) -> Any:
    return point.variables["outputs"] - point.constants["targets"]


def _errors_beyond(delta: float) -> Callable[[Point], HostArray]:
    return lambda point: np.abs(_errors(point)) - delta


_PERCEPTRON = Sequential([Dense(6), ReLU(), Dense(3)])
_NESTED = Sequential(
    [
        Sequential([Dense(5), LayerNorm(0.1), GELU()]),
        Dropout(0.4),
        Flatten(),
        Sequential([Dense(5, use_bias=False), Tanh(), Sequential([Dense(4), SiLU()])]),
    ]
)

_CONVOLUTIONAL = Sequential(
    [Conv2D(2, 2), Tanh(), AveragePool2D(), Conv2D(3, 2), SiLU(), Dropout(0.3), Flatten(), Dense(2)]
)

_weighted = partial(LossCase, weighted=True)

# kink: where a derivative jumps. ReLU, LeakyReLU: at x = 0. ELU: at x = 0 too, the second derivative if
# α = 1, else the first. MeanAbsoluteError: where an error is 0. Huber: the second, at an error of ± δ.
LAYERS: tuple[LayerCase, ...] = (
    LayerCase("Dense", Dense(4), (5, 3)),
    LayerCase("Dense 3-D", Dense(4), (2, 3, 5)),
    LayerCase("Dense no bias", Dense(4, use_bias=False), (5, 3)),
    LayerCase("Dense 3-D no bias", Dense(4, use_bias=False), (2, 3, 5)),
    LayerCase("Dense one to one", Dense(1), (1, 1)),
    LayerCase("Sigmoid", Sigmoid(), (4, 6)),
    LayerCase("Tanh", Tanh(), (4, 6)),
    LayerCase("ReLU", ReLU(), (4, 6), kink=_inputs),
    LayerCase("LeakyReLU", LeakyReLU(), (4, 6), kink=_inputs),
    LayerCase("LeakyReLU slope 0.3", LeakyReLU(0.3), (4, 6), kink=_inputs),
    LayerCase("ELU", ELU(), (4, 6), kink=_inputs),
    LayerCase("ELU alpha 0.5", ELU(0.5), (4, 6), kink=_inputs),
    LayerCase("GELU", GELU(), (4, 6)),
    LayerCase("GELU tanh", GELU("tanh"), (4, 6)),
    LayerCase("SiLU", SiLU(), (4, 6)),
    LayerCase("Softplus", Softplus(), (4, 6)),
    LayerCase("Softmax", Softmax(), (4, 6)),
    LayerCase("Softmax 3-D", Softmax(), (2, 3, 4)),
    LayerCase("Dropout training", Dropout(0.4), (4, 6), training=True),
    LayerCase("Dropout inference", Dropout(0.4), (4, 6)),
    LayerCase("LayerNorm", LayerNorm(), (4, 6)),
    LayerCase("LayerNorm 3-D", LayerNorm(), (2, 3, 5)),
    LayerCase("LayerNorm epsilon 0.1", LayerNorm(0.1), (4, 6)),
    LayerCase("Rescale", Rescale(0.5, -1.5), (4, 6)),
    LayerCase("Flatten", Flatten(), (2, 3, 4)),
    LayerCase("ChannelsLast", ChannelsLast(), (2, 3, 4, 5)),
    LayerCase("Conv2D", Conv2D(3, 2), (2, 4, 5, 2)),
    LayerCase("Conv2D no bias", Conv2D(2, (3, 1), use_bias=False), (3, 4, 3, 1)),
    LayerCase("Conv2D as large as the image", Conv2D(4, (3, 4)), (2, 3, 4, 2)),
    LayerCase("Conv2D stride 2", Conv2D(2, 3, 2), (2, 7, 6, 2)),
    LayerCase("Conv2D stride (1, 3)", Conv2D(2, 2, (1, 3)), (2, 3, 8, 2)),
    LayerCase("MaxPool2D", MaxPool2D(), (2, 4, 4, 2), kink=_lead_of_largest(2, 2)),
    LayerCase("MaxPool2D ragged", MaxPool2D(), (2, 5, 3, 2), kink=_lead_of_largest(2, 2)),
    LayerCase("MaxPool2D overlapping", MaxPool2D(3, 2), (1, 5, 7, 2), kink=_lead_of_largest(3, 2)),
    LayerCase("MaxPool2D with gaps", MaxPool2D(2, 3), (1, 5, 8, 2), kink=_lead_of_largest(2, 3)),
    LayerCase("AveragePool2D", AveragePool2D(), (2, 4, 5, 2)),
    LayerCase("AveragePool2D overlapping", AveragePool2D((3, 2), 1), (2, 4, 5, 2)),
    LayerCase("Sequential convolutional", _CONVOLUTIONAL, (2, 9, 9, 1)),
    LayerCase("Sequential perceptron", _PERCEPTRON, (4, 5), kink=_after_first_layer),
    LayerCase("Sequential nested training", _NESTED, (4, 2, 3), training=True),
    LayerCase("Sequential nested inference", _NESTED, (4, 2, 3)),
)
LOSSES: tuple[LossCase, ...] = (
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
CASES: tuple[Case, ...] = (*LAYERS, *LOSSES)
