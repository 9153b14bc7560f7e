"""What a graph of ONNX is put together from, before the library comes in."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backends import HostArray, Shape


@dataclass(frozen=True)
class Value:
    """What flows along one edge of the graph.

    ONNX has the channels of images first, multinn last. So that they change places where they have to
    alone, a value says how it lies in memory, and its shape is that of multinn all the same.

    Attributes:
        name: of the edge.
        shape: (...) without the batch, channels last.
        mask: the edge of a mask (batch, time) of booleans, as `Masked` has it, or None.
        channels_first: whether its channels lie right after the batch.
    """

    name: str
    shape: Shape
    mask: str | None = None
    channels_first: bool = False


Values = Value | tuple["Values", ...]


@dataclass(frozen=True)
class Node:
    """One operator: its name, those of its inputs and outputs, and its attributes."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass
class Graph:
    """Operators, one after another, and the constants that they take: what converters add to.

    Attributes:
        dtype: of what is computed, "float32" or "float64".
        place: of the layer that is converted, such as "0.1"; it begins the names that are made.
        nodes: the operators so far.
        constants: the constants so far, by name.
    """

    dtype: str
    place: str = ""
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, HostArray] = field(default_factory=dict)
    _moved: dict[tuple[str, bool], str] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one output, and return the name of that."""
        return self.add_many(operator, *inputs, outputs=1, **attributes)[0]

    def add_many(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> tuple[str, ...]:
        """Add an operator, and return the names of its outputs.

        Args:
            operator: as ONNX calls it.
            inputs: names of edges or constants, "" for one that is left out.
            outputs: how many there are.
            attributes: those of the operator.
        """
        name = self._new_name(operator)
        names = tuple(f"{name}:{index}" if index else name for index in range(outputs))
        self.nodes.append(Node(operator, name, inputs, names, attributes))
        return names

    def constant(self, values: Any, name: str = "constant") -> str:
        """Add floats, in the dtype of the graph, and return the name."""
        return self._keep(np.asarray(values, self.dtype), name)

    def integers(self, values: Any, name: str = "integers") -> str:
        """Add 64-bit integers, such as a shape, and return the name."""
        return self._keep(np.asarray(values, np.int64), name)

    def cast(self, x: str, dtype: str) -> str:
        """Convert to a dtype, named as NumPy names it."""
        return self.add("Cast", x, to=np.dtype(dtype))

    def add_in_float32(self, operator: str, x: str, **attributes: Any) -> str:
        """Add an operator that ONNX Runtime has in float32 alone, and return the name of its output."""
        if self.dtype == "float32":
            return self.add(operator, x, **attributes)
        y = self.add(operator, self.cast(x, "float32"), **attributes)
        return self.cast(y, self.dtype)

    def reshape(self, x: str, shape: Shape) -> str:
        """Bring into a shape without the batch, which stays as it is."""
        return self.add("Reshape", x, self.integers((0, *shape), "shape"))

    def with_channels_last(self, x: Value) -> Value:
        """Return the value as multinn has it in memory."""
        return self._with_layout(x, channels_first=False)

    def with_channels_first(self, x: Value) -> Value:
        """Return the value with the channels right after the batch, as operators on images want it."""
        return self._with_layout(x, channels_first=len(x.shape) > 1)

    def per_channel(self, parameter: HostArray, x: Value, name: str) -> str:
        """Add a parameter (channels,) in the form that goes along the channels of the value."""
        ones = (1,) * (len(x.shape) - 1) if x.channels_first else ()
        return self.constant(np.reshape(parameter, (-1, *ones)), name)

    def expanded_mask(self, x: Value) -> str:
        """Return the mask of the value with as many axes as it has itself; channels are last."""
        assert x.mask is not None
        ones = (1,) * (len(x.shape) - 1)
        return self.reshape(x.mask, (x.shape[0], *ones)) if ones else x.mask

    def both(self, mask: str | None, other: str | None) -> str | None:
        """Return where two masks count, each of which may be None."""
        if mask is None or other is None or mask == other:
            return mask or other
        return self.add("And", mask, other)

    def _with_layout(self, x: Value, channels_first: bool) -> Value:
        if x.channels_first == channels_first:
            return x
        key = (x.name, channels_first)
        if key not in self._moved:
            axes = len(x.shape) + 1
            order = (0, axes - 1, *range(1, axes - 1)) if channels_first else (0, *range(2, axes), 1)
            self._moved[key] = self.add("Transpose", x.name, perm=order)
            self._moved[self._moved[key], not channels_first] = x.name
        return replace(x, name=self._moved[key], channels_first=channels_first)

    def _keep(self, values: HostArray, name: str) -> str:
        name = self._new_name(name)
        self.constants[name] = np.array(values, order="C")
        return name

    def _new_name(self, kind: str) -> str:
        """Return a name that begins with the place, and is taken by nothing else."""
        base = name = f"{self.place}.{kind}" if self.place else kind
        count = 1
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name
