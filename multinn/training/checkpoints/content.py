"""What a checkpoint holds: a program as descriptions, and how far it has come as arrays."""

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from backends import Backend, HostArray, Shape, Tree
from multinn.errors import DescriptionError, InvalidCheckpointError
from multinn.host.atomic import PathLike
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
    """How far training has come.

    With the data, it decides all that follows: random keys and shuffles depend on the seed and on the
    numbers of the step and the epoch alone.

    Attributes:
        state: trees of NumPy arrays.
        seed: of the trainer.
        epoch: how many epochs are done.
        step: how many steps are done.
        shapes: of one input and of one output.
        history: the records so far.
    """

    state: TrainingState
    seed: int
    epoch: int
    step: int
    shapes: tuple[Shape, Shape]
    history: History


class Owner(NamedTuple):
    """What a trainer belongs to, such as an estimator.

    Attributes:
        description: what JSON can hold, with the name of the class as ``class``.
        best: the state to come back to when training ends, trees of NumPy arrays; or None.
    """

    description: Content
    best: TrainingState | None


def save(
    path: PathLike, program: TrainingProgram, progress: Progress, owner: Owner | None = None
) -> None:
    """Write a checkpoint; `Trainer.save` says what can fail."""
    records = [list(group) for _, group in groupby(progress.history, key=list)]
    content = {
        "versions": _versions(program.backend),
        "model": program.model.to_dict(),
        "loss": program.loss.to_dict(),
        "optimizer": program.optimizer.to_dict(),
        "metrics": {name: _described(name, metric) for name, metric in program.metrics.items()},
        "dtype": program.dtype,
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


def load(path: PathLike, backend: Backend) -> tuple[TrainingProgram, Progress]:
    """Return what was saved, to go on with on that backend; `Trainer.load` says what can fail."""
    with open(path, "rb") as opened:
        reader = file.Reader(opened, path)
        with invalid(path):
            _check_owner(reader.content, None)
            program = _program(reader.content, backend)
            return program, _progress(reader, program)[0]


def load_owned(path: PathLike, backend: Backend, kind: str) -> tuple[TrainingProgram, Progress, Owner]:
    """Return what was saved with an owner of the class of that name; it fails as `load` does."""
    with open(path, "rb") as opened:
        reader = file.Reader(opened, path)
        with invalid(path):
            description = _check_owner(reader.content, kind)
            program = _program(reader.content, backend)
            progress, best = _progress(reader, program)
            return program, progress, Owner(description, best)


def load_progress(path: PathLike, program: TrainingProgram) -> Progress:
    """Return how far training of the same model has come; `Trainer.load_state` says what can fail."""
    with open(path, "rb") as opened:
        reader = file.Reader(opened, path)
        with invalid(path):
            _check_owner(reader.content, None)
            model = Layer.from_dict(_entry(reader.content, "model"))
            if model.to_dict() != program.model.to_dict():
                raise ValueError(
                    f"expected the model {program.model!r}, got {model!r}; "
                    "Trainer.load makes a trainer of it"
                )
            dtype = _entry(reader.content, "dtype")
            if dtype != program.dtype:
                raise ValueError(f"expected the dtype {program.dtype}, got {dtype!r}")
            return _progress(reader, program)[0]


@contextmanager
def invalid(path: PathLike) -> Iterator[None]:
    """Turn what is wrong with the content into the one error for it."""
    try:
        yield
    except InvalidCheckpointError:
        raise
    except (TypeError, ValueError, ArithmeticError, LookupError, MemoryError, RecursionError) as error:
        raise InvalidCheckpointError(f"{os.fspath(path)}: {error}") from error


def _check_owner(content: Content, kind: str | None) -> Content:
    """Return the description of the owner, which is to be of that class, or no owner."""
    owner = content.get("owner", {})
    if not isinstance(owner, dict):
        raise ValueError(f"expected a description of an owner, got {owner!r}")
    found = owner.get("class")
    if found != kind:
        expected = kind or "Trainer"
        raise ValueError(
            f"expected a checkpoint of {expected}, got one of {found or 'Trainer'}: load it with "
            f"{found or 'Trainer'}.load"
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
        raise ValueError(f"expected metrics by name, got {metrics!r}")
    check_names(metrics)
    dtype = _entry(content, "dtype")
    if dtype not in ("float32", "float64"):
        raise ValueError(f"expected the dtype 'float32' or 'float64', got {dtype!r}")
    return TrainingProgram(
        backend,
        Layer.from_dict(_entry(content, "model")),
        Loss.from_dict(_entry(content, "loss")),
        Optimizer.from_dict(_entry(content, "optimizer")),
        {name: build_metric(metric) for name, metric in metrics.items()},
        dtype,
    )


def _progress(reader: file.Reader, program: TrainingProgram) -> tuple[Progress, TrainingState | None]:
    """Return how far training has come, and the best state, if an owner keeps it."""
    content = reader.content
    input_shape = _shape(_entry(content, "input_shape"))
    expected, output_shape = expected_state(program, input_shape, reader.size)
    if _entry(content, "output_shape") != _lists(output_shape):
        raise ValueError(f"expected the output_shape {output_shape}, got {content.get('output_shape')}")
    seed, epoch, step = (_count(name, _entry(content, name)) for name in ("seed", "epoch", "step"))
    tensors = reader.tensors()
    history = _history(_entry(content, "records"), tensors)
    kept = [name for name in tensors if name.startswith(_BEST)] if "owner" in content else []
    of_best = {name.removeprefix(_BEST): tensors.pop(name) for name in kept}
    best = matching_state(expected, of_best) if of_best else None
    state = matching_state(expected, tensors)
    return Progress(state, seed, epoch, step, (input_shape, output_shape), history), best


def _history(names: Any, tensors: dict[str, HostArray]) -> History:
    """Return the history, and take its arrays out of the tensors."""
    records: list[Record] = []
    for index, columns in enumerate(_list_of(_names, names, "records")):
        rows = _take(tensors, f"history.records.{index}", (-1, len(columns)))
        for row in rows.tolist():
            record = dict(zip(columns, row, strict=True))
            records.append(record | {"epoch": int(record["epoch"])} if "epoch" in record else record)
    history = History(records)
    history.losses = _take(tensors, "history.losses", (-1,)).tolist()
    return history


def _take(tensors: dict[str, HostArray], name: str, shape: Shape) -> HostArray:
    """Take out an array of float64 of that shape, in which -1 is any length."""
    array = tensors.pop(name, None)
    if array is None or array.dtype != np.float64 or not _has_shape(array, shape):
        raise ValueError(f"expected the tensor {name!r}, float64 of shape {shape}")
    return array


def _has_shape(array: HostArray, shape: Shape) -> bool:
    return array.ndim == len(shape) and all(
        expected in (-1, length) for expected, length in zip(shape, array.shape, strict=True)
    )


def _names(value: Any) -> list[str]:
    return _list_of(_name, value, "a record")


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected the name of a column, got {value!r}")
    return value


def _shape(value: Any) -> Shape:
    return tuple(_list_of(lambda length: _count("a length", length), value, "input_shape"))


def _list_of(convert: Callable[[Any], Any], value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name}: expected a list, got {value!r}")
    return [convert(entry) for entry in value]


def _lists(shape: Tree) -> Any:
    """Return a shape, or a tuple of shapes, as JSON has it."""
    return [_lists(each) for each in shape] if isinstance(shape, tuple) else shape


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"expected {name}, an integer of 0 or more, got {value!r}")
    return value
