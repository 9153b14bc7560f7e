"""The tables, claims and pictures of made-up timings."""

import pytest

from backends import get_backend
from experiments import competitors
from experiments.compare_backends import __main__ as compare_backends
from experiments.compare_backends.picture import draw_comparison
from experiments.compare_backends.report import Comparison, print_report
from experiments.compare_backends.runs import Timing, ratio
from experiments.compare_backends.speed_claims import judge
from experiments.compare_backends.sweep import Cell, medians, sweep_table
from experiments.compare_backends.sweep_picture import draw_sweep
from experiments.competitors.workloads import all_workloads

NUMPY, JAX, FLOOR = "multinn numpy", "multinn jax", "floor"


def made_up(names: list[str], jobs: list[str] | None = None) -> Comparison:
    """A comparison of competitors, each 2.3 times slower than the one before; some lack numbers."""
    workloads = all_workloads()
    comparison = Comparison(
        {job: workloads[job] for job in jobs or workloads}, {NUMPY: get_backend("numpy")}
    )
    for job in comparison.workloads:
        for place, name in enumerate(names):
            calls = [0.001 * 2.3**place * noise for noise in (1.0, 1.1, 1.05)]
            timing = Timing(job, name, calls[0] * 3, calls[0] if place % 2 else None, calls)
            timing.training = calls if place % 2 else []
            timing.peak_megabytes = 12345.6 if place % 2 else None
            comparison.timings.append(timing)
    return comparison


def test_ten_competitors_with_long_names_fit_a_terminal(capsys):
    names = [f"some.module.of.somebody:Competitor{index}" for index in range(7)]
    comparison = made_up([FLOOR, NUMPY, "jax.grad + optax", *names])
    comparison.timings[-1].failed = "RuntimeError: " + 30 * "no memory "
    comparison.timings[-2].not_compared = "PrecisionError: " + 30 * "no float64 "
    print_report(comparison)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 6 * 22
    assert max(map(len, lines)) <= 80


def test_jobs_that_were_not_started_are_not_in_the_tables(capsys):
    comparison = made_up([FLOOR, NUMPY], ["xor", "digits"])
    comparison.timings[2:] = [Timing("digits", FLOOR), Timing("digits", NUMPY)]
    print_report(comparison)
    printed = capsys.readouterr().out
    assert "xor: " in printed
    assert "digits: " not in printed


@pytest.mark.parametrize("jobs", [["large"], None], ids=["one", "all"])
def test_the_chart_of_ten_competitors_is_drawn(tmp_path, jobs):
    comparison = made_up([NUMPY, FLOOR, *(f"peer number {index}" for index in range(8))], jobs)
    path = draw_comparison(comparison, tmp_path)
    assert path is not None
    assert path.stat().st_size > 10_000


def test_without_ratios_no_picture_is_drawn(tmp_path):
    assert draw_comparison(made_up([FLOOR]), tmp_path) is None
    assert draw_comparison(made_up([NUMPY]), tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_ratio_pairs_the_rounds_that_both_had():
    slow = Timing("xor", "slow", calls=[2.0, 9.0, 4.0])
    fast = Timing("xor", "fast", calls=[1.0, 3.0])
    assert ratio(slow, fast) == 2.5
    assert ratio(slow, Timing("xor", "none")) is None
    assert ratio(slow, None) is None


def timings(job: str, **seconds: float) -> dict[tuple[str, str], Timing]:
    names = {"numpy": NUMPY, "jax": JAX, "by_hand": "numpy by hand", "optax": "jax.grad + optax"}
    full = {names.get(name, name): value for name, value in seconds.items()}
    return {(job, name): Timing(job, name, calls=[value] * 3) for name, value in full.items()}


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (timings("digits", numpy=0.52, by_hand=1.0), ("numpy by hand", 0.5, 0.52, True)),
        (timings("digits", numpy=0.53, by_hand=1.0), ("numpy by hand", 0.5, 0.53, False)),
        (timings("lenet", jax=0.5, optax=1.0), ("jax.grad + optax", 0.5, 0.5, True)),
        (timings("xor", jax=0.00526), (None, 0.005, 0.00526, False)),
        (timings("predict", jax=1.2, keras=1.0, torch=0.99), ("torch", 1.05, 1.2 / 0.99, False)),
        (timings("mnist", jax=1.2, keras=2.0, torch=1.5), ("torch", 1.0, 0.8, True)),
    ],
)
def test_a_claim_holds_up_to_the_noise_against_the_best_rival(measured, expected):
    (verdict,) = judge(measured)
    rival, bound, value, holds = expected
    assert (verdict.rival, verdict.bound, verdict.holds) == (rival, bound, holds)
    assert verdict.measured == pytest.approx(value)


def test_there_is_no_verdict_without_a_measurement():
    assert judge({}) == []
    assert judge(timings("digits", numpy=1.0, keras=1.0)) == []
    assert judge({("xor", JAX): Timing("xor", JAX, failed="no memory")}) == []


def test_claims_are_about_jobs_of_full_size():
    comparison = made_up([JAX, "jax.grad + optax"])
    assert {"xor", "digits"} < {verdict.workload for verdict in comparison.verdicts()}
    comparison.workloads = all_workloads(100)
    assert {verdict.workload for verdict in comparison.verdicts()} == {"xor"}


def test_a_failed_cell_is_empty_in_the_table_and_in_the_picture(tmp_path):
    cells = [
        Cell("numpy", 8, 2, 100, [2e-5, 3e-5, 4e-5]),
        Cell("jax", 8, 2, 100, [6e-6]),
        Cell("numpy", 8, 64, 100, [1e-4]),
        Cell("jax", 8, 64, 100, failed="no memory"),
    ]
    last = [line.split() for line in sweep_table(["numpy", "jax"], cells).splitlines()][-2:]
    assert last == [["8", "2", "30.0", "6.00", "0.20"], ["8", "64", "100", "-", "-"]]
    for backends in (["numpy", "jax"], ["numpy"]):
        path = draw_sweep(backends, medians(cells), tmp_path)
        assert path.stat().st_size > 10_000


def test_a_sweep_of_many_backends_fits_a_terminal():
    names = [f"library{index}:device" for index in range(4)]
    cells = [Cell(name, 512, width, 100, [0.00123]) for name in names for width in (2, 2048)]
    lines = sweep_table(names, cells).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(sum(line.count(name) for line in lines) >= 1 for name in names)


def test_a_group_of_jobs_without_the_peers_that_are_not_installed(monkeypatch, capsys):
    peers = {
        "needy": "tests.support.competitor_standins:Needy",
        "quick": "tests.support.competitor_standins:Standin",
    }
    monkeypatch.setattr(compare_backends, "PEERS", peers)
    monkeypatch.setattr(competitors, "PEERS", peers)
    measured = []
    monkeypatch.setattr(compare_backends, "measure", lambda _job, timings, *_: measured.extend(timings))
    status = compare_backends.main(["--peers", "--workloads", "predict,deep", "--backends", "numpy"])
    assert status == 0
    assert [timing.competitor for timing in measured] == 7 * [NUMPY, "quick", FLOOR]
    deep = ["convolutions", "residual", "lstm", "gru", "transformer", "batch_norm"]
    assert [timing.workload for timing in measured[::3]] == ["predict", *deep]
    error = capsys.readouterr().err
    assert "left out, not installed: needy: pip install a_library_that_is_nowhere" in error
