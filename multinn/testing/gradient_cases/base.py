"""What a case is: a function with one number as its value, at a point drawn at random."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree, tree
from multinn import Layer, Loss, random
from multinn.layers.masked import values_of, with_mask

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
        smaller: the same with fewer numbers, for a proof by algebra, whose work grows with products of
            sizes; None if this one is small enough.
    """

    name: str
    kink: Callable[[Point], HostArray] | None = field(default=None, kw_only=True)
    smaller: "Case | None" = field(default=None, kw_only=True)

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

    Of a layer with several outputs, such as Parallel, the sum over all of them.

    Attributes:
        layer: the layer.
        shape: the shape (batch, ...) of x.
        training: whether the layer gets a key.
        lengths: how many time steps of each example count, if the layer gets a mask.
        ids: how many ids there are, if x are ids, which have no gradient.
    """

    layer: Layer
    shape: Shape
    training: bool = field(default=False, kw_only=True)
    lengths: tuple[int, ...] | None = field(default=None, kw_only=True)
    ids: int | None = field(default=None, kw_only=True)

    def value(self, backend: Backend, variables: Tree, constants: Tree) -> Array:
        """Return the sum of dy y."""
        return self._forward(backend, variables, constants)[0]

    def evaluate(self, backend: Backend, variables: Tree, constants: Tree) -> Evaluation:
        """Return also dx and the gradients of the parameters, these by `parameter_gradients` too."""
        value, cache = self._forward(backend, variables, constants)
        arguments = (backend, variables["params"], cache, constants["dy"])
        dx, gradients = self.layer.backward(*arguments)
        twins = gradients, self.layer.parameter_gradients(*arguments)
        of_inputs = {} if self.ids else {"x": dx}
        return Evaluation(value, {"params": gradients} | of_inputs, twins)

    def _forward(self, backend: Backend, variables: Tree, constants: Tree) -> tuple[Array, Tree]:
        words = constants["words"]
        key = None if words is None else random.Key(words)
        x = with_mask((constants if self.ids else variables)["x"], constants["mask"])
        y, cache = self.layer.forward_with_state(
            backend, variables["params"], constants["state"], x, key
        )
        dy = constants["dy"]
        if not isinstance(dy, tuple):
            return backend.xp.sum(dy * values_of(y)), cache
        products = [backend.xp.sum(d * values_of(each)) for d, each in zip(dy, y, strict=True)]
        return sum(products[1:], start=products[0]), cache

    def _draw(self, generator: np.random.Generator) -> Point:
        initial, output_shape = self.layer.init(generator, self.shape[1:])
        # Zero biases and unit scales would hide what is multiplied by them.
        params = tree.map(lambda leaf: leaf + 0.2 * generator.normal(size=leaf.shape), initial)
        state = self.layer.init_state(initial)
        seed = int(generator.integers(2**31))
        constants = {
            "dy": self._draw_outputs(generator, output_shape),
            "words": random.step_words(seed, 0, 1)[0] if self.training else None,
            "state": tree.map(lambda leaf: leaf + generator.uniform(0.1, 0.5, leaf.shape), state),
            "mask": self._mask(),
        }
        if self.ids:
            constants["x"] = generator.integers(self.ids, size=self.shape, dtype=np.int32)
            return Point({"params": params}, constants)
        return Point({"params": params, "x": generator.normal(size=self.shape)}, constants)

    def _draw_outputs(self, generator: np.random.Generator, output_shape: Any) -> Tree:
        if output_shape and isinstance(output_shape[0], tuple):  # a layer with several outputs
            return tuple(self._draw_outputs(generator, shape) for shape in output_shape)
        return generator.normal(size=(self.shape[0], *output_shape))

    def _mask(self) -> HostArray | None:
        if self.lengths is None:
            return None
        return np.arange(self.shape[1]) < np.array(self.lengths)[:, None]


def normal(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return standard normal targets."""
    return generator.normal(size=shape)


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


def inputs(point: Point) -> Any:
    """Return x, for a layer with a kink at 0."""
    return point.variables["x"]
