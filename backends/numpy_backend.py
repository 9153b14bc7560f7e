"""NumPy: eager, on the CPU, always there."""

from typing import Any, ClassVar

import numpy as np

from backends import tree as trees
from backends.base import Array
from backends.eager import EagerBackend
from backends.tree import Tree


class NumpyBackend(EagerBackend):
    """The reference backend: what it computes, every other backend is held against."""

    name: ClassVar[str] = "numpy"
    xp: Any = np

    def from_numpy(self, tree: Tree) -> Tree:
        return trees.map(np.asarray, tree)

    def to_numpy(self, tree: Tree) -> Tree:
        return trees.map(np.asarray, tree)

    def scatter_add(self, table: Array, ids: Array, rows: Array) -> Array:
        result = table.copy()
        np.add.at(result, ids, rows)
        return result
