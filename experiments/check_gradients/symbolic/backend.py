"""Computer algebra as a backend, used only by the proofs."""

from typing import ClassVar

import numpy as np

from backends import Array, EagerBackend, Tree, tree
from experiments.check_gradients.symbolic.expressions import new_symbol
from experiments.check_gradients.symbolic.field import Field
from experiments.check_gradients.symbolic.functions import sympy_version
from experiments.check_gradients.symbolic.namespace import SymbolicNamespace


class SymbolicBackend(EagerBackend):
    """Arrays of expressions: each float becomes a symbol whose value at the point is that number.

    Attributes:
        field: the field of all expressions of this backend.
    """

    name: ClassVar[str] = "sympy"

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.field = Field(capacity)
        self.xp = SymbolicNamespace(self.field)

    @property
    def version(self) -> str:
        return sympy_version()

    def from_numpy(self, tree_of_arrays: Tree) -> Tree:
        symbols = np.frompyfunc(lambda number: new_symbol(self.field, float(number)), 1, 1)
        return tree.map(
            lambda leaf: np.asarray(symbols(leaf)) if leaf.dtype.kind == "f" else leaf, tree_of_arrays
        )

    def to_numpy(self, tree_of_arrays: Tree) -> Tree:
        return tree.map(
            lambda leaf: leaf.astype(np.float64) if leaf.dtype == object else leaf, tree_of_arrays
        )

    def scatter_add(self, table: Array, ids: Array, rows: Array) -> Array:
        result = table.copy()
        np.add.at(result, ids, rows)
        return result
