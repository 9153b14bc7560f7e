"""The strictest reading of the Array API standard, as one more backend that only the tests know."""

from typing import Any, ClassVar

import array_api_strict
import numpy as np

from backends import Array, EagerBackend


class StrictBackend(EagerBackend):
    """array_api_strict: what the standard does not promise fails here, and so can fail elsewhere."""

    name: ClassVar[str] = "array_api_strict"
    xp: Any = array_api_strict

    def scatter_add(self, table: Array, ids: Array, rows: Array) -> Array:
        host_table, host_ids, host_rows = self.to_numpy((table, ids, rows))
        result = host_table.copy()
        np.add.at(result, host_ids, host_rows)
        return self.from_numpy(result)
