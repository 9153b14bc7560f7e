"""A recurrent layer in both directions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from backends import Array, Backend, Shape, Tree
from multinn.descriptions.bounds import check_choice
from multinn.layers.base import Layer
from multinn.layers.containers.branches import Add, Branches, Concatenate
from multinn.layers.sequences.recurrent import Recurrent


@dataclass(frozen=True)
class Bidirectional(Branches):
    """y_t = [f(x)_t, b(x)_t] or f(x)_t + b(x)_t: a recurrent layer f, and a copy b that goes backwards.

    b has its own parameters. With return_sequences, each y_t depends on all of x. Otherwise y combines
    the last states of both directions; for b, that is the state at the first time step. Masked padding
    at the start or the end changes neither.

    The gradients are as in Concatenate, where ∂L/∂f and ∂L/∂b are the two halves of dy, or as in Add,
    where both are dy.
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
        check_choice(self, "merge", "concatenate", "sum")

    @property
    def children(self) -> Sequence[Layer]:
        """The layer, and its copy for the other direction."""
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
