"""The script for the cost of convolutions, as a person runs it, on the smallest images."""

import json

import pytest

from experiments.convolution_costs import jobs, main
from tests.support.helpers import run_experiment


def test_the_script_tabulates_and_records(tmp_path):
    small = ["--size", "4", "--channels", "4", "--batch-size", "1", "--repeats", "2"]
    done = run_experiment(
        "convolution_costs", *small, "--backends", "numpy", "--json", "r.json", folder=tmp_path
    )
    assert (done.returncode, done.stderr.count("round 3/3")) == (0, 1), done.stderr
    assert "ConvTranspose2D stride 2" in done.stdout
    record = json.loads((tmp_path / "r.json").read_text())
    assert (record["experiment"], record["backend"]) == ("convolution_costs", ["numpy"])
    assert [result["job"] for result in record["results"]] == [job.name for job in jobs(4, 4)]
    assert all(len(result["seconds"]) == 2 for result in record["results"])
    plain, same = record["results"][:2]
    assert plain["gflop"] == 3 * 2 * (2 * 2) * (3 * 3 * 4 * 4) / 1e9  # 2 x 2 windows, y, dx and dW
    assert same["gflop"] == 4 * plain["gflop"]


@pytest.mark.parametrize("option", ["--channels", "--size"])
def test_impossible_layers_are_one_line_and_status_2(option, capsys):
    assert main(["--backends", "numpy", option, "1"]) == 2
    assert capsys.readouterr().err.startswith("error: Conv2D: expected")
