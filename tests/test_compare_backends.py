"""The comparison of backends, as a person runs it: tables, a chart, a record."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import run_experiment

QUICK = ("--repeats", "2", "--examples", "200")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], Path]:
    """What a run on two backends prints, its record, and the folder of its figure."""
    folder = tmp_path_factory.mktemp("comparison")
    options = (*QUICK, "--backends", "numpy,jax", "--out", str(folder))
    result = run_experiment("compare_backends", *options, "--json", str(folder / "record.json"))
    assert result.returncode == 0, result.stderr
    return result.stdout, json.loads((folder / "record.json").read_text()), folder


def test_every_job_runs_on_every_backend(comparison):
    _, record, _ = comparison
    pairs = {(timing["workload"], timing["backend"]) for timing in record["results"]}
    jobs = ("xor", "digits", "small", "large")
    assert pairs == {(job, backend) for job in jobs for backend in ("numpy", "jax")}


def test_the_parameters_agree_on_every_backend(comparison):
    _, record, _ = comparison
    assert [timing["workload"] for timing in record["results"] if not timing["agree"]] == []


def test_compilation_and_steady_runs_are_told_apart(comparison):
    _, record, _ = comparison
    for timing in record["results"]:
        assert len(timing["steady"]) == 2
        assert 0.0 < timing["compile"] < timing["first_call"]
        assert min(timing["steady"]) <= timing["median"] <= max(timing["steady"])


def test_the_record_tells_where_it_ran(comparison):
    _, record, _ = comparison
    assert (record["experiment"], record["backend"]) == ("compare_backends", ["numpy", "jax"])
    assert record["device"] == ["cpu", "cpu:0"]
    assert record["seconds"].keys() == {"compile", "train"}
    assert {"python", "numpy", "jax"} <= record["versions"].keys()


def test_the_tables_fit_a_terminal(comparison):
    printed, _, _ = comparison
    assert all(len(line) <= 80 for line in printed.splitlines() if not line.startswith("figure:"))


def test_the_chart_is_drawn(comparison):
    _, _, folder = comparison
    assert (folder / "compare_backends.png").stat().st_size > 10_000


def test_two_devices_of_one_library_are_told_apart(tmp_path):
    path = tmp_path / "record.json"
    options = ("--workloads", "xor", "--backends", "numpy,numpy:eager", "--json", str(path))
    assert run_experiment("compare_backends", *QUICK, *options).returncode == 0
    record = json.loads(path.read_text())
    assert [timing["backend"] for timing in record["results"]] == ["numpy", "numpy:eager"]
    assert record["device"] == ["cpu", "eager"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workloads", "xxl"), "error: unknown workload 'xxl', expected some of xor, digits"),
        (("--backends", "nunpy"), "error: unknown backend 'nunpy'"),
    ],
)
def test_what_is_unknown_is_one_line_and_status_2(options, message):
    result = run_experiment("compare_backends", *options)
    assert result.returncode == 2
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


def test_the_framework_is_held_against_loops_by_hand(tmp_path):
    path = tmp_path / "record.json"
    options = (*QUICK, "--backends", "numpy,jax", "--json", str(path), "--out", str(tmp_path))
    result = run_experiment("compare_handwritten", *options)
    assert result.returncode == 0, result.stderr
    results = json.loads(path.read_text())["results"]
    assert results.keys() == {"numpy", "jax"}
    assert all(figures["ratio"] > 0.0 for figures in results.values())
    assert (tmp_path / "compare_handwritten.png").exists()


def test_there_is_no_loop_by_hand_for_every_backend():
    result = run_experiment("compare_handwritten", "--backends", "numpy:eager")
    assert (result.returncode, result.stdout) == (2, "")
    assert "no loop by hand for 'numpy:eager'" in result.stderr
