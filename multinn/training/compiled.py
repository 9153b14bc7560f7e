"""Compiled functions, each made once for arguments of the same shapes, and the time that it takes."""

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

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


class RecentPrograms:
    """Compiled functions by their keys, those that were used last: the others are dropped.

    Those with memory of their own are found, too, while somebody else keeps them.

    Args:
        least: how many are kept whatever they take.
        most: how many are kept at most.
        most_bytes: how much memory the ones beyond ``least`` may keep between calls, all together.
    """

    def __init__(self, least: int = 0, most: int = 512, most_bytes: int = 2**31) -> None:
        self._least, self._most, self._most_bytes = least, most, most_bytes
        self._programs: dict[Hashable, Callable[..., Tree]] = {}  # the last used is the last
        self._alive: WeakValueDictionary[Hashable, Callable[..., Tree]] = WeakValueDictionary()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._programs)

    def get(self, key: Hashable) -> Callable[..., Tree] | None:
        """Return that program, if it is there."""
        with self._lock:
            program = self._programs.pop(key, None)
            if program is None:
                return self._alive.get(key)
            self._programs[key] = program
            return program

    def add(self, key: Hashable, program: Callable[..., Tree]) -> None:
        """Keep a program, and drop others if need be."""
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
    """What a trainer compiled: the programs that it used last.

    Attributes:
        seconds: gets the time that compiling takes.
    """

    def __init__(self, backend: Backend, seconds: Seconds) -> None:
        self.seconds = seconds
        self._backend = backend
        self._own = RecentPrograms(least=8)
        self._shared = RecentPrograms(most=0)
        self._family: Hashable = None

    def __getstate__(self) -> Any:
        """Return what can be copied: a copy compiles anew."""
        return self._backend, self.seconds

    def __setstate__(self, state: Any) -> None:
        self.__init__(*state)  # type: ignore[misc]  # a copy is a new one

    def share(self, programs: RecentPrograms, family: Hashable) -> None:
        """Use these programs, too, and add to them; keep fewer beside them.

        Args:
            programs: those of others.
            family: all that the functions of this trainer depend on.
        """
        self._shared, self._family = programs, family
        self._own = RecentPrograms(least=8, most_bytes=2**28)

    def get(self, function: Callable[..., Tree], *arguments: Tree) -> Callable[..., Tree]:
        """Return the compiled function for arguments of these shapes and dtypes."""
        key = (function.__name__, *signature(arguments))
        program = self._own.get(key)
        if program is None:
            program = self._find_or_compile(key, function, arguments)
            self._own.add(key, program)
        return program

    def _find_or_compile(self, key: Hashable, function: Any, arguments: Any) -> Callable[..., Tree]:
        program = self._shared.get((self._family, key))
        if program is None:
            start = time.perf_counter()
            program = self._backend.jit(function, *arguments)
            self.seconds.compile += time.perf_counter() - start
            self._shared.add((self._family, key), program)
        return program


def signature(arguments: Tree) -> tuple[Any, ...]:
    """Return the place, shape and dtype of each leaf."""
    return tuple((path, leaf.shape, leaf.dtype) for path, leaf in tree.leaves_with_paths(arguments))
