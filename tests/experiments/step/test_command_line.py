"""The options of ``python -m experiments.step``."""

import socket

import numpy as np
import pytest

from experiments.datasets import load
from experiments.step import __main__ as script
from experiments.step.session import Session
from multinn import SGD, Adam, Conv2D, Dense, Flatten, Sequential, SoftmaxCrossEntropy, Trainer
from tests.support.small_mnist import make_mnist_small, write_idx_files


class Served:
    """Runs the script, and keeps the session that it would have served."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(script, "serve", self._serve)

    def run(self, *arguments):
        return script.main(arguments)

    def _serve(self, trainer, x, y, **options):
        self.session, self.options = Session(trainer, x, y), options


@pytest.fixture
def served(monkeypatch):
    return Served(monkeypatch)


def test_xor_by_default(served):
    assert served.run() == 0
    session = served.session
    assert (session.x.shape, session.trainer.program.optimizer) == ((4, 2), SGD(0.5))
    assert served.options == {"port": 0, "browser": True}
    session.train(200)
    session.train(200)
    assert session.losses[-1] < 0.1


def test_the_digits(served):
    served.run("--dataset", "digits", "--no-browser", "--port", "4711", "--seed", "3")
    assert served.options == {"port": 4711, "browser": False}
    assert served.session.x.shape == (32, 64)
    assert served.session.trainer.seed == 3
    assert served.session.trainer.program.optimizer == SGD(0.1)


def test_mnist(served, monkeypatch, tmp_path):
    write_idx_files(tmp_path / "mnist", make_mnist_small(monkeypatch))
    folder = str(tmp_path / "mnist")
    served.run("--dataset", "mnist", "--data-dir", folder, "--examples", "5", "--optimizer", "adam")
    assert served.session.x.shape == (5, 784)
    assert served.session.trainer.program.optimizer == Adam(0.001)


def test_the_backend_and_the_learning_rate(served):
    served.run("--backend", "jax", "--learning-rate", "0.25")
    assert served.session.trainer.backend.name == "jax"
    assert served.session.view()["learning_rate"] == 0.25


def test_a_saved_trainer_goes_on_where_it_was(served, tmp_path):
    digits = load("digits")
    x, y = digits.x_train[:8].reshape(8, 8, 8, 1), digits.y_train[:8]
    model = Sequential([Conv2D(2, 3), Flatten(), Dense(10)])
    trainer = Trainer(model, SoftmaxCrossEntropy(), Adam(0.01))
    trainer.fit(x, y, epochs=2, batch_size=8, progress=False)
    trainer.save(tmp_path / "digits.model")
    served.run(
        "--dataset", "digits", "--examples", "8", "--model", str(tmp_path / "digits.model")
    )  # fmt: skip
    assert served.session.x.shape == (8, 8, 8, 1)
    served.session.train(1)
    trainer.fit(x, y, epochs=1, batch_size=8, progress=False)
    ours, theirs = served.session.trainer.params, trainer.params
    np.testing.assert_array_equal(ours[0]["W"], theirs[0]["W"])


@pytest.fixture
def saved(tmp_path):
    """The path of a trainer of three inputs and one output."""
    trainer = Trainer(Dense(3), SoftmaxCrossEntropy())
    trainer.initialize((3,))
    trainer.save(tmp_path / "model")
    return str(tmp_path / "model")


def status_and_error(capsys, *arguments):
    try:
        status = script.main(arguments)
    except SystemExit as ended:
        status = ended.code
    return status, capsys.readouterr().err


def test_a_model_that_the_data_do_not_fit(saved, capsys):
    status, error = status_and_error(capsys, "--model", saved)
    assert status == 2
    assert "takes inputs of shape (3,), but those of --dataset xor have 2 numbers" in error


def test_targets_that_do_not_fit(tmp_path, capsys):
    trainer = Trainer(Dense(3), SoftmaxCrossEntropy())
    trainer.initialize((2,))
    trainer.save(tmp_path / "model")
    status, error = status_and_error(capsys, "--model", str(tmp_path / "model"))
    assert status == 2
    assert "--dataset xor does not fit the model: y: SoftmaxCrossEntropy" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "{saved}", "--optimizer", "sgd"], "are for a new network: leave out --model"),
        (["--model", "{saved}", "--learning-rate", "1"], "are for a new network: leave out --model"),
        (["--model", "{saved}.missing"], "No such file"),
        (["--model", __file__], "not a checkpoint"),
        (["--examples", "5"], "--examples: xor has 4, got 5"),
        (["--examples", "0"], "expected an integer of at least 1, got '0'"),
        (["--port", "65536"], "expected a port from 0 to 65535, got '65536'"),
        (["--port", "http"], "expected a port from 0 to 65535, got 'http'"),
        (["--backend", "nunpy"], "nunpy"),
        (["--data-dir", "somewhere"], "--data-dir is for mnist"),
    ],
)
def test_wrong_options(saved, capsys, arguments, message):
    status, error = status_and_error(capsys, *[each.format(saved=saved) for each in arguments])
    assert status == 2
    assert message in error


def test_a_port_in_use(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, error = status_and_error(capsys, "--no-browser", "--port", str(port))
    assert status == 2
    assert "in use" in error
