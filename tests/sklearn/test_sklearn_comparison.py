"""The script that compares the estimators with scikit-learn's own."""

import json

import pytest

from experiments.compare_sklearn import main


def test_the_script_tabulates_and_records(tmp_path, capsys):
    path = tmp_path / "r.json"
    options = ["--backends", "numpy", "--examples", "300", "--epochs", "2", "--repeats", "2"]
    assert main([*options, "--dtype", "float64", "--json", str(path)]) == 0
    printed, progress = capsys.readouterr()
    assert "fit 6/6" in progress
    assert max(map(len, printed.splitlines())) <= 80
    reference, ours = json.loads(path.read_text())["results"]
    assert (reference["name"], ours["name"]) == ("scikit-learn", "multinn numpy")
    assert reference["ratio"] == 1.0
    assert len(ours["steady"]) == len(ours["accuracies"]) == 2
    assert ours["accuracy"] == pytest.approx(reference["accuracy"], abs=0.1)


def test_a_folder_is_only_for_mnist(tmp_path, capsys):
    assert main(["--backends", "numpy", "--data-dir", str(tmp_path)]) == 2
    assert "--data-dir is for --dataset mnist" in capsys.readouterr().err


def test_mnist_is_read_from_the_folder_that_is_named(tmp_path, capsys):
    options = ["--backends", "numpy", "--dataset", "mnist", "--data-dir", str(tmp_path)]
    assert main(options) == 2
    assert f"the MNIST folder {tmp_path} lacks" in capsys.readouterr().err
