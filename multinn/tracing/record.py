"""Recording of whole training steps as a trace."""

import json
import re
import time
from collections.abc import Collection
from math import isfinite
from typing import Any

import numpy as np

from backends import Backend, Tree, tree
from multinn.descriptions.brief import documentation, formula, shown_fields
from multinn.descriptions.names import named
from multinn.errors import DescriptionError
from multinn.host.progress import progress
from multinn.host.text import shorten
from multinn.host.version import own_version
from multinn.layers import Layer, Parallel, Sequential
from multinn.losses import Heads, Loss
from multinn.optimizers import Optimizer
from multinn.tracing.arrays import ArrayStore, Json
from multinn.tracing.recorder import Call, Recorder
from multinn.tracing.trace import FORMAT, VERSION, Trace
from multinn.training.program import Examples, Plan, TrainingProgram, TrainingState

LAYER_ENTRIES = (
    *("x", "y", "cache", "params", "params_after", "state", "state_after"),
    *("dy", "dx", "gradients"),
)
OTHER_ENTRIES = ("updates", "code", "documentation")
_SECONDS = 2.0  # after which progress is shown
_MOST_CHARACTERS = 10_000  # of a hyperparameter
_ADDRESS = re.compile(" at 0x[0-9a-fA-F]+(?=>)")  # of a function in memory


def record(
    program: TrainingProgram,
    state: TrainingState,
    examples: Examples,
    plan: Plan,
    *,
    steps: int,
    first_step: int,
    leave_out: Collection[str] = (),
    most_bytes: int = 50_000_000,
) -> Trace:
    """Record the first steps of a plan, which run as in training, but one operation at a time.

    Args:
        program: the model, the loss and the optimizer on a backend.
        state: the state before the first step, on the backend.
        examples: all examples, on the backend.
        plan: at least that many steps, on the host.
        steps: the number of steps.
        first_step: the number of the first step, for the trace.
        leave_out: the names of entries to leave out: of `LAYER_ENTRIES` and `OTHER_ENTRIES`.
        most_bytes: the largest size of the trace as JSON, about.

    Returns:
        The trace. The state after the last step is in it.

    Raises:
        TypeError: an array has a dtype that a trace cannot hold.
        ValueError: an entry has another name, or the trace would be too large; or the layers call each
            other in a way that a trace cannot show.
    """
    _check_names(leave_out)
    recorder = Recorder(program.model, program.loss, program.optimizer, lines="code" not in leave_out)
    recording = TrainingProgram(
        program.backend, recorder.model, recorder.loss, recorder.optimizer, {}, program.dtype
    )
    store = ArrayStore()
    found: list[Json] = []
    size_of_steps = 0
    writer = _Writer(program.backend, store, frozenset(leave_out))

    def take(rows_and_key: tuple[Any, Any]) -> None:
        nonlocal state, size_of_steps
        state = _with_different_leaves(program.backend, state)
        recorder.clear()
        with np.errstate(all="ignore"):  # as in training, which tests whether numbers are finite
            after, _ = recording.step(examples, state, program.backend.from_numpy(rows_and_key))
        step = writer.step(recorder, state, after, rows_and_key[0])
        found.append({"number": first_step + len(found), **step})
        state = after
        size_of_steps += len(json.dumps(step))
        if store.nbytes + size_of_steps > most_bytes:
            raise ValueError(
                f"trace: expected at most {most_bytes:,} bytes, got more after {len(found)} of {steps} "
                f"steps; record fewer examples or steps, leave out some of {', '.join(LAYER_ENTRIES)}, "
                "or increase most_bytes"
            )

    start = time.perf_counter()
    first, *rest = _first_steps(plan, steps)
    take(first)
    seconds = (time.perf_counter() - start) * len(rest)
    with progress(len(rest), "step", show=seconds > _SECONDS) as advance:
        for rows_and_key in rest:
            take(rows_and_key)
            advance(1, {})
    data = {
        "format": FORMAT,
        "version": VERSION,
        "multinn": own_version(),
        "backend": program.backend.name,
        "dtype": program.dtype,
        **writer.parts(recorder),
        "steps": found,
        "arrays": store.entries,
    }
    return Trace(data)


