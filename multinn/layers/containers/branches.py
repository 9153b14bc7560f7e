"""Layers in parallel: each gets the same input, and their outputs are combined."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, ClassVar

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree, tree
from multinn.descriptions.named_parts import check_one_name_each, named_parts, with_names
from multinn.host.checks import is_integer
from multinn.host.trees import is_one_shape
from multinn.layers.base import Layer, mask_of, values_of, with_mask
from multinn.layers.basic import Identity
from multinn.layers.containers.sequential import Container, init_child, layers_of
from multinn.random import Key


class Branches(Container):
    """Layers in parallel. A subclass combines their outputs.

    The cache is a pair: the caches of the branches, and what the subclass needs to split dy.
    x reaches the loss through each branch k, so dx = Σ_k dx_k, the sum of the branches' gradients.
    If outputs of branches have masks, a step of y counts if it counts in all of these masks.
    """

    _joins_trees: ClassVar[bool] = False

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw the parameters of each branch, in order, and return the shape of the output."""
        params, shapes = [], []
        for index, branch in enumerate(self.children):
            place = f"branch {index} of {type(self).__name__}"
            own, shape = init_child(place, branch, generator, input_shape)
            if not (self._joins_trees or is_one_shape(shape)):
                raise ValueError(
                    f"{place}: expected one array as its output, got a {type(shape).__name__} of arrays "
                    f"of shapes {shape}, without the batch; choose one with Select"
                )
            params.append(own)
            shapes.append(shape)
        return tuple(params), self._output_shape(shapes)

    def child_caches(self, cache: Tree) -> Sequence[Tree]:
        """Return the caches of the branches."""
        caches: tuple[Tree, ...] = cache[0]
        return caches

    def check_inputs(self, inputs: HostArray) -> None:
        """Check the examples in each branch."""
        for branch in self.children:
            branch.check_inputs(inputs)

    def forward_with_state(
        self, backend: Backend, params: Tree, state: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return the combined outputs, and (the caches of the branches, the cache of `_join`)."""
        outputs, caches = [], []
        for index in range(len(self.children)):
            y, cache = self.forward_child(index, backend, params, state, x, key)
            outputs.append(y)
            caches.append(cache)
        y, own_cache = self._join(backend, outputs)
        return y, (tuple(caches), own_cache)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = Σ_k dx_k, and the gradients of all branches."""
        dx, gradients = None, []
        for index, own_dy in enumerate(self._split(backend, cache[1], dy)):
            own_dx, own = self.children[index].backward(backend, params[index], cache[0][index], own_dy)
            dx = own_dx if dx is None else tree.map(add, dx, own_dx)
            gradients.append(own)
        return dx, tuple(gradients)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return the gradients of all branches. Those without parameters compute no dx."""
        gradients = list(params)
        for index, own_dy in enumerate(self._split(backend, cache[1], dy)):
            own = (backend, params[index], cache[0][index], own_dy)
            if tree.leaves(params[index]):
                gradients[index] = self.children[index].parameter_gradients(*own)
        return tuple(gradients)

    @abstractmethod
    def _output_shape(self, shapes: list[Shape]) -> Shape:
        """Return the output shape for these shapes of the branches, or raise ValueError."""

    @abstractmethod
    def _join(self, backend: Backend, outputs: list[Array]) -> tuple[Array, Tree]:
        """Return the output, and the cache that `_split` needs."""

    @abstractmethod
    def _split(self, backend: Backend, cache: Tree, dy: Array) -> Sequence[Array]:
        """Return the gradient with respect to the output of each branch."""


@dataclass(frozen=True, init=False)
class _ListOfBranches(Branches):
    branches: tuple[Layer, ...]

    def __init__(self, branches: Iterable[Layer]) -> None:
        object.__setattr__(self, "branches", layers_of(type(self).__name__, "branches", branches))

    @property
    def children(self) -> Sequence[Layer]:
        """The branches."""
        return self.branches


@dataclass(frozen=True, init=False)
class Add(_ListOfBranches):
    """y = Σ_k f_k(x): the sum of branches whose outputs have one shape.

    ∂L/∂f_k = dy for each k.

    Attributes:
        branches: layers, at least one.

    Raises:
        TypeError: something in ``branches`` is no layer.
        ValueError: ``branches`` is empty.
    """

    def _output_shape(self, shapes: list[Shape]) -> Shape:
        return _common_shape(type(self).__name__, shapes)

    def _join(self, backend: Backend, outputs: list[Array]) -> tuple[Array, Tree]:
        values = [values_of(y) for y in outputs]
        return with_mask(sum(values[1:], start=values[0]), _common_mask(backend, outputs)), None

    def _split(self, backend: Backend, cache: Tree, dy: Array) -> Sequence[Array]:
        return [dy] * len(self.children)


@dataclass(frozen=True)
class Residual(Branches):
    """y = s(x) + f(x): the output of a layer plus its input, which may pass through a shortcut.

    ∂L/∂s = ∂L/∂f = dy: whatever f does to the gradient, the identity passes it back unchanged.
    Source: K. He et al., Deep residual learning for image recognition, CVPR 2016, equations 1 and 2.

    Attributes:
        layer: f.
        shortcut: s, which maps x to the shape of f(x) if the shapes differ.

    Raises:
        TypeError: layer or shortcut is no layer.

    >>> from multinn import Dense, ReLU, Sequential
    >>> Residual(Sequential([Dense(4), ReLU()])).init(np.random.default_rng(0), (4,))[1]
    (4,)
    """

    layer: Layer
    shortcut: Layer = Identity()

    @property
    def children(self) -> Sequence[Layer]:
        """The shortcut and the layer."""
        return self.shortcut, self.layer

    def _output_shape(self, shapes: list[Shape]) -> Shape:
        if shapes[0] != shapes[1]:
            raise ValueError(
                "Residual: expected a layer and a shortcut with outputs of one shape, got "
                f"{('batch', *shapes[1])} and {('batch', *shapes[0])}; a shortcut such as Dense or "
                "Conv2D can map the input to the shape of the output"
            )
        return shapes[0]

    def _join(self, backend: Backend, outputs: list[Array]) -> tuple[Array, Tree]:
        shortcut, y = outputs
        return with_mask(values_of(shortcut) + values_of(y), _common_mask(backend, outputs)), None

    def _split(self, backend: Backend, cache: Tree, dy: Array) -> Sequence[Array]:
        return [dy, dy]


@dataclass(frozen=True, init=False)
class Concatenate(_ListOfBranches):
    """y = [f_1(x), f_2(x), ...]: the outputs of the branches concatenated along an axis.

    y holds each f_k(x) as a slice, and ∂L/∂f_k is the same slice of dy. Along time, axis 1, the masks
    are concatenated, too.

    Attributes:
        branches: layers, at least one.
        axis: the axis of the concatenation, not 0, which is the batch; -1 is the last.

    Raises:
        TypeError: something in ``branches`` is no layer.
        ValueError: ``branches`` is empty, or the axis is 0.
    """

    axis: int = -1

    def __init__(self, branches: Iterable[Layer], axis: int = -1) -> None:
        super().__init__(branches)
        if not is_integer(axis) or axis == 0:
            raise ValueError(f"Concatenate: expected an axis other than 0, the batch, got {axis!r}")
        object.__setattr__(self, "axis", int(axis))

    @property
    def keeps_values(self) -> bool:  # type: ignore[override]  # it depends on the branches
        """Whether all branches keep values."""
        return all(branch.keeps_values for branch in self.branches)

    def kept_values(self, inputs: Any) -> Any:
        """Return what the branches pass on, concatenated; None if one keeps no values."""
        kept = [branch.kept_values(inputs) for branch in self.branches]
        return None if any(each is None for each in kept) else np.concatenate(kept, axis=self.axis)

    def _output_shape(self, shapes: list[Shape]) -> Shape:
        dimensions = len(shapes[0]) + 1
        axis = self.axis % dimensions - 1 if -dimensions < self.axis < dimensions else -1
        if axis < 0:
            raise ValueError(
                f"Concatenate: expected outputs with an axis {self.axis} after the batch, "
                f"got shape {('batch', *shapes[0])}"
            )
        _common_shape(f"Concatenate, axes other than {self.axis}", shapes, axis)
        length = sum(shape[axis] for shape in shapes)
        return (*shapes[0][:axis], length, *shapes[0][axis + 1 :])

    def _join(self, backend: Backend, outputs: list[Array]) -> tuple[Array, Tree]:
        values = [values_of(y) for y in outputs]
        y = backend.xp.concat(values, axis=self.axis)
        if self.axis % y.ndim == 1:
            return with_mask(y, _concatenated_mask(backend, outputs)), values
        return with_mask(y, _common_mask(backend, outputs)), values

    def _split(self, backend: Backend, cache: Tree, dy: Array) -> Sequence[Array]:
        axis = self.axis % dy.ndim
        parts, start = [], 0
        for y in cache:
            stop = start + y.shape[axis]
            parts.append(dy[(slice(None),) * axis + (slice(start, stop), ...)])
            start = stop
        return parts


@dataclass(frozen=True, init=False)
class Parallel(_ListOfBranches):
    """y = (f_1(x), f_2(x), ...): a tuple, or with names a dict, such as the heads of a model.

    dy is a tuple or a dict, too, and ∂L/∂f_k is its entry k.

    Attributes:
        branches: layers, at least one. A dict of layers gives the names, too.
        names: the keys of the dict, one for each branch; None for a tuple.

    Raises:
        TypeError: something in ``branches`` is no layer, or a name is no string.
        ValueError: ``branches`` is empty, or there is not one name for each branch.

    >>> from multinn import Dense
    >>> heads = Parallel({"price": Dense(1), "kind": Dense(3)})
    >>> heads.init(np.random.default_rng(0), (5,))[1]
    {'price': (1,), 'kind': (3,)}
    >>> heads["price"] is heads[0]
    True
    """

    names: tuple[str, ...] | None = None
    _joins_trees: ClassVar[bool] = True

    def __init__(
        self, branches: Iterable[Layer] | Mapping[str, Layer], names: Sequence[str] | None = None
    ) -> None:
        parts, given = named_parts("Parallel", branches, names)
        super().__init__(parts)
        object.__setattr__(self, "names", given)
        check_one_name_each("Parallel", "branches", self.branches, given)

    def __getitem__(self, index: int | str) -> Layer:
        """Return a branch by its index or its name.

        Raises:
            IndexError, KeyError: there is no such branch.
        """
        if not isinstance(index, str):
            return self.branches[index]
        names = self.names or ()
        if index not in names:
            raise KeyError(f"Parallel: expected one of the names {names}, got {index!r}")
        return self.branches[names.index(index)]

    @property
    def keeps_values(self) -> bool:  # type: ignore[override]  # it depends on the branches
        """Whether all branches keep values."""
        return all(branch.keeps_values for branch in self.branches)

    def kept_values(self, inputs: Any) -> Any:
        """Return what each branch passes on, None if it keeps no values."""
        return with_names([branch.kept_values(inputs) for branch in self.branches], self.names)

    def _output_shape(self, shapes: list[Shape]) -> Any:
        return with_names(shapes, self.names)

    def _join(self, backend: Backend, outputs: list[Array]) -> tuple[Any, Tree]:
        return with_names(outputs, self.names), None

    def _split(self, backend: Backend, cache: Tree, dy: Any) -> Sequence[Array]:
        return list(dy) if self.names is None else [dy[name] for name in self.names]


def _common_shape(name: str, shapes: list[Shape], free: int | None = None) -> Shape:
    """Return the first shape; raise ValueError if another differs, except along a free axis."""
    for index, shape in enumerate(shapes):
        differing = [i for i, (a, b) in enumerate(zip(shape, shapes[0], strict=False)) if a != b]
        if len(shape) != len(shapes[0]) or any(axis != free for axis in differing):
            raise ValueError(
                f"{name}: expected branches with outputs of one shape, got {('batch', *shapes[0])} from "
                f"branch 0 and {('batch', *shape)} from branch {index}"
            )
    return shapes[0]


def _common_mask(backend: Backend, outputs: list[Array]) -> Array | None:
    """Return the conjunction of the outputs' masks, or None if no output has a mask."""
    masks: list[Array] = []
    for mask in map(mask_of, outputs):
        if mask is not None and not any(mask is other for other in masks):
            masks.append(mask)
    return reduce(backend.xp.logical_and, masks) if masks else None


def _concatenated_mask(backend: Backend, outputs: list[Array]) -> Array | None:
    """Return the masks concatenated along time, or None; an output without a mask counts everywhere."""
    if all(mask_of(y) is None for y in outputs):
        return None
    xp = backend.xp
    masks = [xp.ones(y.shape[:2], dtype=xp.bool) if mask_of(y) is None else y.mask for y in outputs]
    return xp.concat(masks, axis=1)
