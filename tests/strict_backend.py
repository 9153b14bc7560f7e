"""The strictest reading of the Array API standard, as one more backend that only the tests know."""

from typing import Any, ClassVar

import array_api_strict
import numpy as np

from backends import Array, EagerBackend, Tree, tree


class StrictBackend(EagerBackend):
    """array_api_strict: what the standard does not promise fails here, and so can fail elsewhere."""

    name: ClassVar[str] = "array_api_strict"
    xp: Any = array_api_strict

    def from_numpy(self, tree_of_arrays: Tree) -> Tree:
        return tree.map(lambda leaf: array_api_strict.asarray(np.asarray(leaf)), tree_of_arrays)

    def to_numpy(self, tree_of_arrays: Tree) -> Tree:
        return tree.map(np.from_dlpack, tree_of_arrays)

    def scatter_add(self, table: Array, ids: Array, rows: Array) -> Array:
        host_table, host_ids, host_rows = self.to_numpy((table, ids, rows))
        result = host_table.copy()
        np.add.at(result, host_ids, host_rows)
        return self.from_numpy(result)
