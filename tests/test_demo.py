"""The tour: what comes, one table of all backends, and the pictures."""

import pytest

from experiments import demo

NAMES = ["numpy", "numpy:eager"]


@pytest.fixture(autouse=True)
def without_the_long_parts(monkeypatch):
    """Leave out what has tests of its own."""
    monkeypatch.setattr(demo, "installed_backends", lambda: NAMES)
    monkeypatch.setattr(demo.check_gradients, "main", lambda *arguments: 0)
    monkeypatch.setattr(demo.compare_backends, "main", lambda *arguments: 0)


def test_all_backends_are_in_one_table(tmp_path, capsys):
    assert demo.main(["--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 + len(str(tmp_path))
    start = lines.index(next(line for line in lines if line.startswith("backend ")))
    rows = [line.split() for line in lines[start + 2 :][: len(NAMES)]]
    assert [row[0] for row in rows] == NAMES
    assert rows[0][1:3] == rows[1][1:3]
    assert float(rows[0][1].rstrip("%")) > 95
    assert [row[3] for row in rows] == ["-", "0e+00"]  # the same bits
    assert {path.name for path in tmp_path.iterdir()} == {
        "digits_learning_curves.png",
        "digits_confusion_matrix.png",
        "digits_samples.png",
    }


def test_a_gradient_that_fails_ends_it(tmp_path, monkeypatch):
    monkeypatch.setattr(demo.check_gradients, "main", lambda *arguments: 1)
    assert demo.main(["--out", str(tmp_path)]) == 1
