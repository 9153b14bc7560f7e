"""The shared parts of the experiments: options, exit statuses, records, tables."""

import argparse
import json
import math
import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import PrecisionError, UnknownBackendError, get_backend
from experiments.datasets import DatasetError
from experiments.shared.command_line import (
    add_backend,
    add_backends,
    add_count,
    add_dtype,
    comma_separated,
    load_backends,
    make_parser,
    run_script,
    select,
)
from experiments.shared.errors import UsageError
from experiments.shared.records import make_record, plain_options, versions, write_json
from experiments.shared.tables import format_table
from multinn import Dense, DivergenceError, MeanSquaredError, Sequential, Trainer


def parser() -> argparse.ArgumentParser:
    made = make_parser("example", "Do something.")
    add_backend(made)
    return made


def status_of(error: BaseException) -> int:
    def run(options: argparse.Namespace) -> int:
        raise error

    return run_script(run, parser(), [])


def test_the_options_that_all_have():
    options = parser().parse_args(
        ["--seed", "3", "--out", "figures", "--json", "a.json", "--backend", "jax"]
    )
    assert vars(options) == {
        "seed": 3,
        "out": Path("figures"),
        "json": Path("a.json"),
        "compilation_cache": True,
        "backend": "jax",
    }


def test_the_defaults():
    defaults = {"seed": 0, "out": None, "json": None, "compilation_cache": True, "backend": None}
    assert vars(parser().parse_args([])) == defaults


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "argument --seed: expected an integer of at least 0, got '-1'"),
        (["--seed", "1.5"], "expected an integer of at least 0, got '1.5'"),
        (["--seed", "many"], "expected an integer of at least 0, got 'many'"),
        (["--sead", "1"], "unrecognized arguments: --sead 1"),
        (["--json"], "argument --json: expected one argument"),
    ],
)
def test_a_wrong_option_ends_with_status_2_and_one_message(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        run_script(lambda options: 0, parser(), arguments)
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: python -m experiments.example")
    assert message in captured.err


def test_help_ends_with_status_0_and_names_every_option(capsys):
    with pytest.raises(SystemExit) as caught:
        run_script(lambda options: 1, parser(), ["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for option in ("--seed", "--out DIR", "--json FILE", "--backend"):
        assert option in text


def test_help_gives_the_defaults_of_values_and_none_for_flags(capsys):
    made = parser()
    add_count(made, "--epochs", 5, "passes over the data")
    made.add_argument("--peers", action="store_true", help="also other libraries")
    with pytest.raises(SystemExit):
        made.parse_args(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "passes over the data (default: 5)" in text
    assert "seed of all random numbers (default: 0)" in text
    assert "(default: no pictures)" in text
    assert not any(f"(default: {value})" in text for value in (None, True, False))


def test_an_error_on_a_terminal_is_wrapped_to_its_width(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert status_of(UsageError("expected something else, " * 5)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 30


def test_selected_values_are_in_the_order_of_their_names():
    known = {"a": 1, "b": 2, "c": 3}
    assert list(select(known, ["c", "a", "c"], "letter").items()) == [("c", 3), ("a", 1)]
    assert select(known, None, "letter") == known
    with pytest.raises(UsageError, match="unknown letter 'd', expected one of a, b, c"):
        select(known, ["d"], "letter")


@pytest.mark.parametrize("status", [0, 1])
def test_the_status_of_a_run_is_passed_on(status):
    assert run_script(lambda options: status, parser(), []) == status


@pytest.mark.parametrize(
    "error",
    [
        UnknownBackendError("unknown backend 'nunpy'"),
        DatasetError("no MNIST here"),
        UsageError("unknown model 'gru'"),
        DivergenceError(3, 7, "the loss became NaN"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_expected_error_is_one_line_and_status_2(error, capsys):
    assert status_of(error) == 2
    assert capsys.readouterr() == ("", f"error: {error}\n")


def test_an_unexpected_error_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        status_of(ZeroDivisionError())


def test_an_interrupt_ends_with_status_130(capsys):
    assert status_of(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_pictures_without_matplotlib_are_refused_before_the_run(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    ran = []
    assert run_script(lambda options: ran.append(options) or 0, parser(), ["--out", "figures"]) == 2
    assert not ran
    assert capsys.readouterr().err == ('error: --out needs matplotlib: pip install "multinn[plot]"\n')


def test_a_folder_that_cannot_be_made_is_refused_before_the_run(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    arguments = ["--out", str(tmp_path / "file" / "folder")]
    assert run_script(lambda _: pytest.fail("it ran"), parser(), arguments) == 2
    assert capsys.readouterr().err.startswith("error: --out: expected a folder that exists or can")


def test_a_file_in_the_place_of_a_folder_is_refused_before_the_run(tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("")
    for option, given in (("--out", path), ("--json", path / "record.json")):
        assert run_script(lambda _: pytest.fail("it ran"), parser(), [option, str(given)]) == 2
        message = capsys.readouterr().err
        assert message.startswith(f"error: {option}: expected a folder that exists or can be made, got")
        assert f"{path}: File exists" in message


class SinglePrecision(type(get_backend("numpy:eager"))):
    """A backend that has no float64."""

    name = "single"

    def precision(self, dtype):
        if dtype != "float32":
            raise PrecisionError("no float64 here")
        return super().precision(dtype)


@pytest.mark.parametrize("option", ["--backend", "--backends"])
def test_a_backend_without_the_dtype_is_named_with_the_dtype(option, capsys):
    made = parser()
    if option == "--backends":
        made = make_parser("example", "Do something.", record=False)
        add_backends(made)
    add_dtype(made, "float64")
    run = lambda options: pytest.fail("it ran") if load_backends(options) else 0  # noqa: E731
    assert run_script(run, made, [option, f"{__name__}:SinglePrecision"]) == 2
    assert "error: the backend 'single' lacks float64, which this run needs" in capsys.readouterr().err


def test_a_folder_in_the_place_of_the_record_is_refused_before_the_run(tmp_path, capsys):
    assert run_script(lambda _: pytest.fail("it ran"), parser(), ["--json", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: --json: expected a file, got the folder {tmp_path}\n"


def test_a_script_without_pictures_or_record_has_no_options_for_them(capsys):
    made = make_parser("example", "Do something.", pictures=False, record=False)
    assert run_script(lambda _: 3, made, []) == 3
    for option in ("--out", "--json"):
        with pytest.raises(SystemExit):
            made.parse_args([option, "x"])
    capsys.readouterr()


def test_a_list_of_no_names_is_refused():
    with pytest.raises(argparse.ArgumentTypeError, match="expected names separated by commas, got ' ,'"):
        comma_separated(" ,")


def test_a_record_that_cannot_be_written_is_one_line_and_status_2(tmp_path, capsys):
    def run(options: argparse.Namespace) -> int:
        write_json(options.json, {})
        return 0

    (tmp_path / "file").write_text("")
    assert run_script(run, parser(), ["--json", str(tmp_path / "file" / "record.json")]) == 2
    assert capsys.readouterr().err.startswith("error: ")


RECORD: dict[str, Any] = {"loss": 0.1, "nested": {"list": [1, (2.5, None)], "text": "ä"}, "flag": True}


def test_a_record_is_read_back_as_it_was(tmp_path):
    path = tmp_path / "new" / "folder" / "record.json"
    write_json(path, RECORD)
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "loss": 0.1,
        "nested": {"list": [1, [2.5, None]], "text": "ä"},
        "flag": True,
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_what_is_not_finite_is_written_as_null(tmp_path, value):
    write_json(tmp_path / "record.json", {"a": value, "b": [{"c": (value, 1.0)}]})
    assert json.loads((tmp_path / "record.json").read_text()) == {"a": None, "b": [{"c": [None, 1.0]}]}


def test_a_record_replaces_an_older_one(tmp_path):
    path = tmp_path / "record.json"
    path.write_text("old" * 1000)
    write_json(path, {"new": 1})
    assert json.loads(path.read_text()) == {"new": 1}
    assert os.listdir(tmp_path) == ["record.json"]


def test_a_record_that_is_no_json_leaves_the_older_one(tmp_path):
    path = tmp_path / "record.json"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_json(path, {"array": np.zeros(3)})
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["record.json"]


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_older_record_and_nothing_else(tmp_path, monkeypatch, function):
    path = tmp_path / "record.json"
    path.write_text("old")

    def fail(*arguments: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="no space left"):
        write_json(path, RECORD)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["record.json"]


def test_a_record_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "any").touch()
    write_json(tmp_path / "record.json", RECORD)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_the_record_of_a_run(tmp_path):
    trainer = Trainer(Sequential([Dense(1)]), MeanSquaredError(), backend="numpy", seed=5)
    x = np.ones((4, 2))
    history = trainer.fit(x, x[:, :1], epochs=2, progress=False)
    options = parser().parse_args(["--out", "figures", "--seed", "5"])
    record = make_record("example", options, trainer, history, {"learned": True})
    assert json.loads(json.dumps(record)) == record
    assert record["history"] == list(history)
    assert record["seconds"] == {"compile": trainer.seconds.compile, "train": trainer.seconds.train}
    assert record["options"] == {
        "seed": 5,
        "out": "figures",
        "json": None,
        "compilation_cache": True,
        "backend": None,
    }
    assert {name: record[name] for name in ("experiment", "backend", "device", "dtype", "seed")} == {
        "experiment": "example",
        "backend": "numpy",
        "device": "cpu",
        "dtype": "float32",
        "seed": 5,
    }
    assert record["results"] == {"learned": True}


def test_options_become_plain_text():
    assert plain_options(argparse.Namespace(a=Path("x") / "y", b=1, c=None)) == {
        "a": str(Path("x") / "y"),
        "b": 1,
        "c": None,
    }


def test_versions_name_python_multinn_and_the_backends():
    found = versions(get_backend("numpy"), get_backend("jax"))
    assert list(found) == ["python", "multinn", "numpy", "blas", "jax"]
    assert found["numpy"] == np.__version__


def test_a_table_lines_up():
    assert format_table(["a", "long name"], [["longer", "1"], ["b", ""]]).splitlines() == [
        "a       long name",
        "------  ---------",
        "longer          1",
        "b",
    ]


def test_a_table_without_rows_has_its_head():
    assert format_table(["a", "b"], []) == "a  b\n-  -"
