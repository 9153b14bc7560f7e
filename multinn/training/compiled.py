"""Functions compiled once for all arguments of the same shapes, and the time spent on them."""

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from backends import Backend, Tree, tree

Compiled = Callable[..., Tree]


@dataclass
class Seconds:
    """Seconds of wall-clock time spent in compiling and in training steps."""

    compile: float = 0.0
    train: float = 0.0

    @contextmanager
    def training(self) -> Iterator[None]:
        """Add the time within the context to ``train``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.train += time.perf_counter() - start


class RecentPrograms:
    """A least-recently-used cache of compiled functions, bounded by their number and their memory.

    A dropped function that keeps memory between calls is still found while anything else refers to it.

    Args:
        least: the number of functions that are kept whatever memory they take.
        most: the largest number of functions.
        most_bytes: the memory that all functions together may keep between calls, if there are more
            than ``least``.
    """

    def __init__(self, least: int = 0, most: int = 512, most_bytes: int = 2**31) -> None:
        self._least, self._most, self._most_bytes = least, most, most_bytes
        self._programs: dict[Hashable, Compiled] = {}  # the last used comes last
        self._alive: WeakValueDictionary[Hashable, Compiled] = WeakValueDictionary()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._programs)

    def get(self, key: Hashable) -> Compiled | None:
        """Return the function with that key, or None."""
        with self._lock:
            program = self._programs.pop(key, None)
            if program is None:
                return self._alive.get(key)
            self._programs[key] = program
            return program

    def add(self, key: Hashable, program: Compiled) -> None:
        """Keep a function, and drop others if there is no room."""
        with self._lock:
            self._programs[key] = program
            if hasattr(program, "nbytes"):
                self._alive[key] = program
            while len(self._programs) > self._least and self._is_full():
                del self._programs[next(iter(self._programs))]

    def _is_full(self) -> bool:
        kept = sum(getattr(program, "nbytes", 0) for program in self._programs.values())
        return len(self._programs) > self._most or kept > self._most_bytes


class CompiledPrograms:
    """The compiled functions of a trainer. A copy or a pickle of it is empty.

    Attributes:
        seconds: the time of compiling is added here.
        step_seconds: estimates of the time of a step, by the shapes of a batch.
    """

    def __init__(self, backend: Backend, seconds: Seconds) -> None:
        self.seconds = seconds
        self.step_seconds: dict[Hashable, float] = {}
        self._backend = backend
        self._own = RecentPrograms(least=8)
        self._shared = RecentPrograms(most=0)  # keeps nothing: `share` replaces it
        self._family: Hashable = None

    def __getstate__(self) -> Any:
        return self._backend, self.seconds

    def __setstate__(self, state: Any) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def share(self, programs: RecentPrograms, family: Hashable) -> None:
        """Also use a cache that several trainers share, and keep fewer functions here.

        Args:
            programs: the shared cache.
            family: a key for everything on which the functions of this trainer depend.
        """
        self._shared, self._family = programs, family
        self._own = RecentPrograms(least=8, most_bytes=2**28)

    def get(self, function: Compiled, *arguments: Tree) -> Compiled:
        """Return the compiled function for arguments of these shapes and dtypes."""
        key = (function.__name__, *signature(arguments))
        program = self._own.get(key)
        if program is None:
            program = self._find_or_compile(key, function, arguments)
            self._own.add(key, program)
        return program

    def _find_or_compile(self, key: Hashable, function: Compiled, arguments: Any) -> Compiled:
        program = self._shared.get((self._family, key))
        if program is None:
            start = time.perf_counter()
            program = self._backend.jit(function, *arguments)
            self.seconds.compile += time.perf_counter() - start
            self._shared.add((self._family, key), program)
        return program


def signature(arguments: Tree) -> tuple[Any, ...]:
    """Return the path, shape and dtype of each leaf."""
    return tuple((path, leaf.shape, leaf.dtype) for path, leaf in tree.leaves_with_paths(arguments))
