"""The language experiment: its windows, its samples, and runs of a tiny model on both backends."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from backends import get_backend
from experiments.language.__main__ import main
from experiments.language.model import make_trainer, pick, write_on
from experiments.language.options import language_parser
from experiments.language.text import UNCOUNTED, held_out_windows, make_text, training_windows
from experiments.shared.errors import DatasetError
from multinn import Trainer

BACKENDS = ("numpy", "jax")
STORY = "Once there was a rabbit.\nIt was late, and it ran.\n" * 13
TINY = ["--width", "8", "--heads", "2", "--blocks", "1", "--context", "8", "--sample-length", "20"]
QUICK = [*TINY, "--epochs", "4", "--report-every", "2", "--learning-rate", "0.02"]


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Path:
    """A file with a short text."""
    path: Path = tmp_path_factory.mktemp("text") / "story.txt"
    path.write_text(STORY, encoding="utf-8")
    return path


# Windows


@pytest.mark.parametrize("context", [1, 2, 7, 8])
def test_each_held_out_character_is_predicted_once(context):
    text = make_text("story", STORY, context)
    _, y = held_out_windows(text, context)
    assert y[y != UNCOUNTED].tolist() == text.ids[text.start :].tolist()
    assert text.held_out == pytest.approx(len(STORY) / 10, abs=context)


@pytest.mark.parametrize("context", [1, 2, 7, 8])
def test_at_least_half_a_context_is_known_before_a_held_out_character(context):
    text = make_text("story", STORY, context)
    x, y = held_out_windows(text, context)
    assert (y[:, : context // 2] == UNCOUNTED).all()
    assert (x[:, 1:][y[:, :-1] != UNCOUNTED] == y[:, :-1][y[:, :-1] != UNCOUNTED]).all()


def test_training_windows_run_from_the_first_to_the_last_character_before_the_held_out_ones():
    text = make_text("story", STORY, 8)
    x, y = training_windows(text, 8, batch_size=16)
    assert len(x) % 16 == 0
    assert x[0].tolist() == text.ids[:8].tolist()
    assert y[-1].tolist() == text.ids[text.start - 8 : text.start].tolist()
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])


def test_a_batch_larger_than_the_text_is_refused():
    with pytest.raises(DatasetError, match=r"story has 86 windows of 4 characters to train on"):
        training_windows(make_text("story", "ab" * 50, 4), 4, 87)


def test_a_text_is_decoded_to_itself():
    text = make_text("story", STORY, 8)
    assert text.decode(text.encode("late.\n")) == "late.\n"


# Samples


@pytest.fixture(scope="module")
def untrained() -> Trainer:
    """A model with its initial parameters."""
    options = language_parser().parse_args(TINY)
    return make_trainer(options, make_text("story", STORY, 8), get_backend("numpy"))


def written(trainer: Trainer, length: int = 20, temperature: float = 1.0, seed: int = 0) -> list[int]:
    """Let the model continue two characters."""
    prompt = np.array([3, 4], np.uint8)
    ids = write_on(trainer, prompt, length, context=8, temperature=temperature, seed=seed)
    return [int(index) for index in ids]


def test_a_sample_is_the_prompt_and_so_many_characters(untrained):
    ids = written(untrained)
    assert ids[:2] == [3, 4]
    assert len(ids) == 22


def test_the_same_seed_writes_the_same(untrained):
    assert written(untrained) == written(untrained)
    assert written(untrained) != written(untrained, seed=1)


def test_a_shorter_sample_is_the_beginning_of_a_longer_one(untrained):
    assert written(untrained)[:7] == written(untrained, length=5)


def test_at_temperature_zero_the_likeliest_character_is_written(untrained):
    ids = written(untrained, temperature=0.0)
    for place in range(2, 22):
        seen = ids[max(place - 8, 0) : place]
        later = [5] * (8 - len(seen))  # a causal model does not see these
        logits = untrained.predict(np.array([seen + later], np.uint8))[0, len(seen) - 1]
        assert ids[place] == np.argmax(logits)


@pytest.mark.parametrize(
    ("temperature", "shares"), [(1.0, [0.2, 0.8]), (0.5, [1 / 17, 16 / 17]), (0.0, [0.0, 1.0])]
)
def test_characters_are_picked_by_their_probabilities(temperature, shares):
    logits = np.log([0.2, 0.8]) + 1000.0
    picked = [pick(logits, temperature, draw) for draw in np.arange(0.005, 1.0, 0.01)]
    assert np.bincount(picked, minlength=2) / 100 == pytest.approx(shares, abs=0.01)


# Runs


@dataclass
class Outcome:
    """The output, the record and the pictures of a run."""

    output: str
    record: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def run(story, tmp_path_factory) -> Outcome:
    """A run of a tiny model on both backends."""
    folder = tmp_path_factory.mktemp("run")
    files = ["--json", str(folder / "record.json"), "--out", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda *texts, **_: lines.extend(map(str, texts)))
        assert main(["--backends", ",".join(BACKENDS), "--text", str(story), *QUICK, *files]) == 0
    return Outcome("\n".join(lines), json.loads((folder / "record.json").read_text()), folder)


def results_of(run: Outcome) -> list[dict[str, Any]]:
    """Return the results of each backend."""
    return [run.record["results"]["runs"][name] for name in BACKENDS]


def test_the_held_out_loss_falls_below_that_of_guessing(run):
    characters = run.record["results"]["characters"]
    assert all(each["held_out_loss"] < 0.8 * np.log(characters) for each in results_of(run))


def test_there_is_a_record_and_a_sample_for_each_report(run):
    for each in results_of(run):
        assert [record["epoch"] for record in each["history"]] == [2, 4]
        assert len(each["samples"]) == 3
        assert each["history"][-1]["validation_loss"] == each["held_out_loss"]


def test_the_backends_have_the_same_losses_and_samples(run):
    numpy, jax = results_of(run)
    assert numpy["samples"] == jax["samples"]
    for own, other in zip(numpy["history"], jax["history"], strict=True):
        assert own == pytest.approx(other, rel=1e-4)


def test_the_record_describes_the_run(run):
    assert {"experiment": "language", "backend": list(BACKENDS), "seed": 0}.items() <= run.record.items()
    assert run.record["results"]["baselines"].keys() == {"trigram", "4-gram"}
    assert run.record["seconds"]["train"] > 0.0


def test_the_output_shows_the_losses_within_80_columns(run):
    for each, name in zip(results_of(run), BACKENDS, strict=True):
        assert f"transformer, {name}" in run.output
        assert f"{each['held_out_loss']:.4f}" in run.output
    report = [line for line in run.output.splitlines() if not line.startswith("picture:")]
    assert max(map(len, report)) <= 80


def test_the_picture_shows_something(run):
    assert len(np.unique(matplotlib.image.imread(run.folder / "language_losses.png"))) > 20


def test_without_a_name_the_backend_is_that_of_the_environment(story, capsys, monkeypatch):
    monkeypatch.setenv("MULTINN_BACKEND", "numpy")
    assert main(["--text", str(story), *TINY, "--epochs", "1", "--sample-length", "0"]) == 0
    output = capsys.readouterr().out
    assert "transformer, numpy" in output
    assert "transformer, jax" not in output


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--context", "2000"], "story.txt has 650 characters, too few for a context of 2000"),
        (["--prompt", "Über"], "the prompt has the character 'Ü', which does not occur in story.txt"),
        (["--width", "9", "--heads", "2"], "TransformerBlock: expected features divisible by 2 heads"),
        (["--text", "absent.txt"], "the text absent.txt cannot be read"),
        (["--backends", "tensorflow"], "unknown backend 'tensorflow'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_an_impossible_option_is_one_error(story, arguments, message, capsys):
    assert main(["--text", str(story), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_a_text_of_too_many_different_characters_is_one_error(tmp_path, capsys):
    path = tmp_path / "signs.txt"
    path.write_text("".join(map(chr, range(0x4E00, 0x4F01))), encoding="utf-8")
    assert main(["--text", str(path)]) == 2
    assert "signs.txt has 257 different characters, expected at most 256" in capsys.readouterr().err


def test_a_text_that_is_no_utf_8_is_one_error(tmp_path, capsys):
    path = tmp_path / "latin.txt"
    path.write_bytes(b"\xe9t\xe9")
    assert main(["--text", str(path)]) == 2
    assert "latin.txt cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs: expected an integer of at least 1, got '0'"),
        (["--context", "0"], "--context: expected an integer of at least 1, got '0'"),
        (["--dropout", "1"], "--dropout: expected a number in [0, 1), got '1'"),
        (["--temperature", "-1"], "--temperature: expected a finite number of 0 or more, got '-1'"),
        (["--sample-length", "-1"], "--sample-length: expected an integer of at least 0, got '-1'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_bad_option_is_named(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
