"""The script that checks gradients, as a person runs it."""

import json
import subprocess
from pathlib import Path

import pytest

from backends import BackendNotInstalledError, get_backend
from experiments.check_gradients import oracles as gradient_oracles
from experiments.check_gradients.__main__ import main
from multinn import Sigmoid
from multinn.testing.gradient_cases import CASES, LayerCase
from tests.support.helpers import run_experiment

NO_JAX = "backend 'jax' needs jax, which is not installed: pip install \"multinn[jax]\""
ONE_CASE = ["--backends", "numpy", "--only", "SiLU"]


class WrongFactor(Sigmoid):
    def backward(self, backend, params, cache, dy):
        return 2.0 * super().backward(backend, params, cache, dy)[0], {}


WRONG = LayerCase("Sigmoid with a wrong factor", WrongFactor(), (2, 3))


@pytest.fixture
def no_jax(monkeypatch) -> None:
    """Make the oracles believe that JAX is not installed."""

    def get(name: str):
        if name == "jax":
            raise BackendNotInstalledError(NO_JAX)
        return get_backend(name)

    monkeypatch.setattr(gradient_oracles, "get_backend", get)


def run_script(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return run_experiment("check_gradients", *arguments, folder=folder)


def test_the_script_checks_tabulates_records_and_draws(tmp_path):
    done = run_script(
        *("--backends", "numpy,jax", "--only", "Dense no", "--seed", "3"),
        *("--json", "r.json", "--out", "f"),
        folder=tmp_path,
    )
    assert (done.returncode, done.stderr.count("case 2/2")) == (0, 1), done.stderr
    assert "Warning" not in done.stderr
    assert "Dense no bias" in done.stdout
    assert "12 of 12 comparisons are within their tolerance" in done.stdout
    assert "the gradients of 1 of 1 cases are proved by algebra" in done.stdout
    assert (tmp_path / "f" / "gradients.png").read_bytes().startswith(b"\x89PNG")
    record = json.loads((tmp_path / "r.json").read_text())
    assert (record["experiment"], record["seed"]) == ("check_gradients", 3)
    assert record["backend"] == ["numpy", "jax"]
    assert record["options"]["only"] == "Dense no"
    assert {"python", "multinn", "numpy", "jax", "sympy"} <= record["versions"].keys()
    *results, proof = record["results"]
    compared = [(r["backend"], r["oracle"], r["dtype"]) for r in results]
    assert compared == [
        ("numpy", "central", "float64"),
        ("numpy", "jax.vjp", "float64"),
        ("numpy", "float64", "float64"),
        ("numpy", "float32", "float32"),
        ("numpy", "form", "float64"),
        ("numpy", "form", "float32"),
        ("jax", "central", "float64"),
        ("jax", "jax.vjp", "float64"),
        ("jax", "float64", "float64"),
        ("jax", "float32", "float32"),
        ("jax", "form", "float64"),
        ("jax", "form", "float32"),
    ]
    for result in results:
        assert result["case"] == "Dense no bias"
        assert result["passed"] == (result["error"] <= result["tolerance"]) is True
    assert proof == {
        "case": "Dense no bias",
        "oracle": "algebra",
        "identities": 27,
        "comparisons": 0,
        "wrong": [],
        "passed": True,
    }


def test_help_names_every_option(tmp_path):
    done = run_script("--help", folder=tmp_path)
    assert done.returncode == 0
    for option in ("--seed", "--out", "--json", "--backends", "--backend", "--only"):
        assert option in done.stdout


def test_a_wrong_gradient_fails_the_script(tmp_path, capsys, no_jax):
    record = tmp_path / "record.json"
    status = main(["--backends", "numpy", "--only", "sig", "--json", str(record)], [*CASES, WRONG])
    output = " ".join(capsys.readouterr().out.split())
    assert status == 1
    assert "FAIL: Sigmoid with a wrong factor, numpy, central in float64: 0.5 is above 1e-08" in output
    assert "FAIL: Sigmoid with a wrong factor, algebra: not the derivative: x" in output
    assert output.count("FAIL:") == 2
    failed = [r for r in json.loads(record.read_text())["results"] if not r["passed"]]
    assert [(r["case"], r["oracle"]) for r in failed] == [
        (WRONG.name, "central"),
        (WRONG.name, "algebra"),
    ]


def test_a_case_that_algebra_does_not_reach_is_listed_with_the_reason(capsys, no_jax):
    class Unknown(Sigmoid):
        def forward(self, backend, params, x, key=None):
            return backend.xp.square(backend.xp.floor(x)), x

    status = main(["--backends", "numpy"], [LayerCase("Unknown", Unknown(), (1, 1))])
    output = " ".join(capsys.readouterr().out.split())
    assert status == 1
    assert "no proof by algebra for Unknown: the function floor has no symbolic counterpart" in output
    assert "the gradients of 0 of 1 cases are proved by algebra" in output


def test_without_sympy_algebra_is_left_out(capsys, no_jax, monkeypatch):
    monkeypatch.setattr("experiments.check_gradients.__main__.find_spec", lambda name: None)
    assert main(ONE_CASE) == 0
    output = capsys.readouterr().out
    assert "algebra is left out:\nSymPy is not installed: pip install sympy\n" in output
    assert "proved" not in output


def test_algebra_can_be_left_out(capsys, no_jax):
    assert main([*ONE_CASE, "--no-algebra"]) == 0
    assert "proved" not in capsys.readouterr().out


def test_a_backend_that_is_not_registered_is_named_by_its_class(capsys, no_jax):
    strict = "tests.support.strict_backend:StrictBackend"
    assert main(["--backends", strict, "--only", "SiLU", "--no-algebra"]) == 0
    assert "\narray_api_strict " in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["--no-algebra"], ["--only", "Huber"]])
