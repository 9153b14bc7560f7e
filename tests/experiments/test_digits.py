"""The digits experiment, as a person runs it."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import matplotlib.image
import numpy as np
import pytest

from experiments.datasets import Dataset
from experiments.digits.__main__ import confusion_matrix, main, make_trainer
from experiments.digits.options import digits_parser, with_defaults
from experiments.digits.pictures import draw_samples
from multinn.schedules import Constant, CosineDecay
from tests.support.helpers import ROOT, run_experiment

REAL_MNIST = ROOT.parent / "shared" / "mnist"
BACKENDS = ("numpy", "jax")
PICTURES = ("learning_curves", "confusion_matrix", "samples")
BLUE, VERMILION = 0x0072B2, 0xD55E00


@dataclass
class Run:
    """A run of the script: what it printed, the record, and the folder of its pictures."""

    output: str
    record: dict[str, Any]
    folder: Path


def run_digits(folder: Path, *arguments: str, backend: str, **environment: str) -> Run:
    """Run the script on a backend named by the environment variable; any warning is an error."""
    written = ["--json", str(folder / "record.json"), "--out", str(folder)]
    environment["MULTINN_BACKEND"] = backend
    done = run_experiment("digits", *arguments, *written, environment=environment)
    assert done.returncode == 0, done.stderr
    return Run(done.stdout, json.loads((folder / "record.json").read_text()), folder)


@pytest.fixture(scope="module")
def bundled(tmp_path_factory) -> dict[str, Run]:
    """A run with all defaults on the bundled digits, by backend."""
    return {name: run_digits(tmp_path_factory.mktemp(name), backend=name) for name in BACKENDS}


@pytest.fixture(params=BACKENDS)
def run(request, bundled) -> Run:
    return bundled[request.param]


def pixels_of(image: Path) -> np.ndarray:
    """Return the colors of an image, (height, width), each as the number 0xRRGGBB."""
    red, green, blue = np.moveaxis(np.rint(255 * matplotlib.image.imread(image)[:, :, :3]), 2, 0)
    return ((red * 256 + green) * 256 + blue).astype(int)


def frame_rows(image: Path, color: int) -> int:
    """Return how many rows of an image have the pixels of a horizontal side of a frame."""
    return int(((pixels_of(image) == color).sum(axis=1) >= 100).sum())


# The bundled digits


def test_the_bundled_digits_are_learned(run):
    assert run.record["results"]["test_accuracy"] >= 0.97


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_record_describes_the_run(bundled, backend):
    record = bundled[backend].record
    expected = {"experiment": "digits", "backend": backend, "dtype": "float64", "seed": 0}
    assert expected.items() <= record.items()
    options = {"dataset": "digits", "epochs": 30, "batch_size": 32, "learning_rate": 0.006}
    assert options.items() <= record["options"].items()
    assert record["results"]["source"] == "scikit-learn load_digits"
    assert record["seconds"].keys() == {"compile", "train"}
    assert record["seconds"]["train"] > 0.0


def test_the_history_has_every_epoch(run):
    history = run.record["history"]
    assert [epoch["epoch"] for epoch in history] == list(range(1, 31))
    metrics = {"epoch", "loss", "accuracy", "validation_loss", "validation_accuracy"}
    assert all(epoch.keys() == metrics for epoch in history)


def test_the_results_are_those_after_the_last_epoch(run):
    results, last = run.record["results"], run.record["history"][-1]
    assert results["test_accuracy"] == pytest.approx(last["validation_accuracy"], rel=1e-12)
    assert results["test_loss"] == last["validation_loss"]


def test_the_confusion_matrix_counts_the_test_images(run):
    confusion = np.array(run.record["results"]["confusion_matrix"])
    assert confusion.sum(axis=1).tolist() == [45, 46, 44, 46, 45, 46, 45, 45, 43, 45]
    assert np.trace(confusion) / 450 == run.record["results"]["test_accuracy"]


def test_both_backends_end_at_the_same_network(bundled):
    numpy, jax = (bundled[name].record["results"] for name in BACKENDS)
    assert numpy["confusion_matrix"] == jax["confusion_matrix"]
    assert numpy["test_loss"] == pytest.approx(jax["test_loss"], rel=1e-9)


def test_the_output_shows_the_result_within_80_columns(run):
    accuracy = run.record["results"]["test_accuracy"]
    assert f"test accuracy  {accuracy:.2%}" in run.output
    assert "Confusion matrix" in run.output
    report = [line for line in run.output.splitlines() if not line.startswith("picture:")]
    assert max(map(len, report)) <= 80


@pytest.mark.parametrize("picture", PICTURES)
def test_the_pictures_show_something(run, picture):
    assert len(np.unique(pixels_of(run.folder / f"digits_{picture}.png"))) > 20


def test_the_samples_show_right_and_wrong_in_different_colors(run):
    samples = run.folder / "digits_samples.png"
    assert frame_rows(samples, BLUE) > 0
    assert frame_rows(samples, VERMILION) > 0


# The samples


@pytest.mark.parametrize(
    ("wrong", "present", "absent"),
    [([], BLUE, VERMILION), (list(range(25)), VERMILION, BLUE)],
    ids=["all right", "all wrong"],
)
def test_the_samples_of_a_network_that_is(tmp_path, wrong, present, absent):
    labels = np.arange(25, dtype=np.int32) % 10
    predicted = labels.copy()
    predicted[wrong] = (labels[wrong] + 1) % 10
    images = np.random.default_rng(0).random((25, 64), dtype=np.float32)
    dataset = Dataset("digits", "", images, labels, images, labels, image_shape=(8, 8))
    draw_samples(dataset, np.eye(10)[predicted], "a network", tmp_path, "digits")
    samples = tmp_path / "digits_samples.png"
    assert frame_rows(samples, present) > 0
    assert frame_rows(samples, absent) == 0


# Options


def test_the_confusion_matrix_has_true_labels_in_rows():
    confusion = confusion_matrix(np.array([3, 3, 9]), np.array([3, 5, 9]))
    assert confusion.shape == (10, 10)
    assert {(i, j): int(confusion[i, j]) for i, j in np.argwhere(confusion).tolist()} == {
        (3, 3): 1,
        (3, 5): 1,
        (9, 9): 1,
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"epochs": 30, "batch_size": 32, "schedule": "cosine"}),
        (["--dataset", "mnist"], {"epochs": 6, "batch_size": 64, "learning_rate": 0.006}),
        (
            ["--optimizer", "sgd"],
            {
                "epochs": 30,
                "learning_rate": 0.1,
                "schedule": "constant",
                "weight_decay": 0.0,
                "label_smoothing": 0.0,
            },
        ),
        (
            ["--optimizer", "sgd", "--learning-rate", "0.5", "--epochs", "2"],
            {"epochs": 2, "learning_rate": 0.5},
        ),
    ],
    ids=["none", "mnist", "sgd", "given"],
)
def test_the_defaults_depend_on_the_data_set_and_the_optimizer(arguments, expected):
    options = with_defaults(digits_parser().parse_args(arguments))
    assert expected.items() <= vars(options).items()


@pytest.mark.parametrize(
    ("arguments", "schedule"),
    [
        (["--batch-size", "32"], CosineDecay(0.006, 30 * 43)),
        (["--batch-size", "5000"], CosineDecay(0.006, 30)),
        (["--schedule", "constant"], Constant(0.006)),
    ],
    ids=["ragged", "full", "constant"],
)
def test_the_learning_rate_falls_to_zero_at_the_last_step(arguments, schedule):
    options = with_defaults(digits_parser().parse_args(arguments))
    assert make_trainer(options, 1347).program.optimizer.learning_rate == schedule


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "cifar10"], "invalid choice: 'cifar10'"),
        (["--optimizer", "lion"], "invalid choice: 'lion'"),
        (["--dtype", "float16"], "invalid choice: 'float16'"),
        (["--epochs", "0"], "--epochs: expected an integer of at least 1, got '0'"),
        (["--batch-size", "8.5"], "--batch-size: expected an integer of at least 1, got '8.5'"),
        (["--learning-rate", "-1"], "expected a finite number of 0 or more, got '-1'"),
        (["--learning-rate", "inf"], "expected a finite number of 0 or more, got 'inf'"),
        (["--weight-decay", "nan"], "expected a finite number of 0 or more, got 'nan'"),
        (["--label-smoothing", "1"], "expected a number in [0, 1), got '1'"),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_a_bad_option_is_named(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


# Errors


def error_of(arguments: list[str], capsys) -> str:
    """Return the one line that a run that fails prints."""
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return str(line)


def test_a_data_folder_that_is_missing_is_one_error(tmp_path, capsys):
    absent = tmp_path / "absent"
    assert str(absent) in error_of(["--dataset", "mnist", "--data-dir", str(absent)], capsys)


def test_a_data_folder_for_the_bundled_digits_is_one_error(tmp_path, capsys):
    assert "load 'mnist'" in error_of(["--data-dir", str(tmp_path)], capsys)


def test_offline_without_data_is_one_error(tmp_path, capsys, monkeypatch):
    def offline(*_args: object, **_kwargs: object) -> None:
        warnings.warn("A network error occurred while downloading mnist. Retrying...", stacklevel=2)
        raise URLError("no route to host")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", offline)
    monkeypatch.setenv("MULTINN_CACHE", str(tmp_path))
    monkeypatch.delenv("MULTINN_DATA", raising=False)
    error = error_of(["--dataset", "mnist"], capsys)
    assert "no route to host" in error
    assert "--data-dir FOLDER" in error


def test_a_learning_rate_that_is_far_too_high_is_one_error(capsys):
    assert main(["--optimizer", "sgd", "--learning-rate", "1e300"]) == 2
    assert "error: training diverged" in capsys.readouterr().err


# MNIST


@pytest.mark.skipif(
    not REAL_MNIST.is_dir(), reason="the real MNIST is not in ../shared/mnist of the repository"
)
@pytest.mark.parametrize(
    ("arguments", "backends", "least"),
    [
        pytest.param([], ["jax"], 0.98, id="defaults"),
        pytest.param(
            ["--optimizer", "sgd", "--learning-rate", "0.1", "--epochs", "1"],
            BACKENDS,
            0.92,
            id="plain-sgd",
        ),
    ],
)
def test_mnist_is_learned(tmp_path, arguments, backends, least):
    mnist = ["--dataset", "mnist", "--data-dir", str(REAL_MNIST), *arguments]
    accuracies = []
    for backend in backends:
        folder = tmp_path / backend
        folder.mkdir()
        # On that many examples, JAX's optimizations save more time than they take.
        run = run_digits(folder, *mnist, backend=backend, JAX_DISABLE_MOST_OPTIMIZATIONS="0")
        accuracies.append(run.record["results"]["test_accuracy"])
    assert min(accuracies) >= least
    assert max(accuracies) - min(accuracies) < 0.001  # the backends take the same steps
