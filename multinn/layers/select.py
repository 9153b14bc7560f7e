"""Layers that choose: one of several inputs, or some columns of an array."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree, tree
from multinn.descriptions.types import check_type
from multinn.host.checks import is_integer
from multinn.host.trees import entries_text, entry_names
from multinn.layers.base import Layer, check_features, values_of
from multinn.random import Key


@dataclass(frozen=True)
class Select(Layer):
    """y = x_k: one entry of a dict or of a tuple of arrays.

    The other entries do not reach y, so dx has dy as its entry k, and zeros elsewhere.

    Attributes:
        entry: k, a key of the dict, or an index of the tuple, from 0.

    Raises:
        TypeError: entry is neither a string nor an integer.
        ValueError: entry is negative.

    >>> from multinn import Concatenate, Dense, Sequential
    >>> model = Concatenate([Select("age"), Sequential([Select("image"), Dense(4)])])
    >>> model.init(np.random.default_rng(0), {"age": (1,), "image": (64,)})[1]
    (5,)
    """

    entry: str | int
    takes_tuple: ClassVar[bool] = True
    keeps_values: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.entry, int) and self.entry < 0:
            raise ValueError(f"Select: expected entry: an index of 0 or more, got {self.entry}")

    def init(self, generator: np.random.Generator, input_shape: Any) -> tuple[Tree, Shape]:
        """Return no parameters, and the shape of the entry."""
        if self.entry not in (entry_names(input_shape) or ()):
            raise ValueError(
                f"Select: expected a dict or a tuple of arrays with the entry {self.entry!r}, got "
                f"{entries_text(input_shape)}"
            )
        return {}, input_shape[self.entry]

    def kept_values(self, inputs: Any) -> Any:
        """Return the entry."""
        return inputs[self.entry]

    def forward(
        self, backend: Backend, params: Tree, x: Any, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return the entry, and x."""
        return x[self.entry], values_of(x)

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Any) -> tuple[Any, Tree]:
        """Return dy as the entry of dx, with zeros for the other entries, which may be ids."""
        dtype = tree.leaves(dy)[0].dtype
        dx = tree.map(lambda leaf: backend.xp.zeros(leaf.shape, dtype=dtype), cache)
        if isinstance(dx, dict):
            return dx | {self.entry: dy}, {}
        return tuple(dy if index == self.entry else other for index, other in enumerate(dx)), {}


@dataclass(frozen=True)
class Columns(Layer):
    """y_...j = x_...c(j): some columns of x, which are entries of its last axis.

    Each column of x reaches y at most once, so dx_...c(j) = dy_...j, and 0 for the other columns.

    Attributes:
        columns: c, indices from 0, all different.

    Raises:
        TypeError: columns is no sequence of integers.
        ValueError: there are no columns, or one is negative or occurs twice.

    >>> from backends import get_backend
    >>> Columns([2, 0]).forward(get_backend("numpy"), {}, np.array([[1.0, 2.0, 3.0]]))[0].tolist()
    [[3.0, 1.0]]
    """

    columns: tuple[int, ...]
    keeps_values: ClassVar[bool] = True

    def __post_init__(self) -> None:
        given = self.columns
        if isinstance(given, list | tuple | range | np.ndarray):
            columns = tuple(int(each) if is_integer(each) else each for each in given)
            object.__setattr__(self, "columns", columns)
        check_type("Columns", "columns", self.columns, tuple[int, ...])
        if not self.columns or min(self.columns) < 0:
            raise ValueError(f"Columns: expected columns: indices of 0 or more, got {self.columns}")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"Columns: expected columns that differ, got {self.columns}")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and the shape with as many features as there are columns."""
        features = check_features(self, input_shape)
        if max(self.columns) >= features:
            raise ValueError(
                f"Columns: expected columns from 0 to {features - 1}, as x has {features}, got "
                f"{max(self.columns)}"
            )
        return {}, (*input_shape[:-1], len(self.columns))

    def kept_values(self, inputs: HostArray) -> HostArray:
        """Return the columns."""
        return inputs[..., list(self.columns)]

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return the columns, and x for its shape."""
        xp = backend.xp
        return xp.take(x, xp.asarray(np.array(self.columns)), axis=-1), x

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dy at the columns, and 0 elsewhere: columns of [dy, 0]."""
        xp = backend.xp
        places = np.full(cache.shape[-1], len(self.columns))
        places[list(self.columns)] = range(len(self.columns))
        padded = xp.concat([dy, xp.zeros_like(dy[..., :1])], axis=-1)
        return xp.take(padded, xp.asarray(places), axis=-1), {}
