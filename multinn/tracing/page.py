"""The page that shows a trace: one file that loads nothing, or a frame in a notebook."""

import base64
import html
import json
import re
import zlib
from functools import cache
from pathlib import Path
from typing import Any

from multinn.descriptions.types import checks_arguments

_VIEW = Path(__file__).parent / "view"
_CORE = (
    *("expressions.js", "arrays.js", "losses.js", "results.js"),
    *("inputs.js", "elements.js", "planes.js", "drawing.js"),
    *("units.js", "network.js", "explanation.js", "stepper.js"),
)
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
_IMPORT = re.compile(r"^import .*\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (default .*\n)?", re.MULTILINE)
_IMPORTED = re.compile(r'^import .* from "\./(\w+\.js)";', re.MULTILINE)
_DEFINES = re.compile(r"^formulas\.(\w+) = ", re.MULTILINE)
_UNPACK = """
for (const packed of document.querySelectorAll("script[id]")) {
  const bytes = Uint8Array.from(atob(packed.textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  packed.textContent = await new Response(stream).text();
}
const script = document.createElement("script");
script.type = "module";
script.textContent = document.getElementById("source").textContent;
document.head.append(script);
"""
_SHOW = """
const followTheme = () => { document.documentElement.dataset.theme = location.hash.slice(1); };
addEventListener("hashchange", followTheme);
followTheme();
const trace = JSON.parse(document.getElementById("trace").textContent);
mount(document.getElementById("view"), trace, { keys: document });
"""
_own_formulas: dict[str, str] = {}


@checks_arguments
def register_formulas(source: str) -> None:
    """Add formulas of your own layers, losses or optimizers to all pages made from now on.

    Args:
        source: JavaScript that sets ``formulas.NAME`` for each class; docs/traces.md explains how.

    Raises:
        ValueError: the source sets no formulas.
    """
    names = _DEFINES.findall(source)
    if not names:
        raise ValueError(
            'register_formulas: expected source: JavaScript with a line "formulas.NAME = {" for a '
            f"class, got {source!r:.80}"
        )
    _own_formulas.update(dict.fromkeys(names, source))


def page(trace: str) -> str:
    """Return the page for a trace, given as JSON.

    The script and the trace are compressed in it, to about half of their size. The page is light or dark
    like the reader's system, unless its address ends in "#light" or "#dark".
    """
    data = json.loads(trace)
    title = f"One step at a time: {data['layers'][0]['class']}"
    source = script(data) + _SHOW
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{html.escape(title)}</title>
<style>
{style()}</style>
<main id="view">This page needs JavaScript and a browser of 2024 or later.</main>
<script type="text/plain" id="trace">{_packed(trace)}</script>
<script type="text/plain" id="source">{_packed(source)}</script>
<script type="module">
{_UNPACK}</script>
</html>
"""


def _packed(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode(), level=9)).decode()


def frame(trace: str) -> str:
    """Return a frame with the page for a trace, which can run only its own script."""
    return (
        '<iframe sandbox="allow-scripts" title="One step at a time" '
        f'style="width: 100%; height: 46em; border: 0" srcdoc="{html.escape(page(trace))}"></iframe>'
    )


def style() -> str:
    """Return the style sheet of the view."""
    return (_VIEW / "stepper.css").read_text(encoding="utf-8")


def script(trace: dict[str, Any] | None = None) -> str:
    """Return the view as one JavaScript module.

    Args:
        trace: the trace to show, whose classes alone need formulas; None for all formulas.
    """
    classes = None
    if trace is not None:
        parts = [*trace["layers"], *losses_in(trace["loss"]), *trace["optimizers"]]
        classes = {part["class"] for part in parts}
    first, *rest = _CORE
    own = [text for name, text in _own_formulas.items() if classes is None or name in classes]
    return "".join([_module(first), *_families(classes), *map(_module, rest), *dict.fromkeys(own)])


def losses_in(loss: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a loss of a trace, and all losses within it."""
    return [loss, *(each for head in loss.get("heads", {}).values() for each in losses_in(head))]


def _families(classes: set[str] | None) -> list[str]:
    """Return the files in formulas/ for these classes, or all, each after the files it imports."""
    found: dict[str, str] = {}

    def include(name: str) -> None:
        for imported in _IMPORTED.findall(_source(f"formulas/{name}")):
            include(imported)
        found.setdefault(name, _module(f"formulas/{name}"))

    for path in sorted((_VIEW / "formulas").glob("*.js")):
        names = _DEFINES.findall(_source(f"formulas/{path.name}"))
        if classes is None or not classes.isdisjoint(names):
            include(path.name)
    return list(found.values())


@cache
def _module(name: str) -> str:
    """Return the source of a file without imports and exports, for one module of several files."""
    return _EXPORT.sub("", _IMPORT.sub("", _source(name)))


@cache
def _source(name: str) -> str:
    return (_VIEW / name).read_text(encoding="utf-8")
