"""The comparison of backends, as a person runs it: tables, a chart, a record."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from experiments.compare_backends import __main__ as compare_backends
from experiments.compare_backends import sweep as compare_backends_sweep
from experiments.compare_backends.runs import Rounds
from experiments.shared.tables import seconds_text
from tests.support.helpers import run_experiment

QUICK = ("--repeats", "2", "--processes", "1", "--examples", "150")
STANDINS = "tests.support.competitor_standins"
JOBS = ("xor", "lenet", "predict")
COMPETITORS = ("multinn numpy", "multinn jax", "floor")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], Path]:
    """The output of a run on two backends, its record, and the folder of its picture."""
    folder = tmp_path_factory.mktemp("comparison")
    options = (*QUICK, "--workloads", ",".join(JOBS), "--backends", "numpy,jax", "--out", str(folder))
    result = run_experiment("compare_backends", *options, "--json", str(folder / "record.json"))
    assert result.returncode == 0, result.stderr
    return result.stdout, json.loads((folder / "record.json").read_text()), folder


def by_job_and_competitor(record: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(timing["workload"], timing["competitor"]): timing for timing in record["results"]}


def test_every_job_runs_on_every_backend_and_beside_the_floor(comparison):
    _, record, _ = comparison
    assert by_job_and_competitor(record).keys() == {(job, name) for job in JOBS for name in COMPETITORS}
    assert [timing["failed"] for timing in record["results"] if timing["failed"]] == []
    assert record["complete"]


def test_the_parameters_agree_on_every_backend(comparison):
    _, record, _ = comparison
    for (job, name), timing in by_job_and_competitor(record).items():
        assert timing["agree"] is (True if name != "floor" and job != "predict" else None), timing


def test_compilation_and_later_runs_are_timed_separately(comparison):
    _, record, _ = comparison
    for timing in record["results"]:
        assert len(timing["calls"]) == 2
        assert min(timing["calls"]) <= timing["median"] <= max(timing["calls"])
        if timing["competitor"] != "floor":
            assert 0.0 < timing["compile"] < timing["first_call"]


def test_training_alone_is_shorter_than_the_call_of_fit(comparison):
    printed, record, _ = comparison
    for (job, name), timing in by_job_and_competitor(record).items():
        if name == "floor" or job == "predict":
            assert timing["training"] == []
        else:
            pairs = zip(timing["training"], timing["calls"], strict=True)
            assert all(0.0 < training < call for training, call in pairs), timing
    row = next(line.split() for line in printed.splitlines() if line.startswith("multinn jax"))
    xor = by_job_and_competitor(record)["xor", "multinn jax"]
    assert row[2] == seconds_text(xor["median"])
    assert row[5] == seconds_text(statistics.median(xor["training"]))


def test_ratios_are_medians_of_the_ratios_of_the_rounds(comparison):
    _, record, _ = comparison
    timings = by_job_and_competitor(record)
    for job in JOBS:
        floor, numpy, jax = (timings[job, name]["calls"] for name in ("floor", *COMPETITORS[:2]))
        expected = sum(own / base for own, base in zip(jax, floor, strict=True)) / 2
        assert timings[job, "multinn jax"]["ratio_to_floor"] == pytest.approx(expected)
        expected = sum(own / base for own, base in zip(jax, numpy, strict=True)) / 2
        assert timings[job, "multinn jax"]["ratio_to_ours"] == pytest.approx(expected)
        assert timings[job, "floor"]["ratio_to_floor"] == 1.0


def test_the_record_describes_the_machine(comparison):
    _, record, _ = comparison
    assert (record["experiment"], record["backend"]) == ("compare_backends", ["numpy", "jax"])
    assert record["device"] == ["cpu", "cpu:0"]
    assert record["seconds"].keys() == {"compile", "train"}
    assert {"python", "numpy", "jax"} <= record["versions"].keys()
    assert record["cores"]["usable"] >= 1


def test_the_claims_that_can_be_judged_are(comparison):
    printed, record, _ = comparison
    (claim,) = record["claims"]
    assert (claim["workload"], claim["ours"], claim["rival"]) == ("xor", "multinn jax", None)
    assert "xor: multinn jax  0.005 s" in printed


def test_the_tables_fit_a_terminal(comparison):
    printed, _, _ = comparison
    assert all(
        len(line) <= 80 for line in printed.splitlines() if not line.startswith(("picture:", "table:"))
    )
    assert all(f"\n{job}: " in printed for job in JOBS)


def test_the_chart_is_drawn_and_the_table_written(comparison):
    _, record, folder = comparison
    assert (folder / "compare_backends.png").stat().st_size > 10_000
    heading, _, *rows = (folder / "compare_backends.md").read_text().splitlines()
    assert heading == "|  | xor | lenet | predict |"
    names = ["multinn numpy", "multinn numpy, training alone", "multinn jax"]
    assert [row.split(" | ")[0] for row in rows] == [
        f"| {name}" for name in (*names, "multinn jax, training alone", "floor")
    ]
    medians = [each["median"] for each in record["results"] if each["competitor"] == "multinn jax"]
    assert rows[2] == f"| multinn jax | {' | '.join(map(seconds_text, medians))} |"


def test_the_rounds_are_shared_by_processes():
    assert Rounds(9, 3, None, 0, 60).of_each_process() == [range(3), range(3, 6), range(6, 9)]
    assert Rounds(3, 2, None, 0, 60).of_each_process() == [range(2), range(2, 3)]
    assert Rounds(1, 3, None, 0, 60).of_each_process() == [range(1)]


def test_a_competitor_runs_in_several_processes_one_after_the_other(tmp_path):
    record = tmp_path / "record.json"
    names = ("--competitors", f"{STANDINS}:ProcessNumber", "--workloads", "xor")
    rounds = ("--repeats", "3", "--processes", "2", "--examples", "10")
    result = run_experiment("compare_backends", *names, *rounds, "--json", str(record))
    assert "run 10/10" in result.stderr
    first, second, third = json.loads(record.read_text())["results"][0]["training"]
    assert first == second != third


def test_two_backends_of_one_library_are_different_competitors(tmp_path):
    path = tmp_path / "record.json"
    options = ("--workloads", "digits", "--backends", "numpy,numpy:eager", "--json", str(path))
    assert run_experiment("compare_backends", *QUICK, *options).returncode == 0
    record = json.loads(path.read_text())
    names = ("multinn numpy", "multinn numpy:eager", "floor")
    timings = by_job_and_competitor(record)
    assert list(timings) == [("digits", name) for name in names]
    assert all(timings["digits", name]["difference"] == 0.0 for name in names[:2])
    assert record["device"] == ["cpu", "eager"]


def test_a_failure_is_a_line_and_the_others_go_on(tmp_path):
    path = tmp_path / "record.json"
    names = ",".join(f"{STANDINS}:{name}" for name in ("Raises", "Dies", "Crashes", "Noisy"))
    options = ("--workloads", "xor,predict", "--competitors", names, "--json", str(path))
    result = run_experiment("compare_backends", *QUICK, *options, "--out", str(tmp_path))
    assert result.returncode == 0, result.stderr
    timings = by_job_and_competitor(json.loads(path.read_text()))
    for job in ("xor", "predict"):
        failures = {
            name: timings[job, f"{STANDINS}:{name}"]["failed"] for name in ("Raises", "Dies", "Crashes")
        }
        assert failures["Raises"].startswith("RuntimeError: out of patience!!!")
        assert failures["Dies"] == "ended with status 3"
        assert failures["Crashes"] == "ended by signal SIGSEGV"
        assert [len(timings[job, f"{STANDINS}:{name}"]["calls"]) for name in failures] == [0, 0, 1]
        noisy = timings[job, f"{STANDINS}:Noisy"]
        assert noisy["failed"] is None
        assert min(noisy["calls"]) >= 0.001
    lines = result.stdout.splitlines()
    assert lines.count(f"{STANDINS}:Dies: failed: ended with status 3") == 2
    assert all(len(line) <= 80 for line in lines if not line.startswith(("picture:", "table:")))


def test_the_sweep_has_a_table_a_picture_and_a_record(tmp_path):
    path = tmp_path / "record.json"
    sizes = ("--batch-sizes", "1,8", "--widths", "2,16", "--repeats", "2")
    options = ("--sweep", *sizes, "--backends", "numpy,jax", "--json", str(path))
    result = run_experiment("compare_backends", *options, "--out", str(tmp_path))
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert [row[:2] for row in rows] == [["1", "2"], ["1", "16"], ["8", "2"], ["8", "16"]]
    for _, _, numpy, jax, ratio in rows:
        assert float(jax) / float(numpy) == pytest.approx(float(ratio), rel=0.02, abs=0.006)
    record = json.loads(path.read_text())
    assert len(record["results"]) == 8
    assert all(cell["steps"] > 100 and len(cell["seconds"]) == 2 for cell in record["results"])
    assert record["complete"]
    assert (tmp_path / "sweep.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workloads", "xxl"), "error: unknown workload 'xxl', expected one of xor, digits"),
        (("--backends", "nunpy"), "error: unknown backend 'nunpy'"),
        (("--competitors", "torhc"), "error: unknown competitor 'torhc', expected one of 'multinn num"),
        (
            ("--competitors", f"{STANDINS}:Nobody"),
            f"error: competitor '{STANDINS}:Nobody': AttributeError",
        ),
        (
            ("--competitors", f"{STANDINS}:Stranger"),
            f"error: competitor '{STANDINS}:Stranger': expected a class derived from Competitor",
        ),
        (
            ("--competitors", f"{STANDINS}:Needy"),
            f"error: {STANDINS}:Needy is not installed: pip install a_library_that_is_nowhere",
        ),
        (("--widths", "8"), "error: --batch-sizes and --widths are only for --sweep"),
        (
            ("--sweep", "--peers"),
            "error: --sweep times a network of its own, on backends only: leave --peers out",
        ),
        (
            ("--sweep", "--processes", "2"),
            "error: --sweep times a network of its own, on backends only: leave --proc",
        ),
        (
            ("--sweep", "--timeout", "5"),
            "error: --sweep times a network of its own, on backends only: leave --timeout",
        ),
    ],
)
def test_an_impossible_option_is_one_line_and_status_2(options, message):
    result = run_experiment("compare_backends", *options)
    assert result.returncode == 2
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


MODES = pytest.mark.parametrize(
    ("options", "module", "measure", "table"),
    [
        (("--workloads", "xor"), compare_backends, "measure", "Seconds in float32"),
        (("--sweep",), compare_backends_sweep, "_measure", "size  width  numpy"),
    ],
    ids=["jobs", "sweep"],
)


@MODES
def test_ctrl_c_before_anything_is_measured(
    tmp_path, capsys, monkeypatch, options, module, measure, table
):
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, measure, interrupt)
    where = ("--out", str(tmp_path), "--json", str(tmp_path / "record.json"))
    assert compare_backends.main([*options, "--backends", "numpy,numpy:eager", *where]) == 130
    printed = capsys.readouterr()
    assert table in printed.out
    assert "interrupted: the table" in printed.err
    assert "no picture: " in printed.err
    assert not json.loads((tmp_path / "record.json").read_text())["complete"]


@MODES
def test_a_record_that_cannot_be_written_does_not_cost_the_tables(
    tmp_path, capsys, monkeypatch, options, module, measure, table
):
    def keep(*arguments: Any) -> None:
        if callable(arguments[-1]):
            arguments[-1]()

    def no_space(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, measure, keep)
    monkeypatch.setattr(module, "write_json", no_space)
    where = ("--json", str(tmp_path / "record.json"))
    assert compare_backends.main([*options, "--backends", "numpy", *where]) == 2
    printed = capsys.readouterr()
    assert table in printed.out
    assert printed.err.endswith("error: [Errno 28] No space left on device\n")
