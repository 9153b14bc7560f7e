"""The script that compares the estimators with scikit-learn's own."""

import json

import pytest

from experiments.compare_sklearn import Fits, holds_claim, main


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
    assert len(ours["steady"]) == len(ours["scores"]) == 2
    assert ours["score"] == pytest.approx(reference["score"], abs=0.1)
    assert ours["epochs"] == reference["epochs"] == [2, 2]
    assert ours["holds"] is None


def test_small_data_have_estimators_of_their_kind(tmp_path, capsys):
    path = tmp_path / "r.json"
    options = ["--dataset", "small", "--solver", "lbfgs", "--backends", "numpy", "--repeats", "1"]
    assert main([*options, "--epochs", "2", "--examples", "60", "--json", str(path)]) == 0
    printed, _ = capsys.readouterr()
    assert max(map(len, printed.splitlines())) <= 80
    results = json.loads(path.read_text())["results"]
    assert [each["dataset"] for each in results[::2]] == ["iris", "breast_cancer", "diabetes", "digits"]
    for reference, ours in zip(results[::2], results[1::2], strict=True):
        assert ours["score"] == pytest.approx(reference["score"], rel=0.1, abs=0.1)


@pytest.mark.parametrize(("seconds", "holds"), [(0.57, True), (0.58, False)])
def test_a_claim_holds_up_to_the_noise(seconds, holds):
    reference = Fits("iris", "scikit-learn", None, steady=[1.0, 2.0, 1.0])
    ours = Fits("iris", "multinn numpy", None, 0.55, steady=[seconds, 9.0, seconds])
    assert holds_claim(ours, reference) is holds


def test_a_folder_is_only_for_mnist(tmp_path, capsys):
    assert main(["--backends", "numpy", "--data-dir", str(tmp_path)]) == 2
    assert "--data-dir is for --dataset mnist" in capsys.readouterr().err


def test_mnist_is_read_from_the_folder_that_is_named(tmp_path, capsys):
    options = ["--backends", "numpy", "--dataset", "mnist", "--data-dir", str(tmp_path)]
    assert main(options) == 2
    assert f"the MNIST folder {tmp_path} lacks" in capsys.readouterr().err
