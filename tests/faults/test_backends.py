"""The error table: backends that are not available."""

import sys
from contextlib import nullcontext

import numpy as np
import pytest

from backends import (
    BackendNotInstalledError,
    BrokenBackendError,
    DeviceNotFoundError,
    PrecisionError,
    UnknownBackendError,
    get_backend,
    registry,
)
from multinn import Identity
from multinn.sklearn import MLPClassifier
from tests.faults.rows import Fault, Says, check
from tests.faults.scene import CLASSES, Scene
from tests.support.small_runs import X, make_trainer

UNKNOWN = Says("unknown backend", "expected one of numpy, jax, torch", "'fortran'", "one of")
MISSPELT = UNKNOWN._replace(got="'nunpy'", remedy="did you mean 'numpy'?")
BROKEN = Says(
    "backend 'jax'", "the class backend_of_jax:make", "fails to load", "repair the installation"
)


def load_jax(source: str):
    """Return an action that gets JAX, with this source as the module of its backend."""

    def load(scene: Scene) -> None:
        (scene.scratch / "backend_of_jax.py").write_text(source)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(registry, "_construct", registry._construct.__wrapped__)  # no cache
            patch.setitem(registry._OWN, "jax", "backend_of_jax:make")
            patch.setattr(sys, "dont_write_bytecode", True)
            patch.syspath_prepend(scene.scratch)
            patch.delitem(sys.modules, "backend_of_jax", raising=False)
            try:
                get_backend("jax")
            finally:
                sys.modules.pop("backend_of_jax", None)

    return load


ROWS = [
    Fault("unknown, get_backend", lambda s: get_backend("fortran"), UnknownBackendError, UNKNOWN),
    Fault(
        "unknown, MLPClassifier.fit",
        lambda s: MLPClassifier(backend="fortran").fit(X, CLASSES),
        UnknownBackendError,
        UNKNOWN,
    ),
    Fault("misspelt, Trainer", lambda s: make_trainer("nunpy"), UnknownBackendError, MISSPELT),
    Fault(
        "misspelt, Trainer.load",
        lambda s: type(s.trainer).load(s.checkpoint, "nunpy"),
        UnknownBackendError,
        MISSPELT,
    ),
    Fault(
        "upper-case, get_backend",
        lambda s: get_backend("JAX"),
        UnknownBackendError,
        UNKNOWN._replace(got="'JAX'", remedy="did you mean 'jax'?"),
    ),
    Fault(
        "a number as backend, Trainer",
        lambda s: make_trainer(3),  # type: ignore[arg-type]
        TypeError,
        Says("backend:", "a Backend or the name of one", "got 3", "such as 'numpy'"),
    ),
    Fault(
        "not installed",
        load_jax("import a_library_that_is_nowhere"),
        BackendNotInstalledError,
        Says(
            "backend 'jax'",
            "needs a_library_that_is_nowhere",
            "not installed",
            'pip install "multinn[jax]"',
        ),
    ),
    Fault(
        "broken: its library fails on import",
        load_jax("raise OSError('libcuda.so: cannot open shared object file')"),
        BrokenBackendError,
        BROKEN._replace(got="OSError: libcuda.so"),
    ),
    Fault(
        "broken: its library lacks a function",
        load_jax("from math import no_such_function"),
        BrokenBackendError,
        BROKEN._replace(got="ImportError: cannot import name 'no_such_function'"),
    ),
    Fault(
        "broken: it fails to start",
        load_jax("def make(device): raise RuntimeError('no driver')"),
        BrokenBackendError,
        BROKEN._replace(expected="failed to start on its default device", got="RuntimeError: no driver"),
    ),
    Fault(
        "broken: it is no backend",
        load_jax("def make(device): return 3"),
        BrokenBackendError,
        BROKEN._replace(
            expected="an instance of backends.Backend",
            got="returned a int",
            remedy="backend_of_jax:make",
        ),
    ),
    Fault(
        "an unknown device",
        lambda s: get_backend("numpy:gpu"),
        DeviceNotFoundError,
        Says("backend 'numpy'", "expected 'numpy', 'numpy:cpu'", "no device 'gpu'", "'numpy:eager'"),
    ),
    Fault(
        "an unknown precision",
        lambda s: s.backend.precision("float128"),
        PrecisionError,
        Says("backend", "'float32' or 'float64'", "'float128'", "computes in"),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_backends(scene: Scene, row: Fault):
    check(row, scene)


def test_float64_is_kept_or_refused_but_never_narrowed(scene: Scene):
    x = np.full((1, 3), 1.0 + 2.0**-40)
    message = r"would turn float64 into float32 .*with backend.precision\('float64'\):"
    narrows = isinstance(scene.backend, type(get_backend("jax")))
    with pytest.raises(PrecisionError, match=message) if narrows else nullcontext():
        array = scene.backend.from_numpy(x)
    if not narrows:
        np.testing.assert_array_equal(scene.backend.to_numpy(array), x, strict=True)
    trainer = make_trainer(scene.backend, Identity(), dtype="float64")
    trainer.initialize((3,))
    np.testing.assert_array_equal(trainer.predict(x), x, strict=True)
