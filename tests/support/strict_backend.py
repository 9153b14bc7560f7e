"""A backend for array_api_strict, which has nothing beyond the Array API standard."""

from typing import Any, ClassVar

import array_api_strict
import numpy as np

from backends import Array, EagerBackend


class StrictBackend(EagerBackend):
    """array_api_strict: code beyond the standard fails here, as it may with other libraries."""

    name: ClassVar[str] = "array_api_strict"
    xp: Any = array_api_strict

    def scatter_add(self, table: Array, ids: Array, rows: Array) -> Array:
        host_table, host_ids, host_rows = self.to_numpy((table, ids, rows))
        result = host_table.copy()
        np.add.at(result, host_ids, host_rows)
        return self.from_numpy(result)
