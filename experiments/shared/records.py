"""The machine-readable record of an experiment."""

import argparse
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend
from backends.blas_threads import describe_blas
from multinn import Trainer
from multinn.host.atomic import replacing
from multinn.host.version import own_version


def make_record(
    experiment: str,
    options: argparse.Namespace,
    trainer: Trainer,
    history: Sequence[Mapping[str, float]],
    results: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the record of a run with one trainer, ready for `write_json`."""
    return {
        "experiment": experiment,
        "backend": trainer.backend.name,
        "device": trainer.backend.device,
        "dtype": trainer.dtype,
        "seed": trainer.seed,
        "options": plain_options(options),
        "history": list(history),
        "results": dict(results),
        "seconds": {"compile": trainer.seconds.compile, "train": trainer.seconds.train},
        "versions": versions(trainer.backend),
    }


def make_comparison_record(
    experiment: str,
    options: argparse.Namespace,
    backends: Mapping[str, Backend],
    dtype: str | list[str],
    results: Any,
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Return the record of a run on several backends, ready for `write_json`."""
    return {
        "experiment": experiment,
        "backend": list(backends),
        "device": [backend.device for backend in backends.values()],
        "dtype": dtype,
        "seed": options.seed,
        "options": plain_options(options),
        "history": [],
        "results": results,
        "seconds": dict(seconds),
        "versions": versions(*backends.values()),
    }


def plain_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options with paths as text, for JSON."""
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()
    }


def versions(*backends: Backend) -> dict[str, str]:
    """Return the versions of Python, multinn, NumPy, NumPy's BLAS, and the array libraries."""
    return {
        "python": platform.python_version(),
        "multinn": own_version(),
        "numpy": np.__version__,
        "blas": describe_blas(),
        **{backend.name: backend.version for backend in backends},
    }


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all, with null for numbers that are not finite."""
    text = json.dumps(_finite(record), indent=2, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(text.encode())


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value
