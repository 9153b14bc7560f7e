"""The recipe that learns XOR, and runs from many seeds."""

import json
from dataclasses import replace

import numpy as np
import pytest

from backends import get_backend
from experiments.xor.recipes import RECIPES, Run
from experiments.xor.study import Study, format_study, run_study
from tests.support.xor_runs import run_xor, trained


def test_robust_learns_on_every_backend(backend):
    recipe = RECIPES["robust"]
    trainer = recipe.new_trainer(backend)
    recipe.start(trainer, 0)
    run = recipe.finish(trainer, recipe.fit(trainer, recipe.epochs))
    assert run.learned
    assert run.predictions == pytest.approx(trained("robust", 0)[1].predictions, abs=1e-4)


@pytest.mark.parametrize("library", ["numpy", "jax"])
def test_robust_learns_from_every_seed_of_a_study(library, tmp_path):
    path = tmp_path / "record.json"
    result = run_xor("--study", "30", "--backend", library, "--json", str(path))
    assert result.returncode == 0, result.stderr
    assert "30 of 30 seeds" in result.stdout
    assert "seed 30/30" in result.stderr
    results = json.loads(path.read_text())["results"]
    assert results["learned_count"] == results["count"] == 30
    assert results["seeds"] == list(range(30))
    assert results["learned"] == [True] * 30
    assert all(loss < 0.01 for loss in results["final_losses"])
    assert np.abs(np.array(results["predictions"]) - [0, 1, 1, 0]).max() < 0.25


def test_a_study_repeats_what_single_runs_give():
    recipe = RECIPES["robust"]
    study = run_study(recipe, recipe.new_trainer("numpy"), range(3, 6))
    for seed, loss, predictions in zip(range(3, 6), study.final_losses, study.predictions, strict=True):
        single = trained("robust", seed)[1]
        assert (loss, predictions) == (single.final_loss, single.predictions)


def test_a_study_compiles_no_more_than_one_run(monkeypatch):
    recipe = replace(RECIPES["robust"], epochs=5)
    jitted = []
    backend = get_backend("jax")
    jit = type(backend).jit
    monkeypatch.setattr(backend, "jit", lambda *args: jitted.append(args[0]) or jit(backend, *args))
    trainer = recipe.new_trainer(backend)
    run_study(recipe, trainer, range(1))
    after_one_run = len(jitted)
    run_study(recipe, trainer, range(1, 4))
    assert after_one_run == len(jitted) > 0


def study_of(learned: list[bool], final_losses: list[float]) -> Study:
    """Return a study of three epochs with these results, one per seed."""
    study = Study(replace(RECIPES["notebook"], epochs=3), range(len(learned)))
    for is_learned, final in zip(learned, final_losses, strict=True):
        predictions = [0.0, 1.0, 1.0, 0.0 if is_learned else 0.5]
        study.add(Run([4.0 * final, 3.0 * final, 2.0 * final], final, predictions, ()))
    return study


def test_the_table_of_a_study_has_rows_for_learned_and_not_learned():
    table = format_study(study_of([True, True, True, False], [0.001, 0.002, 0.003, 0.125]))
    cells = [line.split() for line in table.splitlines()[3:]]
    assert cells[0] == ["learned", "3", "75.0", "%", "0.001", "0.0012", "0.002", "0.0028", "0.003"]
    assert cells[1] == ["not", "learned", "1", "25.0", "%", *["0.12"] * 5]
    assert max(len(line) for line in table.splitlines()) <= 80


def test_the_history_of_a_study_is_the_median_loss():
    history = study_of([True, True, False], [1.0, 2.0, 9.0]).history()
    assert history[1] == {"epoch": 1, "loss": 6.0, "lowest_loss": 3.0, "highest_loss": 27.0}
    assert [entry["epoch"] for entry in history] == [0, 1, 2]
