"""The content of a checkpoint: descriptions of a training program, and its progress as arrays."""

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from backends import Backend, HostArray, Tree
from multinn.errors import DescriptionError, InvalidCheckpointError
from multinn.host.checks import check_integers
from multinn.host.paths import PathLike, check_path, check_target
from multinn.host.version import own_version
from multinn.layers import Layer
from multinn.losses import Loss
from multinn.metrics import build_metric, check_names, describe_metric
from multinn.optimizers import Optimizer
from multinn.training.checkpoints import file
from multinn.training.checkpoints.file import Content
from multinn.training.checkpoints.state import expected_state, matching_state, named_arrays
from multinn.training.history import History, Record
from multinn.training.program import TrainingProgram, TrainingState

_BEST = "best."


class Progress(NamedTuple):
    """The progress of training.

    Together with the data, it determines the rest of a run: random keys and shuffles depend only on the
    seed, the step and the epoch.

    Attributes:
        state: trees of NumPy arrays.
        seed: the seed of the trainer.
        epoch: the number of epochs that are done.
        step: the number of steps that are done.
        shapes: the shapes of one input and of one output, or dicts or tuples of shapes.
        history: the records so far.
    """

    state: TrainingState
    seed: int
    epoch: int
    step: int
    shapes: tuple[Tree, Tree]
    history: History


class Owner(NamedTuple):
    """The owner of a trainer, such as an estimator.

    Attributes:
        description: a dict for JSON, with the name of the class as ``class``.
        best: the state that the end of training restores, trees of NumPy arrays; or None.
    """

    description: Content
    best: TrainingState | None


def save(
    path: PathLike, program: TrainingProgram, progress: Progress, owner: Owner | None = None
) -> None:
    """Write a checkpoint. The errors are those of `Trainer.save`."""
    check_target(path)
    records = [list(group) for _, group in groupby(progress.history, key=list)]
    content = describe(program) | {
        "versions": _versions(program.backend),
        "seed": int(progress.seed),
        "epoch": int(progress.epoch),
        "step": int(progress.step),
        "input_shape": progress.shapes[0],
        "output_shape": progress.shapes[1],
        "records": [list(group[0]) for group in records],
    }
    tensors = named_arrays(progress.state)
    if owner is not None:
        content["owner"] = owner.description
        if owner.best is not None:
            tensors |= {_BEST + name: leaf for name, leaf in named_arrays(owner.best).items()}
    tensors["history.losses"] = np.array(progress.history.losses, np.float64)
    for index, group in enumerate(records):
        rows = [list(record.values()) for record in group]
        tensors[f"history.records.{index}"] = np.array(rows, np.float64)
    file.write(path, content, tensors)


def describe(program: TrainingProgram) -> Content:
    """Return the descriptions in a checkpoint of a program.

    Raises:
        DescriptionError: a class or a metric, such as a lambda, is not registered.
    """
    return {
        "model": program.model.to_dict(),
        "loss": program.loss.to_dict(),
        "optimizer": program.optimizer.to_dict(),
        "metrics": {name: _described(name, metric) for name, metric in program.metrics.items()},
        "dtype": program.dtype,
    }


def load(path: PathLike, backend: Backend) -> tuple[TrainingProgram, Progress]:
    """Return the program on a backend, and its progress. The errors are those of `Trainer.load`."""
    program, progress, _ = load_owned(path, backend, None)
    return program, progress


def load_owned(
    path: PathLike, backend: Backend, kind: str | None
) -> tuple[TrainingProgram, Progress, Owner]:
    """Do the same as `load`, and also return the owner; ``kind`` is the name of its class, or None."""
    with _read(path, kind) as (reader, description):
        program = _program(reader.content, backend)
        progress, best = _progress(reader, program)
        return program, progress, Owner(description, best)


def load_progress(path: PathLike, program: TrainingProgram) -> Progress:
    """Return the progress of the same model. The errors are those of `Trainer.load_state`."""
    with _read(path, None) as (reader, _):
        model = Layer.from_dict(_entry(reader.content, "model"))
        if model.to_dict() != program.model.to_dict():
            raise ValueError(
                f"expected the model {program.model!r}, got {model!r}; load it with Trainer.load"
            )
        dtype = _entry(reader.content, "dtype")
        if dtype != program.dtype:
            raise ValueError(f"expected the dtype {program.dtype}, got {dtype!r}")
        return _progress(reader, program)[0]


@contextmanager
def _read(path: PathLike, kind: str | None) -> Iterator[tuple[file.Reader, Content]]:
    """Yield a reader, and the description of the owner; ``kind`` is its class, or None for no owner."""
    check_path(path)
    with open(path, "rb") as opened:
        reader = file.Reader(opened, path)
        with invalid_content(path):
            yield reader, _owner(reader.content, kind)


@contextmanager
def invalid_content(path: PathLike) -> Iterator[None]:
    """Raise InvalidCheckpointError in place of any error that invalid content causes."""
    try:
        yield
    except InvalidCheckpointError:
        raise
    except (TypeError, ValueError, ArithmeticError, LookupError, MemoryError, RecursionError) as error:
        raise InvalidCheckpointError(f"{os.fspath(path)}: {error}") from error


