"""The base classes of gradient cases: scalar functions at random points."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree, tree
from multinn import Layer, Loss, random
from multinn.layers.base import values_of, with_mask

_MARGIN = 0.05
_ATTEMPTS = 10_000


class Point(NamedTuple):
    """The point of a gradient: trees of NumPy arrays; all float64 numbers are exact in float32.

    Attributes:
        variables: the arrays with respect to which the gradient is taken.
        constants: the other arrays, such as targets.
    """

    variables: Tree
    constants: Tree


class Evaluation(NamedTuple):
    """The results at a point.

    Attributes:
        value: the value of the function, a scalar array.
        gradients: the hand-derived gradients, in the structure of the variables.
        twins: two trees, the same arrays computed in two ways, which must agree to the bit.
    """

    value: Array
    gradients: Tree
    twins: tuple[Tree, Tree]


Draw = Callable[[np.random.Generator, Shape], HostArray]


@dataclass(frozen=True)
class Case(ABC):
    """A scalar function, and its hand-derived gradients.

    Attributes:
        name: a unique name of at most 36 characters, so tables fit 80 columns.
        kink: a function of the point, or None if the case is smooth. It returns numbers that are 0 at
            kinks, where the derivative jumps. None of them may be near 0, as a difference quotient would
            then cross the kink.
        smaller: a case of smaller size for a proof by computer algebra, whose work grows with products
            of sizes; None if this case is small enough.
    """

    name: str
    kink: Callable[[Point], HostArray] | None = field(default=None, kw_only=True)
    smaller: "Case | None" = field(default=None, kw_only=True)

    def draw(self, seed: int) -> Point:
        """Draw a point away from kinks; the same seed and name give the same point."""
        generator = np.random.default_rng([seed, *self.name.encode()])
        for _ in range(_ATTEMPTS):
            point: Point = tree.map(to_single_precision, self._draw(generator))
            if self.kink is None or np.abs(self.kink(point)).min() > _MARGIN:
                return point
        raise RuntimeError(f"case {self.name!r}: {_ATTEMPTS} points drawn, all of them near a kink")

    @abstractmethod
    def value(self, backend: Backend, variables: Tree, constants: Tree) -> Array:
        """Return the value of the function, from the forward pass only."""

    @abstractmethod
    def evaluate(self, backend: Backend, variables: Tree, constants: Tree) -> Evaluation:
        """Return the value, the hand-derived gradients, and the twins."""

    @abstractmethod
    def _draw(self, generator: np.random.Generator) -> Point: ...


@dataclass(frozen=True)
class LayerCase(Case):
    """The sum of dy y, where y is the layer's output and dy is random: `backward` gives its gradient.

    For a layer with several outputs, such as Parallel, it is the sum over all of them.

    Attributes:
        layer: the layer.
        shape: the shape (batch, ...) of x.
        training: whether the layer gets a key.
        lengths: the number of time steps that count in each example, or None for no mask.
        ids: the number of ids if x are ids, which have no gradient; else None.
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
        """Return the value, the gradients, and as twins the parameters' gradients in two ways."""
        value, cache = self._forward(backend, variables, constants)
        arguments = (backend, variables["params"], cache, constants["dy"])
        dx, gradients = self.layer.backward(*arguments)
        twins = gradients, self.layer.parameter_gradients(*arguments)
        of_inputs = {} if self.ids else {"x": dx}
        return Evaluation(value, {"params": gradients} | of_inputs, twins)

    def _forward(self, backend: Backend, variables: Tree, constants: Tree) -> tuple[Array, Tree]:
        key = None if constants["key"] is None else random.Key(constants["key"])
        x = with_mask((constants if self.ids else variables)["x"], constants["mask"])
        y, cache = self.layer.forward_with_state(
            backend, variables["params"], constants["state"], x, key
        )
        return _sum_of_products(backend, constants["dy"], y), cache

    def _draw(self, generator: np.random.Generator) -> Point:
        params, constants = draw_around(
            generator, self.layer, self.shape[0], self.shape[1:], training=self.training
        )
        constants["mask"] = self._mask()
        if self.ids:
            constants["x"] = generator.integers(self.ids, size=self.shape, dtype=np.int32)
            return Point({"params": params}, constants)
        return Point({"params": params, "x": generator.normal(size=self.shape)}, constants)

    def _mask(self) -> HostArray | None:
        if self.lengths is None:
            return None
        return np.arange(self.shape[1]) < np.array(self.lengths)[:, None]


def draw_around(
    generator: np.random.Generator, layer: Layer, batch: int, input_shape: Any, *, training: bool
) -> tuple[Tree, dict[str, Tree]]:
    """Draw the point of a `LayerCase` around x: the parameters, and "dy", "key" and "state".

    Args:
        generator: the source of randomness.
        layer: the layer.
        batch: the number of examples.
        input_shape: the shape of one example, without the batch axis.
        training: whether there is a key.
    """
    initial, output_shape = layer.init(generator, input_shape)
    # Biases of 0 and scales of 1 would hide errors in terms that multiply them.
    params = tree.map(lambda leaf: leaf + 0.2 * generator.normal(size=leaf.shape), initial)
    state = layer.init_state(initial)
    seed = int(generator.integers(2**31))
    return params, {
        "dy": _draw_outputs(generator, batch, output_shape),
        "key": random.step_words(seed, 0, 1)[0] if training else None,
        "state": tree.map(lambda leaf: leaf + generator.uniform(0.1, 0.5, leaf.shape), state),
    }


def _draw_outputs(generator: np.random.Generator, batch: int, shape: Any) -> Tree:
    """Return normal numbers: an array for the shape of one output, a tree for a tree of shapes."""
    if isinstance(shape, dict):
        return {name: _draw_outputs(generator, batch, each) for name, each in shape.items()}
    if shape and isinstance(shape[0], tuple | dict):  # a layer with several outputs
        return tuple(_draw_outputs(generator, batch, each) for each in shape)
    return generator.normal(size=(batch, *shape))


def _sum_of_products(backend: Backend, dy: Tree, y: Tree) -> Array:
    """Return the sum of dy y over all outputs, whose masks do not count."""
    if isinstance(dy, dict):
        dy, y = (tuple(outputs[name] for name in dy) for outputs in (dy, y))
    if not isinstance(dy, tuple):
        return backend.xp.sum(dy * values_of(y))
    products = [_sum_of_products(backend, *pair) for pair in zip(dy, y, strict=True)]
    return sum(products[1:], start=products[0])


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
        """Return the loss, its gradient, and as twins the loss in two ways."""
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


def to_single_precision(leaf: HostArray) -> HostArray:
    """Round floats to float32 precision, so both dtypes compute at the same point."""
    return leaf.astype(np.float32).astype(np.float64) if leaf.dtype.kind == "f" else leaf


def inputs(point: Point) -> Any:
    """Return x; as a ``kink``, it says that the kinks are at x = 0."""
    return point.variables["x"]
