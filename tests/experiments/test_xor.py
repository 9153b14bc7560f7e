"""The XOR experiment: the published runs to the last digits, and the script as a person runs it."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.xor.recipes import INPUTS, TARGETS
from tests.support.xor_runs import BY_HAND, X, Y, run_xor, trained

PNG = b"\x89PNG"
RUN_PICTURES = ("xor_robust_loss.png", "xor_robust_surface.png")

# The published runs


@pytest.fixture(scope="module", params=["numpy", "jax"])
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=[*BY_HAND])
def source_run(request: pytest.FixtureRequest, library: str, tmp_path_factory: pytest.TempPathFactory):
    """The name of a recipe, the output of the script, and its record."""
    path = tmp_path_factory.mktemp("xor") / "record.json"
    result = run_xor("--recipe", request.param, "--json", str(path), backend=library)
    assert result.returncode == 0, result.stderr
    return request.param, result.stdout, json.loads(path.read_text())


def test_the_losses_are_those_of_the_published_run(source_run):
    name, _, record = source_run
    losses = BY_HAND[name]().losses
    expected = [{"epoch": epoch, "loss": losses[epoch]} for epoch in range(0, 10_000, 1000)]
    assert [entry["epoch"] for entry in record["history"]] == [entry["epoch"] for entry in expected]
    for entry, by_hand in zip(record["history"], expected, strict=True):
        assert entry == pytest.approx(by_hand, rel=1e-12)


def test_the_predictions_are_those_of_the_published_run(source_run):
    name, _, record = source_run
    np.testing.assert_allclose(record["results"]["predictions"], BY_HAND[name]().predictions, rtol=1e-12)


def test_the_losses_are_printed_as_they_are_recorded(source_run):
    _, printed, record = source_run
    lines = [line for line in printed.splitlines() if line.startswith("Epoch ")]
    assert lines == [f"Epoch {entry['epoch']}, Loss: {entry['loss']}" for entry in record["history"]]


def test_the_output_says_that_xor_was_not_learned(source_run):
    _, printed, record = source_run
    assert record["results"]["learned"] is False
    assert "XOR was NOT learned" in printed


def test_the_record_describes_the_run(source_run, library):
    name, _, record = source_run
    assert record["experiment"] == "xor"
    assert record["backend"] == library
    assert record["dtype"] == "float64"
    assert record["seed"] == {"notebook": 42, "classroom": 0}[name]
    assert record["options"]["recipe"] == name
    assert record["versions"].keys() == {"python", "multinn", "numpy", "blas", library}
    assert record["seconds"]["train"] > 0.0


def test_the_output_fits_a_terminal(source_run):
    assert max(len(line) for line in source_run[1].splitlines()) <= 80


# As a person runs it


def test_without_options_robust_runs_and_learns(tmp_path):
    path = tmp_path / "record.json"
    result = run_xor("--json", str(path), "--out", str(tmp_path / "pictures"))
    assert (result.returncode, result.stderr) == (0, "")
    assert "XOR was learned" in result.stdout
    record = json.loads(path.read_text())
    assert record["options"]["recipe"] == "robust"
    assert record["backend"] == "numpy"
    assert record["results"]["learned"] is True
    assert all((tmp_path / "pictures" / name).read_bytes().startswith(PNG) for name in RUN_PICTURES)


def test_runs_and_studies_that_do_not_learn_have_pictures(tmp_path):
    common = ("--recipe", "notebook", "--epochs", "300", "--out", str(tmp_path))
    assert run_xor(*common).returncode == 0
    assert run_xor(*common, "--study", "2").returncode == 0
    written = {path.name for path in Path(tmp_path).iterdir()}
    assert written == {f"xor_notebook_{what}.png" for what in ("loss", "surface", "study")}


def test_the_backend_option_overrides_the_environment(tmp_path):
    path = tmp_path / "record.json"
    result = run_xor("--epochs", "1", "--backend", "numpy", "--json", str(path), backend="nonsense")
    assert result.returncode == 0, result.stderr
    assert json.loads(path.read_text())["backend"] == "numpy"


def test_seed_and_epochs_can_be_given(tmp_path):
    path = tmp_path / "record.json"
    run_xor("--recipe", "classroom", "--seed", "7", "--epochs", "25", "--json", str(path))
    record = json.loads(path.read_text())
    assert record["seed"] == 7
    assert [entry["epoch"] for entry in record["history"]] == list(range(0, 25, 2))
    assert record["results"]["final_loss"] == pytest.approx(trained("classroom", 7, 25)[1].final_loss)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "jaxx"], "error: unknown backend 'jaxx'"),
        (["--recipe", "robots"], "invalid choice: 'robots'"),
        (["--study", "0"], "expected an integer of at least 1, got '0'"),
        (["--seed", "4294967295", "--study", "2"], "expected seeds below 4294967296"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments, message):
    result = run_xor(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_help_names_every_option():
    result = run_xor("--help")
    assert result.returncode == 0
    for option in ("--backend", "--seed", "--out", "--json", "--recipe", "--study", "--epochs"):
        assert option in result.stdout


def test_the_inputs_are_the_four_rows_in_order():
    np.testing.assert_array_equal(INPUTS, X)
    np.testing.assert_array_equal(TARGETS, Y)
