"""The site builds without a warning, is complete, loads nothing from elsewhere and fits each window."""

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import multinn
from tests.support.browser import WIDTHS, overflowing, quiet_page
from tests.support.browser import browser as browser
from tests.support.helpers import ROOT, run_python

pytestmark = pytest.mark.skipif(find_spec("sphinx") is None, reason="needs the extra docs")

PACKAGES = [
    "multinn",
    "multinn.exchange",
    "multinn.functional",
    "multinn.initializers",
    "multinn.onnx",
    "multinn.random",
    "multinn.schedules",
    "multinn.sklearn",
    "multinn.testing",
    "multinn.testing.gradient_cases",
    "multinn.testing.gradients",
    "multinn.testing.oracles",
    "multinn.tracing",
    "backends",
    "backends.conformance",
    "backends.tree",
]
LOADED_BY_SCRIPTS = re.compile(
    r"""(?:\bfrom|\bimport|\bimport\(|fetch\(|src=)\s*["'`]((?:https?:)?//[^"'`]+)"""
)
NOTEBOOK = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {name: python3, display_name: Python 3}
---

```{code-cell}
2 + 3
```
"""
CELL = re.compile(r"^```{code-cell}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECTIONS = re.compile(r"^(?:Attributes|Raises|>>>)", re.MULTILINE)
LOADED_BY_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')]+)""")


