"""The contract of a layer."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.descriptions.summary import summarize
from multinn.random import Key


class Layer(Hyperparameters):
    """A differentiable function with parameters: a frozen dataclass of hyperparameters, nothing else.

    Parameters, caches and gradients are trees of arrays that the caller holds. Shapes in the
    documentation leave out no axis: the first is the batch. In `init` alone, shapes are without it.

    What training changes other than by gradients, such as the running statistics of a normalization, is
    the *state* of a layer: a tree of arrays, too. Most layers have none, and need to know nothing of it.

    Attributes:
        takes_mask: whether `forward` understands inputs that are `Masked`.
        mixes_steps: whether it does not, and would mix padding into the steps that count.
        takes_tuple: whether the input may be a tuple of arrays, such as `Parallel` gives.
        keeps_values: whether y holds the numbers of x as they are, at whatever places, so that the next
            layer of a Sequential checks the examples, too.
    """

    takes_mask: ClassVar[bool] = False
    mixes_steps: ClassVar[bool] = False
    takes_tuple: ClassVar[bool] = False
    keeps_values: ClassVar[bool] = False

    @abstractmethod
    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw initial parameters on the host.

        Args:
            generator: the source of all randomness, so that every backend starts from the same bits.
            input_shape: the shape of one example, without the batch axis.

        Returns:
            The tree of parameters, float64 NumPy arrays, and the shape of one output.

        Raises:
            ValueError: the layer cannot take inputs of that shape.
        """

    @abstractmethod
    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return the output, and the cache that `backward` needs.

        Args:
            backend: whose arrays ``params`` and ``x`` are.
            params: as `init` made them, in the dtype of ``x``.
            x: (batch, ...) inputs.
            key: a key while training, None at inference.
        """

    @abstractmethod
    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return the gradients of the loss with respect to the input and to the parameters.

        Args:
            backend: as in `forward`.
            params: as in `forward`.
            cache: what `forward` returned.
            dy: the gradient of the loss with respect to the output, of the output's shape.

        Returns:
            ``dx`` of the shape of ``x``, and a tree that mirrors ``params``.
        """

    def init_state(self, params: Tree) -> Tree:
        """Return the first state, a tree of NumPy arrays, for parameters as `init` drew them."""
        return {}

    def forward_with_state(
        self, backend: Backend, params: Tree, state: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return what `forward` does, by the help of the state, which it leaves as it is.

        Args:
            backend: as in `forward`.
            params: as in `forward`.
            state: from `init_state` or the last `next_state`, or None where there is none at hand.
            x: as in `forward`.
            key: as in `forward`.
        """
        return self.forward(backend, params, x, key)

    def next_state(self, backend: Backend, state: Tree, cache: Tree) -> Tree:
        """Return the state after a training step, from the cache of its forward pass."""
        return state

    def check_inputs(self, inputs: HostArray) -> None:
        """Check examples on the host, where a library that would not complain cannot do harm.

        Raises:
            ValueError: a number is not what the layer can take; the message names its place.
        """

    def summary(self, input_shape: Shape, dtype: str = "float32") -> str:
        """Return a table of the layers within, for people: at most 80 columns wide.

        The layers within are numbered as their parameters are.

        Args:
            input_shape: the shape of one example, without the batch axis.
            dtype: in which it is trained: the size of a number.

        Raises:
            ValueError: the layer cannot take inputs of that shape.

        >>> from multinn import BatchNorm, Dense, Residual, Sequential
        >>> print(Sequential([Dense(16), BatchNorm(), Residual(Dense(16))]).summary((8,)))
        layer                                   output shape                  parameters
        --------------------------------------------------------------------------------
        Sequential                              (batch, 16)                          448
          0 Dense                               (batch, 16)                          144
          1 BatchNorm                           (batch, 16)                           32
          2 Residual                            (batch, 16)                          272
            0 Identity                          (batch, 16)                            0
            1 Dense                             (batch, 16)                          272
        --------------------------------------------------------------------------------
        parameters: 448 (1,792 bytes in float32)
        state of the layers: 64 (256 bytes in float32)
        """
        return summarize(self, input_shape, dtype)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return the second result of `backward` alone, without the work for the first if possible."""
        return self.backward(backend, params, cache, dy)[1]


class ParameterFree(Layer):
    """A layer without parameters whose output has the shape of its input."""

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and the shape unchanged."""
        return {}, input_shape
