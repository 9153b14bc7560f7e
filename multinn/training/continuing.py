"""Whether the state of an optimizer can continue with another optimizer."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from backends import Tree
from multinn.optimizers import Optimizer
from multinn.optimizers.wrappers import Wrapper
from multinn.training.compiled import signature

# The meaning of a state does not depend on these hyperparameters: they belong to a single update.
_OF_ONE_UPDATE = (
    *("learning_rate", "weight_decay", "epsilon", "nesterov", "trust_coefficient"),
    *("max_norm", "paths", "optimizer"),
)


def fits(former: Optimizer, state: Tree, optimizer: Optimizer, new_state: Tree) -> bool:
    """Return whether the state of the former optimizer has the same meaning for another one.

    The arrays must have the same names and shapes, one of the classes must derive from the other, and
    the hyperparameters must agree, such as the momentum or β₁, except those of a single update.

    Args:
        former: the former optimizer.
        state: its state.
        optimizer: the other optimizer.
        new_state: the first state of the other optimizer.

    >>> import numpy as np
    >>> from multinn import SGD, Adam, AdamW
    >>> params = {"W": np.ones(2)}
    >>> state = Adam().init(params)
    >>> [fits(Adam(), state, each, each.init(params)) for each in (AdamW(0.1), Adam(beta_1=0.5), SGD())]
    [True, False, False]
    """
    *_, one = _levels(former)
    *_, other = _levels(optimizer)
    return (
        (isinstance(one, type(other)) or isinstance(other, type(one)))
        and _lasting(former) == _lasting(optimizer)
        and signature(state) == signature(new_state)
    )


def _levels(optimizer: Optimizer) -> Iterator[Optimizer]:
    """Yield an optimizer, and the optimizers inside it, from the outermost to the innermost."""
    yield optimizer
    while isinstance(optimizer, Wrapper):
        optimizer = optimizer.optimizer
        yield optimizer


def _lasting(optimizer: Optimizer) -> list[tuple[str, Any]]:
    """Return the hyperparameters on which the meaning of the state depends."""
    return [
        (field.name, getattr(level, field.name))
        for level in _levels(optimizer)
        for field in fields(level)  # type: ignore[arg-type]  # optimizers are dataclasses
        if field.name not in _OF_ONE_UPDATE
    ]
