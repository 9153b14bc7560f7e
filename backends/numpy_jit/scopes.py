"""The scopes of a recording: the whole function, or the body of a loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

_LEAKED = (
    "an array of a function that was being compiled, or of the body of a scan, is used outside of it: "
    "return it instead"
)


@dataclass(eq=False)
class Scope:
    """The whole function (depth 0), or the body of a loop.

    Attributes:
        depth: the number of loops around.
        outer: the scope around this one.
        values: all stand-ins of the recording.
    """

    depth: int = 0
    outer: "Scope | None" = None
    values: list[Any] = field(default_factory=list)

    def is_around(self, inner: "Scope | None") -> bool:
        """Return whether ``inner`` is this scope or within it."""
        while inner is not None and inner.depth > self.depth:
            inner = inner.outer
        return inner is self


_current_scope: ContextVar[Scope | None] = ContextVar("current_scope", default=None)


@contextmanager
def entered(scope: Scope) -> Iterator[None]:
    """Return a context in which recorded values belong to that scope."""
    token = _current_scope.set(scope)
    try:
        yield
    finally:
        _current_scope.reset(token)


def current_scope() -> Scope:
    """Return the scope that is currently recorded.

    Raises:
        TypeError: nothing is being recorded.
    """
    scope = _current_scope.get()
    if scope is None:
        raise TypeError(_LEAKED)
    return scope


def check_open(scope: Scope) -> None:
    """Raise TypeError unless the current recording is within that scope."""
    if not scope.is_around(_current_scope.get()):
        raise TypeError(_LEAKED)
