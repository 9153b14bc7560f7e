"""The source of a Python function, with names for the objects that it uses."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backends import tree as trees
from backends.base import HostArray
from backends.numpy_jit.recording import Value, values_in


class Source:
    """A function that is being written.

    A value is a constant if its array is known before the function runs, else a variable. The names of
    constants end with ``_`` and a number; no other names do.
    """

    def __init__(self, arrays: Mapping[Value, HostArray]) -> None:
        self._arrays = arrays
        self._variables: dict[Value, str] = {}
        self._constants: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        self._repeated: dict[Any, HostArray] = {}
        self._parameters: list[str] = []
        self._checks: dict[str, None] = {}
        self._lines: list[str] = []
        self._block_starts: list[int] = []

    def parameter(self, value: Value) -> None:
        """Add a parameter for a value."""
        self._parameters.append(self.variable(value))

    def is_parameter(self, value: Value) -> bool:
        """Return whether a value is a parameter of the function."""
        return self._variables.get(value) in self._parameters

    def variable(self, value: Value) -> str:
        """Return a new name for a value."""
        self._variables[value] = f"variable{len(self._variables)}"
        return self._variables[value]

    def line(self, text: str) -> None:
        """Write a line."""
        self._lines.append("    " * (1 + len(self._block_starts)) + text)

    def check(self, text: str) -> None:
        """Write a line at the beginning, unless it is there already."""
        self._checks[f"    {text}"] = None

    def open_block(self, head: str) -> None:
        """Write the head of a block; the lines up to `close_block` are in it."""
        self.line(head)
        self._block_starts.append(len(self._lines))

    def close_block(self) -> None:
        """End the innermost block."""
        if len(self._lines) == self._block_starts[-1]:
            self.line("pass")
        self._block_starts.pop()

    def expression(self, argument: Any) -> str:
        """Return the expression of an argument of a call."""
        return self._text(argument, scalars=False)

    def reshaped(self, value: Value, shape: tuple[int, ...]) -> str:
        """Return the expression of a view of a value in another shape."""
        known = self._arrays.get(value)
        if known is None:
            return f"{self.expression(value)}.reshape({shape})"
        return self.constant(known.reshape(shape))

    def part(self, value: Value, index: tuple[slice, ...]) -> str:
        """Return the text that stands for a view of some entries of a value."""
        known = self._arrays.get(value)
        if known is None:
            return f"{self.expression(value)}[{self.constant(index)}]"
        return self.constant(known[index])

    def repeated(self, constant: HostArray, like: Any) -> str:
        """Return the expression of a constant, repeated to the shape and layout of ``like``."""
        key = (constant.tobytes(), constant.dtype, constant.shape, like.shape, like.strides)
        if key not in self._repeated:
            self._repeated[key] = np.full_like(like, constant, constant.dtype)
        return self.constant(self._repeated[key])

    def call(self, function: Any, args: tuple[Any, ...], options: dict[str, Any], out: str = "") -> str:
        """Return the expression of a call, which takes scalars where the recorded call took scalars."""
        parts = [self._text(arg, scalars=True) for arg in args]
        parts += [f"{name}={self._text(value, scalars=True)}" for name, value in options.items()]
        parts += [f"out={out}"] if out else []
        return f"{self.constant(function)}({', '.join(parts)})"

    def constant(self, value: Any) -> str:
        """Return the name of an object in the function."""
        key = id(value)
        if key not in self._names:
            described = getattr(value, "__name__", "array" if isinstance(value, np.ndarray) else "")
            name = f"{described if described.isidentifier() else 'value'}_{len(self._constants)}"
            self._names[key] = name
            self._constants[name] = value  # keeps the object alive, and so its id unique
        return self._names[key]

    @property
    def text(self) -> str:
        """The source of the function."""
        # As defaults, constants are local variables, which are faster than global ones.
        parameters = [*self._parameters, *(f"{name}={name}" for name in self._constants)]
        return "\n".join([f"def replay({', '.join(parameters)}):", *self._checks, *self._lines, ""])

    def function(self) -> Callable[..., Any]:
        """Return the function."""
        names = dict(self._constants)
        exec(compile(self.text, "<recorded by multinn>", "exec"), names)
        function: Callable[..., Any] = names.pop("replay")  # popped, as it refers to names: no cycle
        return function

    def _text(self, argument: Any, scalars: bool) -> str:
        if isinstance(argument, Value):
            known = self._arrays.get(argument)
            if known is None:
                return self._variables[argument]
            scalar = scalars and isinstance(argument.example, np.generic)
            return self.constant(known) + ("[()]" if scalar else "")
        if isinstance(argument, tuple | list) and values_in(argument):
            parts = [self._text(part, scalars) for part in argument]
            return f"[{', '.join(parts)}]" if isinstance(argument, list) else f"({', '.join(parts)},)"
        if trees.leaves(argument) and values_in(argument):
            raise TypeError(f"compiled functions take arrays in tuples and lists, not in a {argument!r}")
        return self.constant(argument)
