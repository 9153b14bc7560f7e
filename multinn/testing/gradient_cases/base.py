"""The base classes of gradient cases: scalar functions at random points."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree, tree
from multinn import Layer, Loss, random
from multinn.host.checks import kind_text
from multinn.host.trees import check_entries, is_one_shape, map_entries, map_shapes
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
        shape: the shape (batch, ...) of x, or a tuple or a dict of shapes.
        training: whether the layer gets a key.
        lengths: the number of time steps that count in each example, or None for no mask.
        ids: the number of ids if x are ids, which have no gradient; else None. For several inputs, a
            tuple or a dict of these.
    """

    layer: Layer
    shape: Any = field(hash=False)  # a dict has no hash
    training: bool = field(default=False, kw_only=True)
    lengths: tuple[int, ...] | None = field(default=None, kw_only=True)
    ids: Any = field(default=None, kw_only=True, hash=False)

    @property
    def input_shape(self) -> Any:
        """The shape of one example, without the batch, or a tuple or a dict of shapes."""
        return map_shapes(lambda shape: shape[1:], self.shape)

    def value(self, backend: Backend, variables: Tree, constants: Tree) -> Array:
        """Return the sum of dy y."""
        return self._forward(backend, variables, constants)[0]

    def evaluate(self, backend: Backend, variables: Tree, constants: Tree) -> Evaluation:
        """Return the value, the gradients, and as twins the parameters' gradients in two ways."""
        value, cache = self._forward(backend, variables, constants)
        arguments = (backend, variables["params"], cache, constants["dy"])
        dx, gradients = self._pair("backward", "dx and gradients", self.layer.backward(*arguments))
        twins = gradients, self.layer.parameter_gradients(*arguments)
        check_entries(dx, x_of(Point(variables, constants)), f"{self._owner}.backward: dx", "as x")
        dx = map_entries(lambda leaf, _, own: None if leaf is None else own, variables["x"], "x", dx)
        return Evaluation(value, {"params": gradients, "x": dx}, twins)

    def _forward(self, backend: Backend, variables: Tree, constants: Tree) -> tuple[Array, Tree]:
        key = None if constants["key"] is None else random.Key(constants["key"])
        x = with_mask(x_of(Point(variables, constants)), constants["mask"])
        arguments = (backend, variables["params"], constants["state"], x, key)
        y, cache = self._pair("forward", "y and a cache", self.layer.forward_with_state(*arguments))
        expected, got = (_shapes(each) for each in (constants["dy"], values_of(y)))
        if expected != got:
            raise ValueError(
                f"{self._owner}.forward: expected y of shape {expected}, as init says, got {got}"
            )
        products = [
            backend.xp.sum(d * each)
            for d, each in zip(tree.leaves(constants["dy"]), tree.leaves(values_of(y)), strict=True)
        ]
        return sum(products[1:], start=products[0]), cache

    @property
    def _owner(self) -> str:
        return type(self.layer).__name__

    def _pair(self, method: str, expected: str, returned: Any) -> tuple[Any, Any]:
        """Return the result of a method, or raise TypeError unless it is a tuple of two."""
        if isinstance(returned, tuple) and len(returned) == 2:
            return returned
        raise TypeError(
            f"{self._owner}.{method}: expected a tuple of {expected}, got {kind_text(returned)}"
        )

    def _draw(self, generator: np.random.Generator) -> Point:
        batch = tree.leaves(map_shapes(lambda shape: shape[0], self.shape))[0]
        params, constants = draw_around(
            generator, self.layer, batch, self.input_shape, training=self.training
        )
        constants["mask"] = _mask(self.shape, self.lengths)
        x = _draw_x(generator, self.shape, self.ids)
        constants["x"] = tree.map(lambda leaf: leaf if leaf.dtype.kind == "i" else None, x)
        of_x = tree.map(lambda leaf: leaf if leaf.dtype.kind == "f" else None, x)
        return Point({"params": params, "x": of_x}, constants)


def _shapes(arrays: Tree) -> Tree:
    return tree.map(lambda leaf: tuple(leaf.shape), arrays)


def _mask(shape: Shape, lengths: tuple[int, ...] | None) -> HostArray | None:
    return None if lengths is None else np.arange(shape[1]) < np.array(lengths)[:, None]


def x_of(point: Point) -> Tree:
    """Return x of a `LayerCase`: its variables, and ids, which are constants."""
    variables, constants = point
    x, ids = variables["x"], constants["x"]
    return map_entries(lambda leaf, _, own_ids: own_ids if leaf is None else leaf, x, "x", ids)


