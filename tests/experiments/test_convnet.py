"""The convolutional network for digits, as a person runs it."""

import io
import json
from contextlib import redirect_stdout

import numpy as np
import pytest

from experiments.convnet import main, make_model
from experiments.digits.curves import differences
from multinn import History, Trainer
from tests.support.helpers import run_experiment
from tests.support.small_runs import make_trainer

BACKENDS = ("numpy", "jax")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The output of a short run on both backends, its record, and the folder of its pictures."""
    folder = tmp_path_factory.mktemp("convnet")
    options = ("--epochs", "2", "--batch-size", "449", "--backends", ",".join(BACKENDS))
    with redirect_stdout(io.StringIO()) as printed:
        assert main([*options, "--json", str(folder / "r.json"), "--out", str(folder)]) == 0
    return printed.getvalue(), json.loads((folder / "r.json").read_text()), folder


def test_the_curves_are_the_same_on_both_backends(both):
    _, record, _ = both
    numpy, jax = (record["results"]["histories"][name] for name in BACKENDS)
    assert [epoch["epoch"] for epoch in numpy] == [epoch["epoch"] for epoch in jax] == [1, 2]
    for own, other in zip(jax, numpy, strict=True):
        assert own == pytest.approx(other, rel=1e-10)
    assert record["results"]["differences"].keys() == {"jax"}
    assert record["results"]["differences"]["jax"] < 1e-10


def test_the_table_has_a_row_for_each_epoch_and_backend_within_80_columns(both):
    printed, _, _ = both
    lines = [line for line in printed.splitlines() if not line.startswith("picture:")]
    assert max(map(len, lines)) <= 80
    assert [line.split()[:2] for line in lines if line[:1] in ("1", "2")] == [
        [epoch, name] for epoch in ("1", "2") for name in BACKENDS
    ]
    assert "difference of losses" in printed


def test_the_record_describes_the_run(both):
    _, record, _ = both
    assert (record["experiment"], record["backend"], record["dtype"]) == (
        "convnet",
        list(BACKENDS),
        "float64",
    )
    assert record["results"]["test_accuracy"].keys() == set(BACKENDS)
    assert {"epochs": 2, "batch_size": 449, "dataset": "digits"}.items() <= record["options"].items()


@pytest.mark.parametrize("picture", ["learning_curves", "samples"])
def test_the_pictures_are_drawn(both, picture):
    assert (both[2] / f"convnet_digits_{picture}.png").stat().st_size > 10_000


def test_the_digits_are_learned(tmp_path):
    options = ("--backends", "numpy", "--dtype", "float32", "--json", "r.json")
    done = run_experiment("convnet", *options, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "difference" not in done.stdout
    results = json.loads((tmp_path / "r.json").read_text())["results"]
    assert results["test_accuracy"]["numpy"] >= 0.985


@pytest.mark.parametrize(("dataset", "size", "flat"), [("digits", 8, 128), ("mnist", 28, 256)])
def test_the_convolutions_have_outputs_of_the_documented_size(dataset, size, flat):
    params, shape = make_model(dataset).init(np.random.default_rng(0), (size, size, 1))
    assert shape == (10,)
    assert params[7]["W"].shape == (flat, 64)


def test_mnist_without_a_folder_of_it_is_one_error(tmp_path, capsys):
    absent = tmp_path / "absent"
    assert main(["--dataset", "mnist", "--data-dir", str(absent)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert str(absent) in line


def trainer_with(losses: list[float]) -> Trainer:
    """Return a trainer with these training and test losses."""
    trainer = make_trainer()
    trainer.history = History(
        [{"epoch": n, "loss": loss, "validation_loss": loss} for n, loss in enumerate(losses)]
    )
    return trainer


def test_the_difference_is_the_largest_of_all_epochs():
    trainers = {name: trainer_with(losses) for name, losses in (("a", [4.0, 2.0]), ("b", [5.0, 2.1]))}
    assert differences(trainers) == {"b": 0.25}
