"""A session on XOR, a server that shows it, and a browser."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from experiments.step.server import StepServer
from experiments.step.session import Session
from experiments.xor.recipes import INPUTS, RECIPES, TARGETS
from multinn import SGD, Trainer
from tests.support.browser import browser as browser


def new_trainer(backend: str = "numpy", rate: float = 0.5) -> Trainer:
    """Return the trainer that the tests start from."""
    recipe = RECIPES["robust"]
    return Trainer(recipe.model, recipe.loss, SGD(rate), backend=backend)


@pytest.fixture
def session() -> Session:
    return Session(new_trainer(), INPUTS, TARGETS)


@contextmanager
def running(session: Session) -> Iterator[StepServer]:
    """Run a server in a thread, until the context ends."""
    with StepServer(session) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield found
        finally:
            found.shutdown()
            thread.join()


@pytest.fixture
def server(session) -> Iterator[StepServer]:
    with running(session) as found:
        yield found