def _draw_x(generator: np.random.Generator, shape: Any, ids: Any) -> Tree:
    """Return normal numbers, or integers for ids, for each array."""
    if isinstance(shape, dict):
        return {name: _draw_x(generator, own, (ids or {}).get(name)) for name, own in shape.items()}
    if not is_one_shape(shape):
        return tuple(map(partial(_draw_x, generator), shape, ids or (None,) * len(shape)))
    return generator.integers(ids, size=shape, dtype=np.int32) if ids else generator.normal(size=shape)


def draw_around(
    generator: np.random.Generator, layer: Layer, batch: int, input_shape: Any, *, training: bool
) -> tuple[Tree, dict[str, Tree]]:
    """Draw the point of a `LayerCase` around x: the parameters, and "dy", "key" and "state".

    Args:
        generator: the source of randomness.
        layer: the layer.
        batch: the number of examples.
        input_shape: the shape of one example, without the batch axis, or a tuple or a dict of shapes.
        training: whether there is a key.
    """
    initial, output_shape = layer.init(generator, input_shape)
    # Biases of 0 and scales of 1 would hide errors in terms that multiply them.
    params = tree.map(lambda leaf: leaf + 0.2 * generator.normal(size=leaf.shape), initial)
    state = layer.init_state(initial)
    seed = int(generator.integers(2**31))
    return params, {
        "dy": map_shapes(lambda shape: generator.normal(size=(batch, *shape)), output_shape),
        "key": random.step_words(seed, 0, 1)[0] if training else None,
        "state": tree.map(lambda leaf: leaf + generator.uniform(0.1, 0.5, leaf.shape), state),
    }


def normal(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return standard normal targets."""
    return generator.normal(size=shape)


@dataclass(frozen=True)
class LossCase(Case):
    """A loss of random outputs.

    Attributes:
        loss: the loss.
        shape: the shape (batch, ...) of the outputs, or a tuple or a dict of shapes.
        targets: draws the targets.
        weighted: whether the examples have weights, one of which is 0.
        entries: the shape of the weights, or a tuple or a dict of shapes; None for (batch,).
        lengths: the number of time steps that count in each example, or None for no mask.
    """

    loss: Loss
    shape: Any = field(hash=False)  # a dict has no hash
    targets: Draw = normal
    weighted: bool = field(default=False, kw_only=True)
    entries: Any = field(default=None, kw_only=True, hash=False)
    lengths: tuple[int, ...] | None = field(default=None, kw_only=True)

    def value(self, backend: Backend, variables: Tree, constants: Tree) -> Array:
        """Return the loss."""
        return self.loss.value(backend, *_arguments_of_loss(variables, constants))

    def evaluate(self, backend: Backend, variables: Tree, constants: Tree) -> Evaluation:
        """Return the loss, its gradient, and as twins the loss in two ways."""
        value, gradient = self.loss(backend, *_arguments_of_loss(variables, constants))
        return Evaluation(
            value, {"outputs": gradient}, (value, self.value(backend, variables, constants))
        )

    def _draw(self, generator: np.random.Generator) -> Point:
        targets = self.targets(generator, self.shape)
        batch = tree.leaves(map_shapes(lambda shape: shape[0], self.shape))[0]
        weights = map_shapes(partial(_draw_weights, generator), self.entries or (batch,))
        output_shape = map_shapes(lambda shape: shape[1:], self.shape)
        constants = {
            "targets": self.loss.prepare_targets(targets, output_shape, "float64"),
            "weights": weights if self.weighted else None,
            "mask": _mask(self.shape, self.lengths),
        }
        outputs = map_shapes(lambda shape: generator.normal(size=shape), self.shape)
        return Point({"outputs": outputs}, constants)


def _draw_weights(generator: np.random.Generator, shape: Shape) -> HostArray:
    """Return weights: 0 for the first example and for the first entry of the second one."""
    weights = generator.uniform(0.5, 2.0, size=shape)
    weights[0] = 0.0
    if weights.ndim > 1:
        weights[1, ..., 0] = 0.0
    return weights


def _arguments_of_loss(variables: Tree, constants: Tree) -> tuple[Any, Array, Array | None]:
    outputs = with_mask(variables["outputs"], constants.get("mask"))
    return outputs, constants["targets"], constants["weights"]


def to_single_precision(leaf: HostArray) -> HostArray:
    """Round floats to float32 precision, so both dtypes compute at the same point."""
    return leaf.astype(np.float32).astype(np.float64) if leaf.dtype.kind == "f" else leaf


def inputs(point: Point) -> Any:
    """Return x; as a ``kink``, it says that the kinks are at x = 0."""
    return point.variables["x"]
