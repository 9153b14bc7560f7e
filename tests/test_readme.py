"""What the README shows works: its code blocks run, and its pictures are there."""

import re
from inspect import isabstract
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_digits

import multinn
from backends.conformance import checks
from multinn import Container, Layer, Loss, Optimizer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def block_with(text: str) -> str:
    return next(block for block in BLOCKS if text in block)


def test_the_example_learns_the_digits(capsys):
    exec(block_with("load_digits"), {})
    accuracy, labels = capsys.readouterr().out.splitlines()
    assert float(accuracy) > 0.9
    assert labels == "[0 1 2] [0 1 2]"


def test_the_example_with_images_learns(capsys):
    exec(block_with("Conv2D"), {})
    assert float(capsys.readouterr().out) > 0.9


def test_the_example_with_sequences_learns(capsys):
    exec(block_with("LSTM"), {})
    assert float(capsys.readouterr().out) > 0.9


def test_the_example_with_scikit_learn_finds_saves_and_exports(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    x, y = load_digits(return_X_y=True)
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda **_: (x[:500], y[:500]))
    exec(block_with("GridSearchCV"), {})
    best, classes = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\{'dropout': 0\.[02]\} 0\.\d+", best)
    assert classes == "[0 1 2] [0 1 2]"
    assert {path.name for path in tmp_path.iterdir()} == {"digits.safetensors", "digits.onnx"}


@pytest.mark.parametrize("check", checks(), ids=str)
def test_the_backend_of_the_example_keeps_the_contract(check):
    names: dict[str, Any] = {}
    exec(block_with("class TinyBackend"), names)
    check(names["TinyBackend"]())


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)h][^)]*)\)", README))
def test_what_the_readme_links_to_is_there(target):
    assert (ROOT / target).is_file()


@pytest.mark.parametrize("kind", [Layer, Loss, Optimizer])
def test_the_tables_have_all_parts(kind):
    parts = [
        each for each in vars(multinn).values() if isinstance(each, type) and issubclass(each, kind)
    ]
    names = {each.__name__ for each in parts if each is not Container and not isabstract(each)}
    assert names <= set(re.findall(r"\w+", README))
