"""The tutorials: their code runs, and their sources are well formed."""

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.helpers import ROOT, run_python
from tests.support.notebooks import cells, prose, script

FOLDER = ROOT / "docs" / "tutorials"
PAGES = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted(FOLDER.glob("*.md"))
    if path.stem != "index"
}
ON_ALL_BACKENDS = ("xor-by-hand", "classroom-xor", "mnist-from-scratch", "one-step")
HEADER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  name: python3
  display_name: Python 3
---
"""
MOST_LINES = 40

every_page = pytest.mark.parametrize("page", PAGES)


# Runs each notebook in a folder of its own, and writes the traceback of an error beside it.
RUNNER = """
import json, os, pathlib, sys, traceback
for page, code in json.load(open(sys.argv[1], encoding="utf-8")).items():
    folder = pathlib.Path(sys.argv[2], page)
    folder.mkdir()
    os.chdir(folder)
    try:
        exec(compile(code, page, "exec"), {"__name__": "__main__"})
    except Exception:
        folder.with_suffix(".txt").write_text(traceback.format_exc(), encoding="utf-8")
"""


@pytest.fixture(scope="module")
def run_on(tmp_path_factory):
    """A function that runs tutorials on a backend, once, and returns the folder of their results."""

    @cache
    def run(backend: str) -> Path:
        folder = tmp_path_factory.mktemp(backend)
        pages = PAGES if backend == "numpy" else ON_ALL_BACKENDS
        codes = folder / "codes.json"
        codes.write_text(json.dumps({page: script(PAGES[page]) for page in pages}), encoding="utf-8")
        environment = {"MULTINN_BACKEND": backend, "MPLBACKEND": "agg", "MULTINN_DATA": ""}
        code = f"import sys; sys.argv[1:] = [{str(codes)!r}, {str(folder)!r}]\n{RUNNER}"
        result = run_python(code, environment=environment, seconds=300)
        assert result.returncode == 0, result.stderr
        return folder

    return run


@pytest.mark.parametrize(
    ("page", "backend"),
    [
        *((page, "numpy") for page in PAGES),
        *((page, backend) for backend in ("jax", "torch") for page in ON_ALL_BACKENDS),
    ],
)
def test_the_code_runs(page, backend, run_on):
    folder = run_on(backend) / page
    error = folder.with_suffix(".txt")
    assert not error.exists(), error.read_text(encoding="utf-8")
    assert [*folder.iterdir()] == []  # a reader's folder stays clean


@every_page
def test_a_downloaded_notebook_needs_no_checkout(page):
    code = "".join(cells(PAGES[page]))
    modules = re.findall(r"^ *(?:from|import) (\w+)", code, re.MULTILINE)
    assert {"experiments", "tests"} & {*modules} == set()


@every_page
def test_the_source_is_a_notebook_without_outputs(page):
    assert PAGES[page].startswith(HEADER)
    assert cells(PAGES[page])
    assert "```text" not in PAGES[page]
    assert "](data:" not in PAGES[page]


@every_page
def test_no_cell_is_long(page):
    lengths = [len(cell.splitlines()) for cell in cells(PAGES[page])]
    assert max(lengths) <= MOST_LINES


@every_page
def test_the_headings_are_one_title_and_its_sections(page):
    levels = [len(marks) for marks in re.findall(r"^(#+) .+$", prose(PAGES[page]), re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


def test_the_figures_of_all_pages_have_one_style():
    drawing = [page for page in PAGES.values() if "plt." in page]
    style = re.compile(r"^GREY = .*?^\)$", re.MULTILINE | re.DOTALL)
    styles = {tuple(style.findall(page)) for page in drawing}
    assert [len(each) for each in styles] == [1]


@every_page
def test_what_a_page_links_to_is_there(page):
    places = [urlsplit(target) for target in re.findall(r"\]\(([^)]+)\)", prose(PAGES[page]))]
    files = {place.path for place in places if not place.netloc and place.path}
    assert [name for name in sorted(files) if not (FOLDER / name).is_file()] == []
