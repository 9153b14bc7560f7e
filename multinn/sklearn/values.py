"""Parameters of an estimator as what JSON can hold, and back."""

import math
from typing import Any

import numpy as np

from multinn.descriptions.hyperparameters import Hyperparameters, build
from multinn.errors import DescriptionError

_WORDS = 624  # of the state of the Mersenne Twister


def describe_value(value: Any, place: str) -> Any:
    """Return a description of a value; lists and arrays come back as tuples.

    Args:
        value: None, a number, a string, a layer, a loss, a `numpy.random.RandomState`; or a list, tuple,
            range, dict or array of such.
        place: the name of the parameter, for messages.

    Raises:
        DescriptionError: it is something else.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return [describe_value(entry, f"{place}[{index}]") for index, entry in enumerate(value)]
    if isinstance(value, Hyperparameters):
        return value.to_dict()
    if isinstance(value, dict):
        return {"items": [describe_value(pair, place) for pair in value.items()]}
    if isinstance(value, np.random.RandomState):
        return {"random_state": _describe_random_state(value, place)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise DescriptionError(
        f"{place}: a checkpoint holds numbers, strings, None, layers, losses, random states, and tuples "
        f"and dicts of such, got {value!r}: set it to one of them before"
    )


def build_value(description: Any) -> Any:
    """Return the value that was described.

    Raises:
        ValueError: it is not a description.
    """
    if isinstance(description, list):
        return tuple(build_value(entry) for entry in description)
    if not isinstance(description, dict):
        return description
    if "class" in description:
        return build(Hyperparameters, description)
    if description.keys() == {"items"}:
        return dict(build_value(description["items"]))
    if description.keys() == {"float"}:
        return float(description["float"])
    if description.keys() == {"random_state"}:
        return _build_random_state(*description["random_state"])
    raise ValueError(f"expected a description of a value, got {description!r}")


def _describe_random_state(random_state: np.random.RandomState, place: str) -> list[Any]:
    state: Any = random_state.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise DescriptionError(
            f"{place}: expected a RandomState of MT19937, as numpy.random.RandomState(seed) is, got one "
            f"of {state['bit_generator']}"
        )
    words, place_in_words = state["state"]["key"].tolist(), int(state["state"]["pos"])
    return [words, place_in_words, int(state["has_gauss"]), float(state["gauss"])]


def _build_random_state(words: Any, place: Any, has_gauss: Any, gauss: Any) -> np.random.RandomState:
    # NumPy does not check the place, and would read behind the words.
    if not isinstance(place, int) or not 0 <= place <= _WORDS or len(words) != _WORDS:
        raise ValueError(f"expected {_WORDS} words of a random state, and a place among them")
    random_state = np.random.RandomState(0)
    key = np.array(words, np.uint32)
    random_state.set_state(("MT19937", key, place, int(has_gauss), float(gauss)))
    return random_state
