"""The rows of the error table, and the one way in which all of them are run.

A `Fault` is refused, with one message that says all that its user needs, and nothing is lost. Where it
is right to go on, a `Success` says what comes out, by another way to compute it.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from backends import tree
from tests.faults.scene import Scene

Action = Callable[[Scene], Any]


class Says(NamedTuple):
    """Words that a message must have.

    Attributes:
        thing: what is wrong, by the name that its user knows.
        expected: what it should be.
        got: what it is.
        remedy: what to do, where more is to do than to give what is expected.
    """

    thing: str
    expected: str
    got: str
    remedy: str = ""


@dataclass(frozen=True)
class Fault:
    """One row.

    Attributes:
        name: what is wrong, and where.
        do: does it.
        error: the type of the error, to the letter.
        says: what its message has to say.
        after: what else holds afterwards; that the scene is the same is always checked.
    """

    name: str
    do: Action
    error: type[BaseException]
    says: Says
    after: Callable[[Scene, BaseException], None] | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Success:
    """One row of what looks like a fault and is none.

    Attributes:
        name: what it is.
        do: returns what comes out, a tree of arrays and numbers.
        right: returns what has to come out, computed in another way.
        tolerance: relative; 0 for the same bits.
        warns: what has to be said in a warning, if anything.
    """

    name: str
    do: Action
    right: Action
    tolerance: float = 1e-5
    warns: str | None = None

    def __str__(self) -> str:
        return self.name


def check(row: Fault | Success, scene: Scene) -> None:
    """Run a row; whatever it does, the scene stays as it was."""
    before = scene.content()
    if isinstance(row, Fault):
        _check_fault(row, scene)
    else:
        _check_success(row, scene)
    assert scene.content() == before, "something was lost"


def _check_fault(fault: Fault, scene: Scene) -> None:
    with pytest.raises(fault.error) as caught:
        fault.do(scene)
    assert caught.type is fault.error
    message = str(caught.value)
    missing = [words for words in fault.says if words not in message]
    assert not missing, f"the message {message!r} does not say {missing}"
    if fault.after is not None:
        fault.after(scene, caught.value)


def _check_success(success: Success, scene: Scene) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = success.do(scene)
    said = [str(warning.message) for warning in caught]
    assert bool(said) == (success.warns is not None), said
    assert all((success.warns or "") in message for message in said)
    tree.map(
        lambda a, e: np.testing.assert_allclose(a, e, rtol=success.tolerance, atol=success.tolerance),
        result,
        success.right(scene),
    )