def _check_names(leave_out: Any) -> None:
    names = (*LAYER_ENTRIES, *OTHER_ENTRIES)
    is_list = isinstance(leave_out, Collection) and not isinstance(leave_out, str)
    if not is_list or any(name not in names for name in leave_out):
        raise ValueError(f"leave_out: expected names of {', '.join(names)}, got {leave_out!r}")


def _first_steps(plan: Plan, steps: int) -> list[tuple[Any, Any]]:
    """Return the rows and the key of each of the first steps of a plan."""
    found = []
    for epoch in range(plan.keys.shape[0]):
        for step, key in enumerate(plan.keys[epoch]):
            found.append((None if plan.rows is None else plan.rows[epoch, step], key))
        if plan.tail_rows is not None and plan.tail_keys is not None:
            found.append((plan.tail_rows[epoch], plan.tail_keys[epoch]))
    return found[:steps]


def _with_different_leaves(backend: Backend, state: TrainingState) -> TrainingState:
    """Return a copy in which no array occurs twice, so that each can be found by its identity."""
    copied: TrainingState = backend.from_numpy(tree.map(np.array, backend.to_numpy(state)))
    return copied


class _Writer:
    """Turns recorded calls into JSON.

    Args:
        backend: the backend of the arrays.
        store: takes the arrays.
        leave_out: the names of entries to leave out.
    """

    def __init__(self, backend: Backend, store: ArrayStore, leave_out: frozenset[str]) -> None:
        self._backend = backend
        self._store = store
        self._leave_out = leave_out
        self._places: list[Any] | None = None
        self._parameters: list[dict[str, str]] = []
        self._code: list[Json] = []

    def step(
        self, recorder: Recorder, before: TrainingState, after: TrainingState, rows: Any
    ) -> dict[str, Json]:
        """Return the record of one step."""
        calls = recorder.calls
        places = [(call.place, type(call.part).__name__) for call in calls]
        if self._places not in (None, places):
            raise ValueError(
                "trace: expected the same calls of layers in each step, but they differ; record one step"
            )
        self._places = places
        paths = {id(leaf): path for path, leaf in tree.leaves_with_paths(before.params)}
        self._parameters = [_parameter_paths(call, paths) for call in calls]
        pairs = zip(*map(_changing_leaves, (before, after)), strict=True)
        became = {id(old): new for old, new in pairs}
        found = {
            "rows": self._store.add(rows),
            "forward": [calls.index(call) for call in recorder.forward],
            "backward": [calls.index(call) for call in recorder.backward],
            "layers": [self._layer(call, became) for call in calls],
            "loss": self._loss(recorder.losses[-1]),
        }
        if "updates" not in self._leave_out:
            found["updates"] = [self._add(call.values) for call in recorder.updates]
        return found

    def parts(self, recorder: Recorder) -> dict[str, Json]:
        """Return the descriptions of the layers, the loss and the optimizers, from the last step."""
        places = {call.place: index for index, call in enumerate(recorder.calls)}
        layers = [
            self._part(call)
            | {
                "sequential": isinstance(call.part, Sequential),
                "place": list(call.place[1:]),
                "parent": places.get(call.place[:-1]),
                "parameters": parameters,
            }
            for call, parameters in zip(recorder.calls, self._parameters, strict=True)
        ]
        for call in recorder.calls:
            if isinstance(call.part, Parallel) and call.part.names is not None:
                for inner, name in zip(call.inner, call.part.names, strict=True):
                    layers[places[inner.place]]["branch"] = name
        loss = self._loss_part(recorder.losses[-1])
        optimizers = [self._part(call) for call in recorder.updates]
        return {"layers": layers, "loss": loss, "optimizers": optimizers, "code": self._code}

    def _loss(self, call: Call) -> dict[str, Json]:
        """Return the record of a loss, and of each loss within `Heads`."""
        found: dict[str, Json] = self._add(call.values)
        heads = {key: self._loss(head) for key, head in _heads(call).items()}
        return found | ({"heads": heads} if heads else {})

    def _loss_part(self, call: Call) -> dict[str, Json]:
        """Return the description of a loss, and of each loss within `Heads` with its coefficient."""
        loss: Any = call.part
        found = self._part(call) | {"reduction": loss.reduction}
        if heads := _heads(call):
            coefficients = loss.coefficients or (1.0,) * len(heads)
            found["heads"] = {
                key: self._loss_part(head) | {"coefficient": coefficient}
                for (key, head), coefficient in zip(heads.items(), coefficients, strict=True)
            }
        return found

    def _layer(self, call: Call, became: dict[int, Any]) -> dict[str, Json]:
        values = call.values
        changed = {
            f"{name}_after": tree.map(lambda leaf: became.get(id(leaf)), values[name])
            for name in ("params", "state")
        }
        kept = {name: value for name, value in (values | changed).items() if name not in self._leave_out}
        found = {}
        for name in [each for each in LAYER_ENTRIES if each in kept]:
            try:
                found[name] = self._add(kept[name])
            except TypeError as error:
                message = f"trace: {name}: {error}; leave it out with leave_out=[{name!r}]"
                raise TypeError(message) from error
        return found

    def _add(self, values: Tree) -> Json:
        return self._store.add(tree.map(self._to_numpy, values))

    def _to_numpy(self, leaf: Any) -> Any:
        return leaf if isinstance(leaf, bool | int | float) else self._backend.to_numpy(leaf)

    def _part(self, call: Call) -> dict[str, Json]:
        part: Any = call.part
        found = {
            "class": _class_name(type(part).__mro__[1]),
            "formula": formula(part),
            "hyperparameters": _hyperparameters(part),
        }
        if "documentation" not in self._leave_out:
            found["documentation"] = documentation(part)
        if "code" not in self._leave_out and not isinstance(part, Sequential):
            found["code"] = {
                name: [self._listing(listing) for listing in lines.listings()]
                for name, lines in call.lines.items()
            }
        return found

    def _listing(self, listing: Json) -> int:
        if listing not in self._code:
            self._code.append(listing)
        return self._code.index(listing)


