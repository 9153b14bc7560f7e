"""The class of a check, and the comparisons that checks are made of."""

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import tree as trees
from backends.base import Backend
from backends.errors import BackendError, PrecisionError
from backends.tree import Tree

PAGE = "docs/new-backend.md"
_LONGEST = 60


class NonconformanceError(BackendError, AssertionError):
    """A backend does not keep the contract; the message says what was expected, and what came."""


@dataclass(frozen=True)
class Check:
    """A requirement on backends; calling it with a backend checks that backend.

    Attributes:
        section: the heading in docs/new-backend.md that explains a failure.
        title: the expected behavior in a few words.
        run: raises NonconformanceError, or any error of the backend.
    """

    section: str
    title: str
    run: Callable[[Backend], None]

    @property
    def name(self) -> str:
        """The section and the title: unique among all checks."""
        return f"{self.section}: {self.title}"

    def __call__(self, backend: Backend) -> None:
        """Check one backend.

        Raises:
            NonconformanceError: the backend fails; the message is one line.
        """
        where = f"; see {PAGE}#{self.section}"
        try:
            self.run(backend)
        except NonconformanceError as error:
            raise NonconformanceError(f"{error}{where}") from error
        except Exception as error:
            got = short(f"{type(error).__name__}: {error}", 200)
            raise NonconformanceError(
                f"expected no error, got {got} ({_location(error, backend)}){where}"
            ) from error

    def __str__(self) -> str:
        return self.name


def check(section: str, title: str) -> Callable[[Callable[[Backend], None]], Check]:
    """Return a decorator that turns a function of a backend into a `Check`."""
    return lambda run: Check(section, title, run)


def _location(error: Exception, backend: Backend) -> str:
    """Return where the error was raised: the last line in the backend's own file, or the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    module = sys.modules.get(type(backend).__module__)
    own = [frame for frame in frames if frame.filename == getattr(module, "__file__", None)]
    last = (own or frames)[-1]
    return f"{last.filename}:{last.lineno}"


def require(condition: bool, expected: str, got: object) -> None:
    """Raise NonconformanceError unless the condition holds."""
    if not condition:
        raise NonconformanceError(f"expected {expected}, got {got}")


def require_same(got: Tree, expected: Tree, what: str, tolerance: float = 0.0) -> None:
    """Raise NonconformanceError unless both are equal trees of NumPy arrays of equal dtypes.

    Args:
        got: a result of `Backend.to_numpy`.
        expected: a tree of NumPy arrays.
        what: the name of the result, for the message.
        tolerance: the largest relative difference.
    """
    try:
        trees.map(lambda one, other: None, expected, got)
    except ValueError as error:
        raise NonconformanceError(f"{what}: {error}") from error
    pairs = zip(trees.leaves_with_paths(expected), trees.leaves(got), strict=True)
    for (path, wanted), came in pairs:
        where = f"{what}, leaf {path}" if path else what
        require(isinstance(came, np.ndarray), f"{where}: a NumPy array", f"a {type(came).__name__}")
        form = (came.dtype, came.shape) == (wanted.dtype, wanted.shape)
        require(form, f"{where}: {_form(wanted)}", _form(came))
        if tolerance:
            same = np.allclose(came, wanted, rtol=tolerance, atol=0.0, equal_nan=True)
        else:
            same = np.array_equal(came, wanted, equal_nan=wanted.dtype.kind in "fc")
        require(bool(same), f"{where}: {_values(wanted)}", _values(came))


def has_float64(backend: Backend) -> bool:
    """Return whether the backend offers float64, which is optional."""
    try:
        with backend.precision("float64"):
            return True
    except PrecisionError:
        return False


def short(text: str, longest: int = _LONGEST) -> str:
    """Return the text on one line, shortened if it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _form(array: Any) -> str:
    return f"{array.dtype} of shape {array.shape}"


def _values(array: Any) -> str:
    return short(str(array.tolist()))
