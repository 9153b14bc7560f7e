"""Embeddings: ids to vectors."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree
from multinn.descriptions.bounds import check_integers
from multinn.host.entries import first_place
from multinn.initializers import Initializer, Uniform
from multinn.layers.base import Layer, Masked
from multinn.random import Key

_LARGEST_VOCABULARY = 2**24  # training casts ids to floats, and float32 is exact for integers up to 2²⁴


@dataclass(frozen=True)
class Embedding(Layer):
    """y_n = W_k with k = x_n: each id becomes a row of a table.

    Shapes: x (batch, ...) integers in [0, vocabulary_size), W (vocabulary_size, dimension),
    y (batch, ..., dimension). The index n is over all axes of x.

    With dy = ∂L/∂y, and [.] = 1 if the condition holds, else 0, y_nj = Σ_k [x_n = k] W_kj gives
        ∂L/∂W_kj = Σ_n [x_n = k] dy_nj      row k of dW: the sum of the rows of dy with id k
    y has no derivative with respect to ids; dx = 0.
    Source: Y. Bengio et al., A neural probabilistic language model, JMLR 3, 2003, section 2.

    Attributes:
        vocabulary_size: the number of ids, at most 2²⁴, as training casts ids to float32.
        dimension: the length of a vector.
        padding_id: the id of padding, or None. With it, x are sequences (batch, time), and y has a mask
            that is False at this id. The id has a vector like any other.
        weight_initializer: draws W.

    Raises:
        ValueError: a size is out of range, or padding_id is not an id.

    >>> from backends import get_backend
    >>> table = {"W": np.array([[0.0, 0.1], [1.0, 1.1], [2.0, 2.1]])}
    >>> Embedding(3, 2).forward(get_backend("numpy"), table, np.array([[2, 0]]))[0].tolist()
    [[[2.0, 2.1], [0.0, 0.1]]]
    """

    vocabulary_size: int
    dimension: int
    padding_id: int | None = None
    weight_initializer: Initializer = Uniform()

    def __post_init__(self) -> None:
        size, padding = self.vocabulary_size, self.padding_id
        if not isinstance(size, Integral) or not 1 <= size <= _LARGEST_VOCABULARY:
            raise ValueError(
                f"Embedding: expected a vocabulary_size from 1 to {_LARGEST_VOCABULARY}, the range in "
                f"which float32 is exact, got {size!r}"
            )
        check_integers(self, "dimension")
        if padding is not None and not (isinstance(padding, Integral) and 0 <= padding < size):
            raise ValueError(
                f"Embedding: expected None or a padding_id from 0 to {size - 1}, got {padding!r}"
            )

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W (vocabulary_size, dimension)."""
        if self.padding_id is not None and len(input_shape) != 1:
            raise ValueError(
                "Embedding: with a padding_id, expected sequences of ids of shape (batch, time), "
                f"got {('batch', *input_shape)}"
            )
        shape = (self.vocabulary_size, self.dimension)
        return {"W": self.weight_initializer(generator, shape, *shape)}, (*input_shape, self.dimension)

    def check_inputs(self, inputs: HostArray) -> None:
        """Check that all inputs are ids; JAX would clamp other numbers silently."""
        wrong = (inputs < 0) | (inputs >= self.vocabulary_size)
        if inputs.dtype.kind == "f":
            wrong |= inputs != np.floor(inputs)
        if wrong.any():
            index, where = first_place(wrong)
            number = float(inputs[index])
            raise ValueError(
                f"Embedding: expected ids, whole numbers from 0 to {self.vocabulary_size - 1}, "
                f"got {int(number) if number.is_integer() else number} at {where}"
            )

    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return y, with a mask if there is a padding_id, and the ids."""
        xp = backend.xp
        ids = xp.astype(x, xp.int32)
        rows = xp.take(params["W"], xp.reshape(ids, (-1,)), axis=0)
        y = xp.reshape(rows, (*x.shape, self.dimension))
        return (y if self.padding_id is None else Masked(y, ids != self.padding_id)), ids

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx = 0, and {"W": the sum of the rows of dy for each id}."""
        dx = backend.xp.zeros(cache.shape, dtype=dy.dtype)
        return dx, self.parameter_gradients(backend, params, cache, dy)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return {"W": the sum of the rows of dy for each id}."""
        xp = backend.xp
        ids = xp.reshape(cache, (-1,))
        rows = xp.reshape(dy, (-1, self.dimension))
        return {"W": backend.scatter_add(xp.zeros_like(params["W"]), ids, rows)}
