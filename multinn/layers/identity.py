"""The identity."""

from dataclasses import dataclass
from typing import ClassVar

from backends import Array, Backend, Tree
from multinn.layers.base import ParameterFree
from multinn.random import Key


@dataclass(frozen=True)
class Identity(ParameterFree):
    """y = x, and so dx = dy."""

    takes_tuple: ClassVar[bool] = True
    keeps_values: ClassVar[bool] = True

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return x, and no cache."""
        return x, None

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = dy."""
        return dy, {}
