"""Threads that share the parts of one piece of work, kept for the whole process."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import Context, copy_context
from threading import Lock, Thread

from backends.blas_threads import OneThread as OneThread
from backends.blas_threads import thread_count as thread_count
from backends.denormals import as_in_context


def run_parts(function: Callable[[int], object], count: int) -> None:
    """Call ``function(0)`` to ``function(count - 1)``, in several threads where that is possible.

    There are at most `thread_count` threads, and the calling one is among them. They take one part after
    the other, in order, and see the caller's context, so that `numpy.errstate` applies to all. The
    calling thread does everything if NumPy's BLAS has one thread, or while the threads work already:
    within a part, or for another Python thread. To hand over takes some microseconds.

    When the call ends, even by an error or by Ctrl-C, no part is being computed.

    Args:
        function: computes one part; no part reads what another one writes.
        count: the number of parts.

    Raises:
        BaseException: the first error of a part. Parts that have not begun by then are left out.
    """
    helpers = min(thread_count(), count) - 1
    if helpers > 0 and _teams[-1].run(function, count, helpers):
        return
    for index in range(count):
        function(index)


class _Team:
    """The threads that help a calling thread, one calling thread at a time."""

    def __init__(self) -> None:
        self._helpers: list[_Helper] = []
        self._callers: list[object] = []  # the first one has the threads

    def run(self, function: Callable[[int], object], count: int, helpers: int) -> bool:
        """Compute the parts in the calling thread and helpers; return False if the threads are busy."""
        caller = object()
        try:
            self._callers.append(caller)
            if self._callers[0] is not caller:
                return False
            self._compute(_Parts(function, count), helpers)
            return True
        finally:
            self._callers.remove(caller)

    def _compute(self, parts: "_Parts", helpers: int) -> None:
        with suppress(RuntimeError):  # no more threads can be started
            while len(self._helpers) < helpers:
                self._helpers.append(_Helper())
        working, interrupts = self._helpers[:helpers], list[BaseException]()
        try:
            for helper in working:
                helper.begin(parts)
            parts.compute()
        finally:
            while working:  # also if Ctrl-C interrupts this
                try:
                    while working:
                        working[-1].end()
                        working.pop()
                except BaseException as interrupt:
                    interrupts.append(interrupt)
        if errors := interrupts or parts.errors:
            raise errors.pop(0)


class _Parts:
    """Parts that wait to be computed, each by the first thread that takes it.

    Attributes:
        errors: the errors of parts.
    """

    def __init__(self, function: Callable[[int], object], count: int) -> None:
        self.errors: list[BaseException] = []
        self._function = function
        self._waiting = deque(range(count))

    def compute(self) -> None:
        """Compute parts until none waits."""
        try:
            for index in self._taken():
                self._function(index)
        except BaseException as error:
            self._waiting.clear()
            self.errors.append(error)

    def _taken(self) -> Iterator[int]:
        while True:
            try:
                index = self._waiting.popleft()
            except IndexError:
                return
            yield index


class _Helper:
    """A thread that sleeps until there is work."""

    def __init__(self) -> None:
        self._work: tuple[_Parts, Context] | None = None
        self._sleep = Lock()  # free: the thread is awake, or about to be
        self._sleep.acquire()
        self._is_working = Lock()
        Thread(target=self._run, name="multinn", daemon=True).start()

    def begin(self, parts: _Parts) -> None:
        """Let the thread compute parts, once it is awake."""
        self._work = parts, copy_context()
        if self._sleep.locked():
            self._sleep.release()

    def end(self) -> None:
        """Wait until the thread computes no part.

        If it has not begun, it finds none, as no part waits any more.
        """
        with self._is_working:
            self._work = None

    def _run(self) -> None:
        while True:
            self._sleep.acquire()
            with self._is_working:
                self._compute()

    def _compute(self) -> None:
        if self._work is not None:
            parts, context = self._work
            context.run(_compute_alike, parts)


def _compute_alike(parts: _Parts) -> None:
    with as_in_context():
        parts.compute()


_teams = [_Team()]

if hasattr(os, "register_at_fork"):  # a forked process has none of the threads
    os.register_at_fork(after_in_child=lambda: _teams.append(_Team()))
