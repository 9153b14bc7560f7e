"""The adding problem, as a person runs it."""

import io
import json
from contextlib import redirect_stdout

import numpy as np
import pytest

from experiments.sequence.__main__ import main
from experiments.sequence.adding_problem import CONSTANT_ERROR, draw_sequences
from tests.support.helpers import run_experiment

BACKENDS = ("numpy", "jax")
MODELS = ("lstm", "attention")

# The task


def test_two_steps_are_marked_one_in_each_half():
    x, y = draw_sequences(np.random.default_rng(0), examples=200, steps=7, shortest=7)
    first, second = x[:, :3], x[:, 3:]
    assert (first[:, :, 1].sum(axis=1) == 1.0).all()
    assert (second[:, :, 1].sum(axis=1) == 1.0).all()
    assert x[:, :, 1].any(axis=0).all()
    np.testing.assert_array_equal(y[:, 0], [example[example[:, 1] == 1.0, 0].sum() for example in x])


def test_lengths_vary_and_the_rest_is_padding():
    x, _ = draw_sequences(np.random.default_rng(0), examples=200, steps=6, shortest=2)
    counts = x.any(axis=-1)
    lengths = counts.sum(axis=1)
    assert set(lengths) == {2, 3, 4, 5, 6}
    np.testing.assert_array_equal(counts, np.arange(6) < lengths[:, None])
    assert (x[:, :, 1].sum(axis=1) == 2.0).all()


def test_always_answering_one_has_the_documented_error():
    _, y = draw_sequences(np.random.default_rng(0), examples=20_000, steps=4, shortest=4)
    assert np.mean((y - 1.0) ** 2) == pytest.approx(CONSTANT_ERROR, rel=0.03)


# The script


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The output of a short run on both backends, its record, and the folder of its picture."""
    folder = tmp_path_factory.mktemp("sequence")
    options = ("--steps", "6", "--shortest", "3", "--epochs", "2", "--examples", "100")
    selected = ("--models", ",".join(MODELS), "--backends", ",".join(BACKENDS))
    written = ("--json", str(folder / "r.json"), "--out", str(folder))
    with redirect_stdout(io.StringIO()) as printed:
        assert main([*options, *selected, *written]) == 0
    return printed.getvalue(), json.loads((folder / "r.json").read_text()), folder


@pytest.mark.parametrize("model", MODELS)
def test_the_curves_are_the_same_on_both_backends(both, model):
    results = both[1]["results"][model]
    numpy, jax = (results["histories"][name] for name in BACKENDS)
    assert len(numpy) == len(jax) == 2
    for own, other in zip(jax, numpy, strict=True):
        assert own == pytest.approx(other, rel=1e-10)
    assert results["differences"]["jax"] < 1e-10


def test_the_output_has_all_models_within_80_columns(both):
    printed, record, _ = both
    lines = [line for line in printed.splitlines() if not line.startswith("picture:")]
    assert max(map(len, lines)) <= 80
    assert tuple(record["results"]) == MODELS
    summary = printed[printed.index("model ") :]
    assert all(f"\n{name} " in summary for name in (*MODELS, "always 1"))
    assert "3 to 6 steps" in printed


def test_the_picture_is_drawn(both):
    assert (both[2] / "sequence_errors.png").stat().st_size > 10_000


def test_lstm_and_attention_learn_and_the_feed_forward_network_does_not(tmp_path):
    options = ("--steps", "12", "--examples", "2500", "--epochs", "4", "--batch-size", "25")
    precision = ("--dtype", "float32", "--json", "r.json")
    done = run_experiment("sequence", *options, *precision, "--backends", "numpy", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    errors = {
        model: results["histories"]["numpy"][-1]["validation_loss"]
        for model, results in json.loads((tmp_path / "r.json").read_text())["results"].items()
    }
    assert errors.keys() == {"lstm", "attention", "feed-forward"}
    assert max(errors["lstm"], errors["attention"]) < 0.1 * CONSTANT_ERROR < errors["feed-forward"]
    verdicts = [line.split()[-1] for line in done.stdout.splitlines()[-4:]]
    assert verdicts == ["yes", "yes", "NO", "NO"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "gru"], "unknown model 'gru', expected one of lstm, attention, feed-forward"),
        (["--steps", "1"], "expected --shortest from 2 to --steps, got --steps 1 and --shortest 1"),
        (["--steps", "5", "--shortest", "6"], "--steps 5 and --shortest 6"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_option_is_one_error(arguments, message, capsys):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
