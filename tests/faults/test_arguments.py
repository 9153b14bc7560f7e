"""Each public function with each argument of a wrong type: the error names it, or the call is right."""

import inspect
import math
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import pytest

from backends import BackendError
from multinn import NotInitializedError, ReLU
from multinn.descriptions.types import check_type
from multinn.sklearn import MLPClassifier, MLPRegressor
from multinn.tracing import page
from tests.support.public_calls import Call, X, Y, made_trainer, public_calls

CALLS = [*public_calls()]
WRONG: dict[str, Any] = {
    "None": None,
    "text": "text",
    "bytes": b"bytes",
    "an integer": 3,
    "a number": 3.5,
    "NaN": math.nan,
    "True": True,
    "an empty list": [],
    "a list": [1],
    "a dict": {"a": 1},
    "an array": np.zeros(2),
    "an object": object(),
    "a class": ReLU,
}
ERRORS = (TypeError, ValueError, OSError, IndexError, BackendError, NotInitializedError)

# What is right by design although it does not fit the annotation, by parameter or by call and parameter.
RIGHT_BY_DESIGN: dict[str, set[str]] = {
    "alpha": {"a list", "an array"},  # becomes a tuple
    "dropout": {"a list"},  # of rates; the error names the layer Dropout
    "multinn.onnx.to_onnx.layer_state": {"None"},  # of layers without one
    "input_shape": {"an empty list", "a list"},  # shapes; the error says what does not fit
    "monitor": {"text"},  # the error says that a metric needs a mode
    "state_dict": {"a dict"},  # the error names the entry that is missing
    "thing": {"a class"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a checkpoint and a trace."""
    folder: Path = tmp_path_factory.mktemp("arguments")
    trainer = made_trainer()
    trainer.save(folder / "trainer.safetensors")
    trainer.trace(X, Y).save(folder / "trace.json")
    return folder


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_wrong_argument_is_named_or_right(call: Call, folder: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "folder"))
    monkeypatch.setattr(page, "_own_formulas", {})
    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=None))
    call.function(*call.several, **call.right)
    faults = [*_faults(call)]
    assert not faults, "\n".join(faults)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_a_wrong_parameter_of_an_estimator_is_named_or_right(estimator: type):
    faults = []
    for name in inspect.signature(estimator).parameters:
        for kind, value in WRONG.items():
            model = estimator(**{"hidden_layer_sizes": (2,), "max_iter": 1, name: value})
            try:
                model.fit(np.ones((20, 3)), np.arange(20) % 2)
            except Exception as error:
                if kind not in RIGHT_BY_DESIGN.get(name, ()) and not _names(error, name):
                    faults.append(f"{name}, {kind}: {error!r:.200}")
    assert not faults, "\n".join(faults)


def _faults(call: Call) -> Iterator[str]:
    """Yield the wrong arguments that are accepted, or whose errors do not name them."""
    for name, parameter in inspect.signature(call.function).parameters.items():
        by_design = RIGHT_BY_DESIGN.get(name, set()) | RIGHT_BY_DESIGN.get(f"{call}.{name}", set())
        for kind, value in WRONG.items():
            try:
                call.with_argument(parameter, value)
            except Exception as error:
                if kind not in by_design and not _names(error, name):
                    yield f"{name}, {kind}: {error!r:.200}"
            else:
                is_default = value is None and parameter.default is None
                if not (is_default or _fits(value, parameter.annotation) or kind in by_design):
                    yield f"{name}, {kind}: accepted"


def _names(error: Exception, name: str) -> bool:
    """Return whether a good error names the argument, perhaps in the singular, or its file."""
    is_named = re.search(rf"\b{name.removesuffix('s')}s?\b", str(error)) or getattr(
        error, "filename", None
    )
    return isinstance(error, ERRORS) and bool(is_named)


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value fits an annotation that says more than Any; a list counts as a tuple."""
    if hint is Any or isinstance(hint, TypeVar):
        return False
    for each in (value, tuple(value) if isinstance(value, list) else value):
        with suppress(TypeError):
            check_type("", "", each, hint)
            return True
    return False
