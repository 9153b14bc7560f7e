"""The path from a fit to a layer's backward is short: few calls, few files."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import pytest

from multinn import SGD, Dense, HalfSquaredError, Sequential, Tanh, Trainer
from multinn.sklearn import MLPClassifier
from tests.support.helpers import ROOT

SOURCES = tuple(str(ROOT / package) for package in ("backends", "multinn"))
X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([0.0, 1.0, 1.0, 0.0])


class Path(NamedTuple):
    """The functions that are active when `Dense.backward` is called, and the files that ran before."""

    calls: list[str]
    files: set[str]


class _ReachedError(Exception):
    pass


def path_to_backward(fit: Callable[[], Any]) -> Path:
    path = Path([], set())

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(SOURCES):
            return
        path.files.add(code.co_filename)
        if code is Dense.backward.__code__:
            path.calls.extend(reversed(own_functions(frame)))
            raise _ReachedError

    sys.setprofile(profile)
    try:
        with pytest.raises(_ReachedError):
            fit()
    finally:
        sys.setprofile(None)
    return path


def own_functions(frame: FrameType | None) -> list[str]:
    names = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(SOURCES):
            names.append(f"{frame.f_code.co_filename}: {frame.f_code.co_qualname}")
        frame = frame.f_back
    return names


def test_from_the_trainer_to_a_layer():
    model = Sequential([Dense(2), Tanh(), Dense(1)])
    trainer = Trainer(model, HalfSquaredError(), SGD(0.5), backend="numpy:eager")
    path = path_to_backward(lambda: trainer.fit(X, Y[:, None], epochs=1, progress=False))
    assert len(path.calls) <= 10, "\n".join(path.calls)
    assert len(path.files) <= 23, "\n".join(sorted(path.files))


def test_from_an_estimator_to_a_layer():
    classifier = MLPClassifier((2,), max_iter=1, backend="numpy:eager")
    path = path_to_backward(lambda: classifier.fit(X, Y))
    assert len(path.calls) <= 14, "\n".join(path.calls)
