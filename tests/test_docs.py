"""README and docs: their code runs with the packages that they name, and what they refer to is there."""

import inspect
import os
import re
import shlex
import subprocess
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import multinn
from backends.conformance import checks
from multinn import Container
from multinn.descriptions.registry import is_concrete
from tests.support.environments import build_wheel, make_environment
from tests.support.helpers import ROOT

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
}
README = PAGES["README.md"]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ELLIPSIS = re.compile(r"^ *\.\.\.\n", re.MULTILINE)
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a page in a language; the excerpt of a source is none of them."""
    found = [code for name, code in FENCED.findall(PAGES[page]) if name == language]
    return [code for code in found if not ELLIPSIS.search(code)]


def script(page: str) -> str:
    """Return the Python code of a page, each line at the number that it has on the page."""
    text = PAGES[page]
    lines: list[str] = []
    for block in FENCED.finditer(text):
        if block[1] == "python" and not ELLIPSIS.search(block[2]):
            lines += [""] * (text.count("\n", 0, block.start(2)) - len(lines)) + block[2].splitlines()
    return "\n".join(lines)


def requirements(page: str) -> list[str]:
    """Return what the first ``pip install`` line of a page installs."""
    line = re.search(r"pip install ([^`\n]+)", PAGES[page])
    assert line is not None, f"{page} does not name the packages that its code needs"
    return [re.sub(r"^\.", "multinn", name) for name in shlex.split(line[1])]


def anchors(path: Path) -> list[str]:
    """Return the anchors that a site makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.fixture(scope="module")
def multinn_folder(tmp_path_factory) -> Path:
    """The contents of the wheel, unpacked as pip does."""
    folder = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(build_wheel(folder)).extractall(folder / "site")
    return folder / "site"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_the_code_prints_what_the_page_shows_with_only_the_packages_that_it_names(
    page, multinn_folder, tmp_path
):
    folders = multinn_folder.iterdir()
    python = make_environment(tmp_path / "environment", requirements(page), *folders)
    path = tmp_path / "folder" / "page.py"
    path.parent.mkdir()
    path.write_text(script(page), encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run(
        [python, "-W", "error", path],
        cwd=path.parent,
        env={**inherited, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    shown = "".join(blocks(page, "text"))
    assert NUMBER.split(result.stdout) == NUMBER.split(shown)
    for came, expected in zip(NUMBER.findall(result.stdout), NUMBER.findall(shown), strict=True):
        # The last digits of a trained network's accuracy differ between processors.
        tolerance = 0.03 if "." in expected else 0.0
        assert float(came) == pytest.approx(float(expected), abs=tolerance, rel=0.0)


def test_the_layer_of_the_readme_is_the_source():
    (excerpt,) = [code for name, code in FENCED.findall(README) if ELLIPSIS.search(code)]
    source = inspect.getsource(multinn.Dense)
    position = 0
    for part in ELLIPSIS.split(excerpt):
        assert part.strip("\n") in source[position:]
        position = source.index(part.strip("\n"), position)


@pytest.mark.parametrize("check", checks(), ids=str)
def test_the_backend_of_the_readme_keeps_the_contract(check):
    names: dict[str, Any] = {}
    exec(next(code for code in blocks("README.md", "python") if "EagerBackend" in code), names)
    check(names["TinyBackend"]())


def test_the_readme_is_short():
    assert README.count("\n") <= 180


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_is_there(page):
    targets = re.findall(r'(?:\]\(|src=")([^)"]+)', PAGES[page])
    missing = []
    for target in [target for target in targets if not target.startswith("https://")]:
        place, _, anchor = target.partition("#")
        path = (ROOT / page).parent / place if place else ROOT / page
        if not path.is_file() or (anchor and anchor not in anchors(path)):
            missing.append(target)
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_the_modules_that_a_page_runs_are_there(page):
    modules = set(re.findall(r"python3? -m ((?:experiments|backends)(?:\.[a-z_]+)*)", PAGES[page]))
    assert [module for module in modules if find_spec(module) is None] == []


def test_the_readme_links_to_every_page():
    assert [page for page in PAGES if page != "README.md" and f"]({page})" not in README] == []


def test_every_page_is_one_topic_with_a_title():
    titles = {page: re.findall(r"^# (.+)$", text, re.MULTILINE) for page, text in PAGES.items()}
    assert {page: len(found) for page, found in titles.items()} == dict.fromkeys(PAGES, 1)


def test_the_table_of_extras_has_all_of_them():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    rows = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert sorted(rows) == sorted(project["optional-dependencies"])


def test_the_tables_of_parts_have_all_of_them():
    modules = [multinn, multinn.initializers, multinn.schedules, multinn.metrics]
    classes = {
        name
        for module in modules
        for name, value in vars(module).items()
        if not name.startswith("_") and is_concrete(value) and value is not Container
    }
    functions = {"accuracy", "binary_accuracy"}
    table = set(re.findall(r"\w+", PAGES["docs/parts.md"]))
    assert (classes | functions) - table == set()


def test_the_timings_of_the_readme_are_those_of_the_page():
    rows = re.findall(r"^\| .*\d\.\d.*\|$", README, re.MULTILINE)
    assert rows
    assert [row for row in rows if row not in PAGES["docs/timings.md"]] == []
