"""An ONNX graph under construction, without the onnx library."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backends import HostArray, Shape


@dataclass(frozen=True)
class Value:
    """The value of one edge of the graph.

    ONNX has the channels of images first, multinn last. A value records its layout in memory, so axes
    are transposed only where necessary. Its shape is always in multinn's order.

    Attributes:
        name: the name of the edge.
        shape: (...) without the batch, channels last.
        mask: the edge of a mask (batch, time) of booleans, as in `Masked`, or None.
        channels_first: whether the channels come right after the batch in memory.
    """

    name: str
    shape: Shape
    mask: str | None = None
    channels_first: bool = False


Values = Value | tuple["Values", ...] | dict[str, "Values"]


@dataclass(frozen=True)
class Node:
    """One operator of the graph, with the names of its inputs and outputs and its attributes."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass
class Graph:
    """A list of operators and their constants, to which converters add.

    Attributes:
        dtype: the dtype of the computation, "float32" or "float64".
        place: the place of the layer that is converted, such as "0.1"; new names begin with it.
        nodes: the operators so far.
        constants: the constants so far, by name.
    """

    dtype: str
    place: str = ""
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, HostArray] = field(default_factory=dict)
    _transposed: dict[tuple[str, bool], str] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one output, and return the name of the output."""
        return self.add_many(operator, *inputs, outputs=1, **attributes)[0]

    def add_many(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> tuple[str, ...]:
        """Add an operator, and return the names of its outputs.

        Args:
            operator: its name in ONNX.
            inputs: names of edges or constants; "" omits an input.
            outputs: the number of outputs.
            attributes: the attributes of the operator.
        """
        name = self._new_name(operator)
        names = tuple(f"{name}:{index}" if index else name for index in range(outputs))
        self.nodes.append(Node(operator, name, inputs, names, attributes))
        return names

    def constant(self, values: Any, name: str = "constant") -> str:
        """Add floats in the dtype of the graph, and return their name."""
        return self._keep(np.asarray(values, self.dtype), name)

    def integers(self, values: Any, name: str = "integers") -> str:
        """Add 64-bit integers, such as a shape, and return their name."""
        return self._keep(np.asarray(values, np.int64), name)

    def cast(self, x: str, dtype: str) -> str:
        """Convert to a dtype, given by its name in NumPy."""
        return self.add("Cast", x, to=np.dtype(dtype))

    def reshape(self, x: str, shape: Shape) -> str:
        """Reshape each example to a shape, without the batch."""
        return self.add("Reshape", x, self.integers((0, *shape), "shape"))

    def with_channels_last(self, x: Value) -> Value:
        """Return the value with the channels last, as in multinn."""
        return self._with_layout(x, channels_first=False)

    def with_channels_first(self, x: Value) -> Value:
        """Return the value with the channels right after the batch, as operators on images need it."""
        return self._with_layout(x, channels_first=len(x.shape) > 1)

    def per_channel(self, parameter: HostArray, x: Value, name: str) -> str:
        """Add a parameter (channels,) in the shape that broadcasts along the channels of the value."""
        ones = (1,) * (len(x.shape) - 1) if x.channels_first else ()
        return self.constant(np.reshape(parameter, (-1, *ones)), name)

    def expanded_mask(self, x: Value) -> str:
        """Return the mask of a value with channels last, with as many axes as the value."""
        assert x.mask is not None
        ones = (1,) * (len(x.shape) - 1)
        return self.reshape(x.mask, (x.shape[0], *ones)) if ones else x.mask

    def with_zero_padding(self, x: Value) -> Value:
        """Return the value with 0 where its mask is False."""
        if x.mask is None:
            return x
        x = self.with_channels_last(x)
        zero = self.constant(0.0, "zero")
        return replace(x, name=self.add("Where", self.expanded_mask(x), x.name, zero))

    def both(self, mask: str | None, other: str | None) -> str | None:
        """Return the conjunction of two masks, each of which may be None."""
        if mask is None or other is None or mask == other:
            return mask or other
        return self.add("And", mask, other)

    def _with_layout(self, x: Value, channels_first: bool) -> Value:
        if x.channels_first == channels_first:
            return x
        key = (x.name, channels_first)
        if key not in self._transposed:
            axes = len(x.shape) + 1
            order = (0, axes - 1, *range(1, axes - 1)) if channels_first else (0, *range(2, axes), 1)
            self._transposed[key] = self.add("Transpose", x.name, perm=order)
            self._transposed[self._transposed[key], not channels_first] = x.name
        return replace(x, name=self._transposed[key], channels_first=channels_first)

    def _keep(self, values: HostArray, name: str) -> str:
        name = self._new_name(name)
        self.constants[name] = np.array(values, order="C")
        return name

    def _new_name(self, kind: str) -> str:
        """Return a new name that begins with the place."""
        base = name = f"{self.place}.{kind}" if self.place else kind
        count = 1
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name