def test_the_picture_is_drawn_for_any_checks(tmp_path, no_jax, arguments):
    cases = [case for case in CASES if case.name in ("SiLU", "Huber", "Huber delta 0.4")]
    main(["--backends", "numpy", "--out", str(tmp_path), *arguments], [*cases, WRONG])
    assert (tmp_path / "gradients.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_of_all_cases_fits_80_columns(capsys, no_jax):
    main(["--backends", "numpy", "--no-algebra"], [*CASES, WRONG])
    output = capsys.readouterr().out
    assert "FAIL" in output
    assert max(map(len, output.splitlines())) <= 80


def test_a_missing_oracle_is_named(capsys, no_jax):
    assert main(ONE_CASE) == 0
    assert f"jax.vjp is left out: {NO_JAX} " in " ".join(capsys.readouterr().out.split())


def test_the_seed_moves_the_points(tmp_path, no_jax):
    errors = []
    for seed in ("0", "0", "1"):
        path = tmp_path / "record.json"
        main([*ONE_CASE, "--no-algebra", "--seed", seed, "--json", str(path)])
        errors.append([result["error"] for result in json.loads(path.read_text())["results"]])
    assert errors[0] == errors[1] != errors[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backends", "nmpy"], "unknown backend 'nmpy'"),
        (["--backends", "no.such:Backend"], "unknown backend 'no.such', expected one of numpy"),
        (["--backends", "tests.support.memory:Backend"], "tests.support.memory has no 'Backend'"),
        (["--only", "Recurrent"], "no case has 'Recurrent' in its name"),
    ],
)
def test_an_unknown_name_is_an_error(capsys, arguments, message):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


class Interrupted(Sigmoid):
    def forward(self, backend, params, x, key=None):
        raise KeyboardInterrupt


def test_an_interrupt_leaves_a_report_of_the_checks_so_far(capsys, no_jax):
    first = next(case for case in CASES if case.name == "SiLU")
    stopped = LayerCase("Sigmoid that is interrupted", Interrupted(), (2, 3))
    assert main(["--backends", "numpy"], [first, stopped]) == 130
    captured = capsys.readouterr()
    assert captured.err.endswith("interrupted\n")
    assert "\nSiLU " in captured.out
    assert "algebra is left out:\nthe run was interrupted\n" in captured.out
    assert " comparisons are within their tolerance" in captured.out
