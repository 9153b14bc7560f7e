"""Compiled functions, each made once for arguments of the same shapes, and the time that it takes."""

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from backends import Backend, Tree, tree


@dataclass
class Seconds:
    """Time spent: compiling, and in training steps, both in seconds of wall-clock time."""

    compile: float = 0.0
    train: float = 0.0

    @contextmanager
    def training(self) -> Iterator[None]:
        """Add the time that is spent within to ``train``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.train += time.perf_counter() - start


class CompiledPrograms:
    """What a trainer compiled.

    Attributes:
        seconds: gets the time that compiling takes.
    """

    def __init__(self, backend: Backend, seconds: Seconds) -> None:
        self.seconds = seconds
        self._backend = backend
        self._programs: dict[Hashable, Callable[..., Tree]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what can be copied: a copy compiles anew."""
        return self.__dict__ | {"_programs": {}}

    def share(self, programs: dict[Hashable, Callable[..., Tree]]) -> None:
        """Use these programs, and add to them: of others with an equal model, loss and optimizer."""
        self._programs = programs

    def get(self, function: Callable[..., Tree], *arguments: Tree) -> Callable[..., Tree]:
        """Return the compiled function for arguments of these shapes and dtypes, compiled once."""
        key = (function.__name__, *signature(arguments))
        if key not in self._programs:
            start = time.perf_counter()
            self._programs[key] = self._backend.jit(function, *arguments)
            self.seconds.compile += time.perf_counter() - start
        return self._programs[key]


def signature(arguments: Tree) -> tuple[Any, ...]:
    """Return the place, shape and dtype of each leaf."""
    return tuple((path, leaf.shape, leaf.dtype) for path, leaf in tree.leaves_with_paths(arguments))
