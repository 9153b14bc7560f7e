"""The contract of a layer."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.descriptions.summary import Summary, outline, outline_html, summarize
from multinn.host.checks import check_shape
from multinn.host.trees import is_one_shape
from multinn.random import Key


class Masked(NamedTuple):
    """Padded sequences with a mask that marks the time steps that count.

    A container passes only the values to a layer that takes no mask, and adds the mask to its output.
    It raises an error for layers that would mix padding into steps that count, such as windowed pooling.
    Losses that take no mask, and metrics, get only the values; an ``ignored_class`` leaves out padding.
    Gradients are with respect to the values, and have no mask.

    Attributes:
        values: (batch, time, ...) with padding.
        mask: (batch, time) booleans, False at padding.
    """

    values: Array
    mask: Array


def values_of(x: Any) -> Any:
    """Return the values, with or without a mask; for several arrays, those of each."""
    if isinstance(x, Masked):
        return x.values
    if isinstance(x, dict):
        return {key: values_of(entry) for key, entry in x.items()}
    return tuple(map(values_of, x)) if isinstance(x, tuple) else x


def mask_of(x: Array | Masked) -> Array | None:
    """Return the mask, or None if there is none."""
    return x.mask if isinstance(x, Masked) else None


def with_mask(values: Array, mask: Array | None) -> Array | Masked:
    """Return the values with the mask, if there is one."""
    return values if mask is None else Masked(values, mask)


class Layer(Hyperparameters):
    """A differentiable function with parameters: a frozen dataclass of hyperparameters, nothing else.

    The caller holds the parameters, caches and gradients, which are trees of arrays. Shapes in the
    documentation begin with the batch axis. Only the shapes in `init` leave it out.

    A layer may also have a *state*: a tree of arrays that training changes, but not by gradients, such
    as the running statistics of a normalization. Most layers have none.

    Attributes:
        takes_mask: whether `forward` accepts inputs that are `Masked`.
        mixes_steps: whether the layer cannot use a mask and would mix padding into steps that count.
        takes_tuple: whether the input may be several arrays: a tuple, such as the output of `Parallel`,
            or a dict.
        keeps_values: whether y holds the same numbers as x, perhaps in another order, or some of them.
            The next layer of a Sequential then checks the examples, too.
    """

    takes_mask: ClassVar[bool] = False
    mixes_steps: ClassVar[bool] = False
    takes_tuple: ClassVar[bool] = False
    keeps_values: ClassVar[bool] = False

    @abstractmethod
    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw initial parameters on the host.

        Args:
            generator: the only source of randomness; every backend starts from the same bits.
            input_shape: the shape of one example, without the batch axis.

        Returns:
            The tree of parameters, float64 NumPy arrays, and the shape of one output.

        Raises:
            ValueError: the layer cannot take inputs of this shape.
        """

    @abstractmethod
    def forward(
        self, backend: Backend, params: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return the output, and the cache that `backward` needs.

        Args:
            backend: the backend of ``params`` and ``x``.
            params: the parameters, as in `init`, in the dtype of ``x``.
            x: (batch, ...) inputs.
            key: a key while training, None at inference.
        """

    @abstractmethod
    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return the gradients of the loss with respect to the input and to the parameters.

        Args:
            backend: as in `forward`.
            params: as in `forward`.
            cache: the cache that `forward` returned.
            dy: the gradient of the loss with respect to the output, in the output's shape.

        Returns:
            ``dx`` in the shape of ``x``, and a tree of gradients with the structure of ``params``.
        """

    def init_state(self, params: Tree) -> Tree:
        """Return the initial state, a tree of NumPy arrays, for the parameters from `init`."""
        return {}

    def forward_with_state(
        self, backend: Backend, params: Tree, state: Tree, x: Array, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return the output and the cache, as `forward` does; the computation may read the state.

        Args:
            backend: as in `forward`.
            params: as in `forward`.
            state: from `init_state` or the last `next_state`, or None if there is no state.
            x: as in `forward`.
            key: as in `forward`.
        """
        return self.forward(backend, params, x, key)

    def next_state(self, backend: Backend, state: Tree, cache: Tree) -> Tree:
        """Return the state after a training step, from the cache of its forward pass."""
        return state

    def check_inputs(self, inputs: HostArray) -> None:
        """Check the examples on the host, as some array libraries report no invalid values.

        Raises:
            ValueError: the layer cannot take one of the numbers; the message says where it is.
        """

    def kept_values(self, inputs: Any) -> Any:
        """Return the inputs, on the host, that the layer passes on; None if it keeps no values."""
        return inputs if self.keeps_values else None

    def summary(self, input_shape: Any, dtype: str = "float32") -> Summary:
        """Return a table of the layer and its parts, at most 80 columns wide.

        It is a string. As the last line of a cell, notebooks and consoles show the table itself.

        The number of a part is its index in the tree of parameters.

        Args:
            input_shape: the shape of one example, without the batch axis; a dict or a tuple of shapes
                for several inputs.
            dtype: the dtype of the parameters, for their size in bytes.

        Raises:
            ValueError: the layer cannot take inputs of this shape.

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
        check_takes(self, check_shape(input_shape))
        return summarize(self, input_shape, dtype)

    def __str__(self) -> str:
        """Return a table of the layer and its parts with their formulas, for `print`."""
        return outline(self)

    def _repr_html_(self) -> str:
        return outline_html(self)

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return only the gradients of the parameters, if possible without computing ``dx``."""
        return self.backward(backend, params, cache, dy)[1]


class ParameterFree(Layer):
    """A layer without parameters whose output has the shape of its input."""

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Return no parameters, and the shape unchanged."""
        return {}, input_shape


def check_takes(layer: Layer, input_shape: Any) -> None:
    """Raise ValueError if the input is several arrays, and the layer takes one.

    Args:
        layer: the layer.
        input_shape: the shape of one example, or a tuple or a dict of such shapes.
    """
    if not (layer.takes_tuple or is_one_shape(input_shape)):
        raise ValueError(
            f"{type(layer).__name__}: expected one array, got a {type(input_shape).__name__} of arrays "
            f"of shapes {input_shape}, without the batch; choose one with Select, or join them: use "
            "Concatenate or Add, not Parallel"
        )


def check_axes(layer: Layer, input_shape: Shape, kind: str, *axes: str, minimum: int = 1) -> None:
    """Raise ValueError unless the shape has these axes, each of at least the minimum length.

    Args:
        layer: the layer, for the message.
        input_shape: the shape of one example, without the batch axis.
        kind: the name of such inputs, such as "images".
        axes: the names of the axes, without the batch.
        minimum: the minimum length of each axis.
    """
    if len(input_shape) != len(axes) or min(input_shape) < minimum:
        last_is_missing = len(input_shape) == len(axes) - 1 and axes[-1] == "channels"
        raise ValueError(
            f"{type(layer).__name__}: expected {kind} of shape (batch, {', '.join(axes)}), "
            f"got {('batch', *input_shape)}"
            + ("; add an axis for the channel with x[..., None]" if last_is_missing else "")
        )


def check_features(layer: Layer, input_shape: Shape) -> int:
    """Return the length of the last axis, the number of features or channels.

    Raises:
        ValueError: there is no such axis, or its length is 0.
    """
    if not input_shape or input_shape[-1] < 1:
        raise ValueError(
            f"{type(layer).__name__}: expected inputs of shape (batch, ..., features), "
            f"got {('batch', *input_shape)}"
        )
    return input_shape[-1]


def as_matrix(backend: Backend, x: Array) -> Array:
    """Return x as a matrix: all axes but the last become one."""
    return x if x.ndim == 2 else backend.xp.reshape(x, (-1, x.shape[-1]))


def sum_of_rows(backend: Backend, x: Array) -> Array:
    """Return the sum over all axes but the last."""
    xp = backend.xp
    if x.ndim > 2:  # first over long rows: NumPy adds short ones slowly
        x = xp.sum(x, axis=tuple(range(x.ndim - 2)))
    return xp.sum(x, axis=0)
