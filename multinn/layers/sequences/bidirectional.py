"""A recurrent layer, once in each direction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from backends import Array, Backend, Shape, Tree
from multinn.layers.base import Layer
from multinn.layers.containers.branches import Add, Branches, Concatenate
from multinn.layers.sequences.recurrent import Recurrent


@dataclass(frozen=True)
class Bidirectional(Branches):
    """y_t = [f(x)_t, b(x)_t] or f(x)_t + b(x)_t: a recurrent layer f, and a copy b that goes backwards.

    b has parameters of its own. With return_sequences, each y_t knows all of x; without, y is what
    each direction ends with: of b, that is at the first step in time. Padding that a mask leaves out
    changes neither, whether it is in front or at the end.

    The gradients are those of Concatenate or Add: of the first, ∂L/∂f and ∂L/∂b are the halves of dy, of
    the second dy both.
    Source: M. Schuster and K. K. Paliwal, Bidirectional recurrent neural networks, IEEE Transactions on
    Signal Processing 45, 1997.

    Attributes:
        layer: f, such as LSTM.
        merge: "concatenate" along the features, or "sum".

    Raises:
        TypeError: the layer is not recurrent.
        ValueError: merge is something else.

    >>> import numpy as np
    >>> from multinn import GRU
    >>> Bidirectional(GRU(8, return_sequences=True)).init(np.random.default_rng(0), (5, 3))[1]
    (5, 16)
    """

    layer: Recurrent
    merge: Literal["concatenate", "sum"] = "concatenate"

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Recurrent):
            raise TypeError(
                f"Bidirectional: expected a recurrent layer, such as LSTM, got {self.layer!r}"
            )
        if self.merge not in ("concatenate", "sum"):
            raise ValueError(f"Bidirectional: expected merge 'concatenate' or 'sum', got {self.merge!r}")

    @property
    def children(self) -> Sequence[Layer]:
        """The layer, and its copy in the other direction."""
        return self.layer, replace(self.layer, go_backwards=not self.layer.go_backwards)

    @property
    def _merged(self) -> Add | Concatenate:
        return Add(self.children) if self.merge == "sum" else Concatenate(self.children)

    def _output_shape(self, shapes: list[Shape]) -> Shape:
        return self._merged._output_shape(shapes)

    def _join(self, backend: Backend, outputs: list[Array]) -> tuple[Array, Tree]:
        return self._merged._join(backend, outputs)

    def _split(self, backend: Backend, cache: Tree, dy: Array) -> Sequence[Array]:
        return self._merged._split(backend, cache, dy)