def _heads(call: Call) -> dict[str, Call]:
    """Return the calls that `Heads` made of its losses, by the keys or the indices of the outputs."""
    loss = call.part
    if not isinstance(loss, Heads):
        return {}
    return dict(zip(map(str, loss.keys), call.inner, strict=True))


def _changing_leaves(state: TrainingState) -> list[Any]:
    """Return the leaves of the parameters, and of the state of the layers."""
    return tree.leaves((state.params, state.layer_state))


def _parameter_paths(call: Call, paths: dict[int, str]) -> dict[str, str]:
    """Return the path in all parameters, such as "2.W", of each of a layer's own, such as "W".

    Args:
        call: of the layer.
        paths: the path of each parameter of the model, by its identity.
    """
    if isinstance(call.part, Sequential):
        return {}
    own = tree.leaves_with_paths(call.values["params"])
    return {path: paths[id(leaf)] for path, leaf in own if id(leaf) in paths}


def _class_name(kind: type) -> str:
    """Return the name of a class, with its module if another class is registered under the name."""
    try:
        is_other = named(kind.__name__) is not kind
    except DescriptionError:
        is_other = False
    return f"{kind.__module__}.{kind.__qualname__}" if is_other else kind.__name__


def _hyperparameters(part: Any) -> dict[str, Json]:
    """Return the hyperparameters by name: numbers, strings and None as they are, others as text.

    Layers, losses and optimizers have entries of their own.
    """
    values = {field.name: getattr(part, field.name) for field in shown_fields(part)}
    return {
        name: _hyperparameter(value)
        for name, value in values.items()
        if not any(isinstance(leaf, Layer | Loss | Optimizer) for leaf in tree.leaves(value))
    }


def _hyperparameter(value: Any) -> Json:
    """Return the value if JSON can hold it, or a text that is the same in each run."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value)):
        return value
    text = value if isinstance(value, str) else _ADDRESS.sub("", repr(value))
    return shorten(text, _MOST_CHARACTERS)