@dataclass
class Page(HTMLParser):
    """The parts of a page that matter: its anchors, its text, what it links to, and what it loads."""

    path: Path
    anchors: set[str] = field(default_factory=lambda: {""})
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        source = self.path.read_text(encoding="utf-8")
        self.loaded += [*LOADED_BY_STYLES.findall(source), *LOADED_BY_SCRIPTS.findall(source)]
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attributes if value is not None}
        self.anchors.add(found.get("id", ""))
        if tag == "a":
            self.links += [found["href"]] if "href" in found else []
        else:
            self.loaded += [found[name] for name in ("src", "href", "data", "poster") if name in found]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site that MULTINN_SITE names, or one with notebooks that were not executed."""
    if built := os.environ.get("MULTINN_SITE"):
        return Path(built).resolve()
    folder = tmp_path_factory.mktemp("docs") / "site"
    # Without execution, myst-nb warns that it does not know the language of the cells.
    options = ["-D", "nb_execution_mode=off", "-D", "suppress_warnings=myst-nb.lexer"]
    result = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", *options, "docs", folder],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    template = "webpack-macros.html"  # of the theme
    return {path: Page(path) for path in site.rglob("*.html") if path.name != template}


def public_objects() -> Iterator[tuple[str, Any]]:
    """Yield each name that a user may import, and its object."""
    for package in map(importlib.import_module, PACKAGES):
        for name, value in vars(package).items():
            is_own = hasattr(package, "__path__") or is_defined_in(package, name, value)
            if is_own and not name.startswith("_") and not inspect.ismodule(value):
                yield f"{package.__name__}.{name}", value


def is_defined_in(module: ModuleType, name: str, value: Any) -> bool:
    """Return whether a module defines a name itself, and imports it from no other."""
    if isinstance(value, float):
        return True
    return getattr(value, "__module__", None) == module.__name__


def documented_objects(pages: dict[Path, Page]) -> dict[int, str]:
    """Return the names in the reference, by the identities of their objects."""
    found = {}
    for path, page in pages.items():
        if path.parent.name == "reference":
            for anchor in page.anchors:
                module, _, name = anchor.rpartition(".")
                if module in PACKAGES:
                    found[id(getattr(sys.modules[module], name, None))] = anchor
    return found


def test_the_reference_has_every_public_name(pages):
    expected = dict(public_objects())
    assert len(expected) > 150
    documented = documented_objects(pages)
    assert [name for name, value in expected.items() if id(value) not in documented] == []


def test_the_reference_has_methods_that_private_bases_define(pages):
    anchors = {anchor for page in pages.values() for anchor in page.anchors}
    names = ("multinn.Trainer.predict", "multinn.GELU.backward", "multinn.sklearn.MLPClassifier.fit")
    assert set(names) <= anchors


def test_the_reference_has_each_line_of_the_derivations(pages):
    shown = {
        line.strip()
        for path, page in pages.items()
        if path.parent.name == "reference"
        for line in page.text.splitlines()
    }
    for kind in (multinn.Layer, multinn.Loss, multinn.Optimizer):
        for name in multinn.__all__:
            value = getattr(multinn, name)
            if inspect.isclass(value) and issubclass(value, kind):
                prose = SECTIONS.split(inspect.getdoc(value) or "")[0]
                formulas = {line.strip() for line in prose.splitlines() if line.startswith("    ")}
                assert formulas <= shown, name


def test_no_page_loads_anything_from_elsewhere(site, pages):
    loaded = {(path, target) for path, page in pages.items() for target in page.loaded}
    for pattern, names in ((LOADED_BY_STYLES, "*.css"), (LOADED_BY_SCRIPTS, "*.js")):
        for path in site.rglob(names):
            loaded |= {(path, target) for target in pattern.findall(path.read_text(encoding="utf-8"))}
    assert [(path, target) for path, target in loaded if urlsplit(target).netloc] == []


def test_links_and_loaded_files_are_there(pages):
    missing = []
    for path, page in pages.items():
        for target in [*page.links, *page.loaded]:
            parts = urlsplit(target)
            if not parts.scheme and not parts.netloc:
                goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                # scikit-learn's diagrams add a second "#" and a text to highlight.
                anchor = parts.fragment.partition("#:~:")[0]
                anchors = pages[goal].anchors if goal in pages else {anchor}
                if not goal.is_file() or unquote(anchor) not in anchors:
                    missing.append(f"{path.name}: {target}")
    assert missing == []


def test_formulas_are_mathml(pages):
    shown = {path.stem: page.text for path, page in pages.items()}
    assert "∂" in shown["chain-rule"]
    assert [name for name, text in shown.items() if re.search(r"\\(frac|begin|partial)", text)] == []


def test_names_of_functions_stand_apart_from_their_arguments(site):
    source = (site / "explanations" / "losses.html").read_text(encoding="utf-8")
    followers = re.findall(r"<mi>log</mi>\s*<mo>&ApplyFunction;</mo>\s*<(\w+)", source)
    assert {"mspace"} < set(followers) <= {"mspace", "mo"}  # a bracket needs no space


def test_the_start_page_leads_to_the_tutorials_of_known_notebooks(site, pages):
    start = pages[site / "index.html"]
    names = ("xor-by-hand", "classroom-xor", "mnist-from-scratch")
    assert {f"tutorials/{name}.html" for name in names} <= set(start.links)
    assert "_static/xor.html" in start.loaded


def test_every_page_fits_and_neither_complains_nor_loads_from_afar(site, pages, browser):
    found, widths = [], list(WIDTHS)
    with quiet_page(browser, (site / "index.html").as_uri(), width=widths[0]) as page:
        for path in pages:
            page.goto(path.as_uri())
            for width in widths:
                if page.viewport_size["width"] != width:
                    page.set_viewport_size({"width": width, "height": 900})
                found += [(path.name, width, name) for name in overflowing(page)]
            widths.reverse()  # the next page begins with the last width, which takes less time
    assert found == []


@pytest.mark.parametrize("name", ["index", "tutorials/one-step"])
def test_a_trace_on_a_page_follows_its_theme(site, browser, name):
    if name != "index" and "MULTINN_SITE" not in os.environ:
        pytest.skip("its notebook was executed only on the site that MULTINN_SITE names")
    with quiet_page(browser, (site / f"{name}.html").as_uri(), color_scheme="light") as page:
        frame = page.frame_locator("iframe")
        for theme in ("dark", "light"):
            page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
            frame.locator(f"[data-theme={theme}] .mn-view svg").first.wait_for()


def test_a_notebook_is_written_with_its_outputs(tmp_path):
    source = tmp_path / "sum.md"
    source.write_text(NOTEBOOK, encoding="utf-8")
    code = "import sys, pathlib, notebooks; notebooks.execute(*map(pathlib.Path, sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", code, source, tmp_path], cwd=ROOT / "docs", check=True)
    (cell,) = json.loads((tmp_path / "sum.ipynb").read_text(encoding="utf-8"))["cells"]
    assert cell["outputs"][0]["data"]["text/plain"] == ["5"]


def test_the_code_of_the_explanations_runs():
    pages = (ROOT / "docs" / "explanations").glob("*.md")
    cells = [cell for page in pages for cell in CELL.findall(page.read_text(encoding="utf-8"))]
    assert cells
    result = run_python("\n".join(cells))
    assert result.returncode == 0, result.stderr
