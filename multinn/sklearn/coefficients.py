"""The parameters of the dense layers as lists of arrays."""

from collections.abc import Callable, Iterable
from typing import Any, SupportsIndex


class Coefficients(list[Any]):
    """A list of read-only arrays; to replace one of them sets the parameter of the model.

    >>> arrays = Coefficients([1, 2], print)
    >>> arrays[0] = 3
    [3, 2]
    """

    def __init__(self, arrays: Iterable[Any], set_all: Callable[[list[Any]], None]) -> None:
        super().__init__(arrays)
        self._set_all = set_all

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        changed = list(self)
        changed[index] = value
        self._set_all(changed)
        super().__setitem__(index, value)

    def __reduce__(self) -> Any:
        """Return a plain list: a copy belongs to no model."""
        return list, (list(self),)
