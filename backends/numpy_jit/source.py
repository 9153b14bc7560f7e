"""The text of a Python function, with names for the objects that it uses."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backends import tree as trees
from backends.base import HostArray
from backends.numpy_jit.recording import Value, values_in


class Source:
    """A function while it is written.

    A value is a constant of the function where its array is known before the function runs, else a
    variable. Names of constants end with ``_`` and a number, so no other name may.
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
        """Add a parameter that a value arrives in."""
        self._parameters.append(self.variable(value))

    def is_parameter(self, value: Value) -> bool:
        """Tell whether a value is an argument of the function."""
        return self._variables.get(value) in self._parameters

    def variable(self, value: Value) -> str:
        """Return a new name for a value."""
        self._variables[value] = f"variable{len(self._variables)}"
        return self._variables[value]

    def line(self, text: str) -> None:
        """Write a line."""
        self._lines.append("    " * (1 + len(self._block_starts)) + text)

    def check(self, text: str) -> None:
        """Write a line at the beginning, once."""
        self._checks[f"    {text}"] = None

    def open_block(self, head: str) -> None:
        """Write the head of a block, whose lines are those up to `close_block`."""
        self.line(head)
        self._block_starts.append(len(self._lines))

    def close_block(self) -> None:
        """End the innermost block."""
        if len(self._lines) == self._block_starts[-1]:
            self.line("pass")
        self._block_starts.pop()

    def expression(self, argument: Any) -> str:
        """Return the text that stands for an argument of a call."""
        return self._text(argument, scalars=False)

    def reshaped(self, value: Value, shape: tuple[int, ...]) -> str:
        """Return the text that stands for a view of a value in another shape."""
        known = self._arrays.get(value)
        if known is None:
            return f"{self.expression(value)}.reshape({shape})"
        return self.constant(known.reshape(shape))

    def repeated(self, constant: HostArray, like: Any) -> str:
        """Return the text that stands for a constant, repeated to the shape and the layout of `like`."""
        key = (constant.tobytes(), constant.dtype, constant.shape, like.shape, like.strides)
        if key not in self._repeated:
            self._repeated[key] = np.full_like(like, constant, constant.dtype)
        return self.constant(self._repeated[key])

    def call(self, function: Any, args: tuple[Any, ...], options: dict[str, Any], out: str = "") -> str:
        """Return the text of a call, which gets scalars where the recorded call got scalars."""
        parts = [self._text(arg, scalars=True) for arg in args]
        parts += [f"{name}={self._text(value, scalars=True)}" for name, value in options.items()]
        parts += [f"out={out}"] if out else []
        return f"{self.constant(function)}({', '.join(parts)})"

    def constant(self, value: Any) -> str:
        """Return the name under which the function finds an object."""
        key = id(value)
        if key not in self._names:
            described = getattr(value, "__name__", "array" if isinstance(value, np.ndarray) else "")
            name = f"{described if described.isidentifier() else 'value'}_{len(self._constants)}"
            self._names[key] = name
            self._constants[name] = value  # which keeps it alive, and so its id its own
        return self._names[key]

    @property
    def text(self) -> str:
        """The text of the function."""
        # Defaults make local variables of the constants, which are faster than global ones.
        parameters = [*self._parameters, *(f"{name}={name}" for name in self._constants)]
        return "\n".join([f"def replay({', '.join(parameters)}):", *self._checks, *self._lines, ""])

    def function(self) -> Callable[..., Any]:
        """Return the function."""
        names = dict(self._constants)
        exec(compile(self.text, "<recorded by multinn>", "exec"), names)
        function: Callable[..., Any] = names.pop("replay")  # it holds names: no cycle, so no garbage
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
