"""The script that compares embeddings of categories with a one-hot encoding."""

import json

from experiments.compare_tables import draw_shop, draw_survey, main


def test_the_script_tabulates_and_records(tmp_path, capsys):
    path = tmp_path / "r.json"
    options = [
        "--backend",
        "numpy",
        "--examples",
        "120",
        "--tables",
        "1",
        "--epochs",
        "1",
        "--units",
        "4",
    ]
    assert main([*options, "--json", str(path)]) == 0
    printed, progress = capsys.readouterr()
    assert "table 2/2" in progress
    assert max(map(len, printed.splitlines())) <= 80
    results = json.loads(path.read_text())["results"]
    assert [each["table"] for each in results] == ["shop"] * 3 + ["survey"] * 3
    assert all(len(each["scores"]) == 1 for each in results)


def test_tables_of_the_same_seed_are_equal():
    for draw in (draw_shop, draw_survey):
        one, other = draw(3, 50), draw(3, 50)
        assert (one.x == other.x).all()
        assert (one.y == other.y).all()
        assert (one.x[:, one.categorical] % 1 == 0).all()
