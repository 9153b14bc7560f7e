"""Checks of hyperparameters against their bounds. Each raises ValueError and names the class."""

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any


def check_integers(owner: object, *names: str, minimum: int = 1) -> None:
    """Check that these attributes are integers of at least the minimum."""
    expected = f"{{}} of at least {minimum}"
    _check(owner, names, expected, lambda value: isinstance(value, Integral) and int(value) >= minimum)


def check_finite(owner: object, *names: str) -> None:
    """Check that these attributes are finite."""
    _check(owner, names, "a finite {}", math.isfinite)


def check_nonnegative(owner: object, *names: str) -> None:
    """Check that these attributes are finite, and 0 or more."""
    _check(owner, names, "a finite {} of 0 or more", lambda value: 0.0 <= value < math.inf)


def check_positive(owner: object, *names: str) -> None:
    """Check that these attributes are finite, and more than 0."""
    _check(owner, names, "a positive, finite {}", lambda value: 0.0 < value < math.inf)


def check_fractions(owner: object, *names: str) -> None:
    """Check that these attributes are in [0, 1)."""
    _check(owner, names, "{} in [0, 1)", lambda value: 0.0 <= value < 1.0)


def check_choice(owner: object, name: str, *choices: str) -> None:
    """Check that an attribute is one of the choices."""
    _check(
        owner,
        (name,),
        "{} " + " or ".join(map(repr, choices)),
        lambda value: isinstance(value, str) and value in choices,
    )


def _check(owner: object, names: tuple[str, ...], expected: str, fits: Callable[[Any], bool]) -> None:
    for name in names:
        value = getattr(owner, name)
        if not fits(value):
            raise ValueError(f"{type(owner).__name__}: expected {expected.format(name)}, got {value!r}")