def _owner(content: Content, kind: str | None) -> Content:
    owner = content.get("owner", {})
    if not isinstance(owner, dict):
        raise ValueError(f"expected a description of an owner, got {owner!r}")
    found = owner.get("class")
    if found != kind:
        kind, found = kind or "Trainer", found or "Trainer"
        raise ValueError(
            f"expected a checkpoint of {kind}, got one of {found}: load it with {found}.load"
        )
    return owner


def _versions(backend: Backend) -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "multinn": own_version(),
        "numpy": np.__version__,
        "backend": f"{backend.name}:{backend.device}",
        backend.name: backend.version,
    }


def _described(name: str, metric: Any) -> Any:
    try:
        return describe_metric(metric)
    except DescriptionError as error:
        raise DescriptionError(f"metric {name!r}: {error}") from error


def _entry(content: Content, name: str) -> Any:
    if name not in content:
        raise ValueError(f"{name!r} is missing")
    return content[name]


def _program(content: Content, backend: Backend) -> TrainingProgram:
    metrics = _entry(content, "metrics")
    if not isinstance(metrics, Mapping):
        raise ValueError(f"expected a dict of metrics by name, got {metrics!r}")
    loss = Loss.from_dict(_entry(content, "loss"))
    check_names(metrics, loss.reductions)
    dtype = _entry(content, "dtype")
    if dtype not in ("float32", "float64"):
        raise ValueError(f"expected the dtype 'float32' or 'float64', got {dtype!r}")
    return TrainingProgram(
        backend,
        Layer.from_dict(_entry(content, "model")),
        loss,
        Optimizer.from_dict(_entry(content, "optimizer")),
        {name: build_metric(metric) for name, metric in metrics.items()},
        dtype,
    )


def _progress(reader: file.Reader, program: TrainingProgram) -> tuple[Progress, TrainingState | None]:
    """Return the progress, and the best state if an owner keeps one."""
    content = reader.content
    counts = {name: _entry(content, name) for name in ("seed", "epoch", "step")}
    check_integers(minimum=0, **counts)
    input_shape = _shape(_entry(content, "input_shape"), "input_shape")
    expected, output_shape = expected_state(program, input_shape, reader.size)
    if _entry(content, "output_shape") != json.loads(json.dumps(output_shape)):
        raise ValueError(f"expected the output_shape {output_shape}, got {content['output_shape']}")
    tensors = reader.tensors()
    history = _history(content, tensors)
    kept = [name for name in tensors if name.startswith(_BEST)] if "owner" in content else []
    of_best = {name.removeprefix(_BEST): tensors.pop(name) for name in kept}
    best = matching_state(expected, of_best, program.optimizer) if of_best else None
    state = matching_state(expected, tensors, program.optimizer)
    return Progress(state, **counts, shapes=(input_shape, output_shape), history=history), best


def _shape(value: Any, name: str) -> Any:
    """Return a shape that was stored as a list of lengths, or a list or a dict of such shapes."""
    if isinstance(value, dict):
        return {key: _shape(entry, f"{name}[{key!r}]") for key, entry in value.items()}
    if not isinstance(value, list):
        raise ValueError(f"{name}: expected a list, got {value!r}")
    if any(isinstance(entry, list | dict) for entry in value):
        return tuple(_shape(entry, f"{name}[{index}]") for index, entry in enumerate(value))
    check_integers(minimum=0, **{f"{name}[{axis}]": length for axis, length in enumerate(value)})
    return tuple(value)


def _history(content: Content, tensors: dict[str, HostArray]) -> History:
    """Return the history, and remove its arrays from the tensors."""
    records: list[Record] = []
    for index, columns in enumerate(_list(content, "records")):
        if not (isinstance(columns, list) and all(isinstance(name, str) for name in columns)):
            raise ValueError(f"records: expected lists of column names, got {columns!r}")
        rows = _pop(tensors, f"history.records.{index}", len(columns))
        records.extend(dict(zip(columns, row, strict=True)) for row in rows)
    for record in records:
        if "epoch" in record:
            record["epoch"] = int(record["epoch"])
    history = History(records)
    history.losses = _pop(tensors, "history.losses")
    return history


def _pop(tensors: dict[str, HostArray], name: str, *row_shape: int) -> list[Any]:
    """Remove an array of float64 from the tensors, and return its rows."""
    array = tensors.pop(name, np.zeros(()))
    if array.dtype != np.float64 or array.ndim == 0 or array.shape[1:] != row_shape:
        raise ValueError(f"expected the tensor {name!r}, float64 of shape {('rows', *row_shape)}")
    rows: list[Any] = array.tolist()
    return rows


def _list(content: Content, name: str) -> list[Any]:
    value = _entry(content, name)
    if not isinstance(value, list):
        raise ValueError(f"{name}: expected a list, got {value!r}")
    return value
