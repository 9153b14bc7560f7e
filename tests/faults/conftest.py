"""The backends and the scenes of the error table."""

from functools import cache

import pytest

from backends import Backend, get_backend
from tests.conftest import BACKENDS
from tests.faults.scene import Scene
from tests.support.strict_backend import StrictBackend


@pytest.fixture(scope="session", params=["numpy", "numpy:eager", *BACKENDS[1:]])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn, NumPy eager too."""
    return StrictBackend() if request.param == StrictBackend.name else get_backend(request.param)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory):
    """Return a function that returns the scene of a backend, the same in each call."""
    return cache(lambda backend: Scene(backend, tmp_path_factory.mktemp("scene")))


@pytest.fixture
def scene(backend: Backend, scenes) -> Scene:
    """The scene of each backend in turn."""
    scene: Scene = scenes(backend)
    return scene
