"""The rows of the error table, and the function that runs them.

A `Fault` raises an error whose message says everything that the user needs, and nothing is lost. A
`Success` looks like a fault, but the library can continue; its result is also computed in another way.
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
    """Parts of a message.

    Attributes:
        thing: the name of the thing that is wrong.
        expected: what was expected.
        got: what came instead.
        remedy: what to do, unless the expected value says it.
    """

    thing: str
    expected: str
    got: str
    remedy: str = ""


@dataclass(frozen=True)
class Fault:
    """A row with an error.

    Attributes:
        name: the fault, and the function in which it occurs.
        do: causes the fault.
        error: the exact type of the error.
        says: parts of its message.
        after: checks more than that the scene is unchanged; or None.
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
    """A row without an error.

    Attributes:
        name: the case, and the function in which it occurs.
        do: returns the result, a tree of arrays and numbers.
        expected: returns the expected result, computed in another way.
        tolerance: relative and absolute; 0 for the same bits.
        warns: a part of the warning, or None for no warning.
    """

    name: str
    do: Action
    expected: Action
    tolerance: float = 1e-5
    warns: str | None = None

    def __str__(self) -> str:
        return self.name


def check(row: Fault | Success, scene: Scene) -> None:
    """Run a row, and check that the scene is unchanged."""
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
    missing = [part for part in fault.says if part not in message]
    assert not missing, f"the message {message!r} does not say {missing}"
    if fault.after is not None:
        fault.after(scene, caught.value)


def _check_success(success: Success, scene: Scene) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = success.do(scene)
    messages = [str(warning.message) for warning in caught]
    assert bool(messages) == (success.warns is not None), messages
    assert all((success.warns or "") in message for message in messages)
    tree.map(
        lambda a, e: np.testing.assert_allclose(a, e, rtol=success.tolerance, atol=success.tolerance),
        result,
        success.expected(scene),
    )
