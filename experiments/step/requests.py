"""The requests of the page, and what they do."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from experiments.step.session import Session
from multinn import DivergenceError

Request = Mapping[str, Any]
MOST_STEPS: Final = 1000  # of one request


def answer(session: Session, request: Request) -> dict[str, Any]:
    """Carry out a request, and return what the page shows then, for JSON.

    Args:
        session: the session.
        request: ``action`` is "show"; "step", with ``count``; "edit", with ``kind``, ``indices`` and
            ``value``, and if the kind is "params", ``layer`` and ``path``; "learning_rate", with
            ``value``; or "reset".

    Returns:
        The view of the session, and ``message``, which says why training ended, or None.

    Raises:
        ValueError: the request is wrong. The session is as it was.
    """
    action = request.get("action")
    if not isinstance(action, str) or action not in _ACTIONS:
        raise ValueError(f"action: expected one of {', '.join(_ACTIONS)}, got {json.dumps(action):.80}")
    message = None
    try:
        _ACTIONS[action](session, request)
    except DivergenceError:
        message = (
            f"Step {len(session.losses) + 1} is not taken: it leads to NaN or infinity. The numbers are "
            "those before it. Choose a smaller learning rate, undo the last change, or start again."
        )
    return session.view() | {"message": message}


def _step(session: Session, request: Request) -> None:
    session.train(_integer(request, "count", 1, MOST_STEPS))


def _edit(session: Session, request: Request) -> None:
    kind, indices, value = request.get("kind"), _indices(request), _number(request, "value")
    if kind == "params":
        layer, path = _integer(request, "layer", 0), str(request.get("path"))
        session.edit_parameter(layer, path, indices, value)
    elif kind == "x":
        session.edit_input(indices, value)
    elif kind == "targets":
        session.edit_target(indices, value)
    else:
        raise ValueError(f"kind: expected x, targets or params, got {json.dumps(kind):.80}")


_ACTIONS: Final[dict[str, Callable[[Session, Request], None]]] = {
    "show": lambda session, request: None,
    "step": _step,
    "edit": _edit,
    "learning_rate": lambda session, request: session.set_learning_rate(_number(request, "value")),
    "reset": lambda session, request: session.reset(),
}


def _integer(request: Request, name: str, least: int, most: float = math.inf) -> int:
    value = request.get(name)
    if type(value) is not int or not least <= value <= most:
        bound = f"of at least {least}" if most == math.inf else f"from {least} to {most:,}"
        raise ValueError(f"{name}: expected an integer {bound}, got {json.dumps(value):.80}")
    return value


def _number(request: Request, name: str) -> float:
    value = request.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{name}: expected a number, got {json.dumps(value):.80}")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise ValueError(f"{name}: expected a finite number, got {json.dumps(value):.80}")
    return found


def _indices(request: Request) -> list[int]:
    value = request.get("indices")
    if not isinstance(value, list) or not all(type(index) is int for index in value):
        raise ValueError(f"indices: expected a list of integers, got {json.dumps(value):.80}")
    return value
