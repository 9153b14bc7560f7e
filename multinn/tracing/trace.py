"""A trace: everything that happened in some training steps, as one JSON object."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from backends import HostArray, Tree
from multinn.descriptions.types import checks_arguments
from multinn.errors import TraceError
from multinn.host.atomic import replacing
from multinn.host.paths import PathLike, check_path, check_target
from multinn.tracing.arrays import Json, read_array
from multinn.tracing.page import frame, page
from multinn.tracing.widget import make_widget

FORMAT, VERSION = "multinn.trace", 1
_NUMBERS = ("number", "forward", "backward")  # entries of a step that hold no indices of arrays
_PARTS: dict[str, type] = {
    "multinn": str,
    "backend": str,
    "dtype": str,
    "layers": list,
    "loss": dict,
    "optimizers": list,
    "code": list,
    "steps": list,
    "arrays": list,
}


class Trace:
    """Some training steps: what each layer, the loss and the optimizer got and returned.

    Attributes:
        data: the trace as JSON; docs/traces.md describes its format. Do not change it.

    >>> import numpy as np
    >>> from multinn import SGD, Dense, HalfSquaredError, Sequential, Sigmoid, Trainer
    >>> trainer = Trainer(Sequential([Dense(1), Sigmoid()]), HalfSquaredError(), SGD(0.5))
    >>> trace = trainer.trace([[0.0, 1.0]], [[1.0]], steps=2)
    >>> trace
    <Trace of 2 steps of Sequential, on numpy in float32>
    >>> trace.losses[1] < trace.losses[0]
    True
    >>> trace.step(0)["layers"][1]["gradients"]["W"].shape
    (2, 1)
    """

    def __init__(self, data: Mapping[str, Json]) -> None:
        """Check the form of a trace.

        Raises:
            TraceError: the data are no trace, or of a later version.
        """
        try:
            _check(data)
            self._arrays = [read_array(entry) for entry in data["arrays"]]
            self.data = dict(data)
            steps = map(self.step, range(len(data["steps"])))
            self.losses = [float(step["loss"]["value"]) for step in steps]
        except TraceError:
            raise
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise TraceError(f"the trace is damaged: {error}") from error

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the attributes in the constructor.

        Raises:
            AttributeError: the trace is complete.
        """
        if "losses" in vars(self):
            raise AttributeError(f"Trace: expected no change, got a new {name}; make a new Trace(data)")
        super().__setattr__(name, value)

    @checks_arguments
    def step(self, index: int) -> dict[str, Tree]:
        """Return a recorded step, with NumPy arrays in place of their indices.

        Args:
            index: counted from 0, or from the end if negative.

        Raises:
            IndexError: there is no such step.
        """
        steps = self.data["steps"]
        if not -len(steps) <= index < len(steps):
            raise IndexError(f"step: expected an index below {len(steps)}, got {index}")
        step = steps[index]
        return {name: value if name in _NUMBERS else self._decode(value) for name, value in step.items()}

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Return the trace in a JSON file that `save` has written.

        Raises:
            OSError, TypeError, ValueError: the file cannot be read, or ``path`` is no path.
            TraceError: the file is no trace, or of a later version.
        """
        check_path(path)
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except (TraceError, UnicodeDecodeError) as error:
            raise TraceError(f"{path}: {error}") from error

    @classmethod
    @checks_arguments
    def from_json(cls, text: str) -> Self:
        """Return the trace of a JSON text.

        Raises:
            TraceError: the text is no trace, or of a later version.
        """
        try:
            return cls(json.loads(text, parse_constant=_refuse, parse_float=_finite))
        except (ValueError, RecursionError) as error:
            if isinstance(error, TraceError):
                raise
            raise TraceError(f"expected the text of a trace, JSON: {error}") from error

    def to_json(self) -> str:
        """Return the trace as JSON, on one line."""
        return json.dumps(self.data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))

    def save(self, path: PathLike) -> None:
        """Write the trace, as JSON or as a page that shows it.

        The page is one file that loads nothing from elsewhere. It works in any browser, also offline.

        Args:
            path: a name that ends in .json or .html, in a folder that exists.

        Raises:
            OSError, TypeError: the file cannot be written, or ``path`` is no path.
            ValueError: the path is empty, or has another ending.
        """
        check_target(path)
        ending = Path(path).suffix.lower()
        if ending not in (".json", ".html"):
            raise ValueError(f"save: expected a path that ends in .json or .html, got {str(path)!r}")
        text = self.to_json() if ending == ".json" else page(self.to_json())
        with replacing(path) as file:
            file.write(text.encode())

    def widget(self) -> Any:
        """Return a widget of a notebook that shows the trace; it needs the extra ``notebook``.

        Returns:
            An `anywidget.AnyWidget`. Its ``frame`` is the number of the frame that is shown, and can be
            set; its ``trace`` can be set to the data of another trace.

        Raises:
            ImportError: anywidget is not installed.
        """
        return make_widget(self.data)

    def __repr__(self) -> str:
        count = len(self.data["steps"])
        return (
            f"<Trace of {count} step{'s' * (count != 1)} of {self.data['layers'][0]['class']}, on "
            f"{self.data['backend']} in {self.data['dtype']}>"
        )

    def _repr_html_(self) -> str:
        """Return the page in a frame that may run only its own script, for a notebook."""
        return frame(self.to_json())

    def _decode(self, value: Json) -> Any:
        """Return JSON with arrays in place of their indices."""
        if isinstance(value, dict):
            return {name: self._decode(child) for name, child in value.items()}
        if isinstance(value, list):
            return tuple(map(self._decode, value))
        return None if value is None else self._array(value)

    def _array(self, index: Any) -> HostArray:
        if type(index) is not int or not 0 <= index < len(self._arrays):
            raise ValueError(
                f"expected the index of one of {len(self._arrays)} arrays, got {index!r:.80}"
            )
        return self._arrays[index]


def _check(data: Any) -> None:
    """Raise TraceError unless the data have the parts of a trace."""
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise TraceError(f'expected the data of a trace, a JSON object with "format": "{FORMAT}"')
    if data.get("version") != VERSION:
        raise TraceError(
            f"expected a trace of version {VERSION}, got version {data.get('version')!r:.80}; a later "
            "version of multinn may read it"
        )
    for name, kind in _PARTS.items():
        if not isinstance(data.get(name), kind):
            raise TraceError(f"the trace is damaged: expected {name}, a {kind.__name__}")
    _check_parts(data)


def _check_parts(data: Mapping[str, Json]) -> None:
    """Raise TraceError unless each step has a record of each part."""
    parts = [*data["layers"], data["loss"], *data["optimizers"]]
    names = [part.get("class") if isinstance(part, dict) else None for part in parts]
    if not data["layers"] or not all(isinstance(name, str) for name in names):
        raise TraceError("the trace is damaged: expected layers, each with the name of its class")
    if not data["steps"]:
        raise TraceError("the trace is damaged: expected at least one step")
    for step in data["steps"]:
        if len(step["layers"]) != len(data["layers"]):
            raise TraceError("the trace is damaged: expected a record of each layer in each step")
        for order in (step["forward"], step["backward"]):
            indices = range(len(data["layers"]))
            if not all(type(index) is int and index in indices for index in order):
                raise TraceError(f"the trace is damaged: expected indices of layers, got {order!r:.80}")
        _check_heads(data["loss"], step["loss"])


def _check_heads(loss: Json, record: Json) -> None:
    """Raise TraceError unless a loss has a class, and its record has one of each loss within it."""
    if not (isinstance(loss, dict) and isinstance(loss.get("class"), str) and isinstance(record, dict)):
        raise TraceError("the trace is damaged: expected losses, each with the name of its class")
    heads, records = loss.get("heads", {}), record.get("heads", {})
    if not (isinstance(heads, dict) and isinstance(records, dict) and heads.keys() == records.keys()):
        raise TraceError("the trace is damaged: expected a record of each loss in each step")
    for key, head in heads.items():
        _check_heads(head, records[key])


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"expected numbers in the range of float64, got {text:.80}")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"expected numbers, got {constant}")
