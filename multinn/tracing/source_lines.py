"""The source lines that run during a call."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

# a function's "name", its "source" and "ran", the numbers of its lines that ran
Listing = dict[str, Any]


class SourceLines:
    """The functions that ran, in the order of their first call, and their lines that ran.

    Functions count if they stand in the package of the part's class or of one of its base classes, or in
    `multinn.functional`, and do not check hyperparameters. Lines of functions within a function count
    for the outer one.

    Args:
        kind: the class of the part.
    """

    def __init__(self, kind: type) -> None:
        self._ran: dict[tuple[str, str], tuple[CodeType, set[int]]] = {}
        self._classes = [f"{base.__qualname__}." for base in kind.__mro__]
        modules = {base.__module__ for base in kind.__mro__} | {"multinn.functional"}
        self._modules = {name for name in modules if not name.startswith("multinn.descriptions.")}
        self._packages = {name.rpartition(".")[0] for name in self._modules} - {"", "multinn"}

    @classmethod
    @contextmanager
    def recording(cls, found: dict[str, Any], name: str, kind: type, wanted: bool) -> Iterator[None]:
        """Record the lines that run in the context as ``found[name]``, if wanted."""
        if not wanted:
            yield
            return
        lines = found.setdefault(name, cls(kind))
        before = sys.gettrace()
        sys.settrace(lines._trace)
        try:
            yield
        finally:
            sys.settrace(before)

    def listings(self) -> list[Listing]:
        """Return the source of each function, dedented, without functions whose source is not found."""
        found = []
        for code, ran in self._ran.values():
            source, numbers = _source(code)
            if source:
                lines = [new for new, number in enumerate(numbers) if number in ran]
                found.append({"name": code.co_qualname, "source": source, "ran": lines})
        return found

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        """Return the function that follows the lines of a new frame, if it counts."""
        module = frame.f_globals.get("__name__", "")
        if module not in self._modules and module.rpartition(".")[0] not in self._packages:
            return None
        code = frame.f_code
        name = self._outermost(code.co_qualname)
        if name != code.co_qualname and (code.co_filename, name) not in self._ran:
            return None
        _, ran = self._ran.setdefault((code.co_filename, name), (code, set()))

        def follow(frame: FrameType, event: str, argument: object) -> Any:
            if event == "line":
                ran.add(frame.f_lineno)
            return follow

        return follow

    def _outermost(self, name: str) -> str:
        """Return the outermost function that a function stands in, or within a method, that method.

        The class of a method may itself be defined in a function.
        """
        prefix = next((each for each in self._classes if name.startswith(each)), "")
        return prefix + name.removeprefix(prefix).partition(".<locals>")[0]


@lru_cache(maxsize=1024)
def _source(code: CodeType) -> tuple[str, list[int]]:
    """Return the source of a function without its docstring, and the numbers of its lines in the file.

    The source is empty if it is not found.
    """
    try:
        lines, first = inspect.getsourcelines(code)
    except (OSError, TypeError):
        return "", []
    kept = _without_documentation(lines)
    source = textwrap.dedent("".join(lines[index] for index in kept)).rstrip()
    return source, [first + index for index in kept]


def _without_documentation(lines: list[str]) -> list[int]:
    """Return the indices of a function's lines without its docstring."""
    try:
        function: Any = ast.parse(textwrap.dedent("".join(lines))).body[0]
    except SyntaxError:  # such as the lines around a lambda
        return list(range(len(lines)))
    everything = list(range(len(lines)))
    if not isinstance(function, ast.FunctionDef) or ast.get_docstring(function) is None:
        return everything
    text = function.body[0]
    return everything[: text.lineno - 1] + everything[text.end_lineno :]
