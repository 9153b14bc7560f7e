"""The page that shows a trace: one file that loads nothing, or a frame in a notebook."""

import html
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

_VIEW = Path(__file__).parent / "view"
_CORE = ("expressions.js", "arrays.js", "results.js", "drawing.js", "network.js", "stepper.js")
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
_IMPORT = re.compile(r"^import .*\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (default .*\n)?", re.MULTILINE)
_IMPORTED = re.compile(r'^import .* from "\./(\w+\.js)";', re.MULTILINE)
_DEFINES = re.compile(r"^formulas\.(\w+) = ", re.MULTILINE)
_own_formulas: dict[str, str] = {}


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
            'register_formulas: expected JavaScript with a line "formulas.NAME = {" for a class, got '
            f"{source!r:.80}"
        )
    _own_formulas.update(dict.fromkeys(names, source))


def page(trace: str) -> str:
    """Return the page for a trace, given as JSON."""
    # In a script, only "</script" and "<!--" end the text: JSON can write "<" as an escape.
    data = trace.replace("<", "\\u003c")
    title = f"One step at a time: {json.loads(trace)['layers'][0]['class']}"
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{html.escape(title)}</title>
<style>
{style()}</style>
<main id="view"></main>
<script type="application/json" id="trace">{data}</script>
<script type="module">
{script(json.loads(trace))}mount(document.getElementById("view"), JSON.parse(document.getElementById("trace").textContent));
</script>
</html>
"""


def frame(trace: str) -> str:
    """Return a frame with the page for a trace, which can run only its own script."""
    return (
        f'<iframe sandbox="allow-scripts" title="One step at a time" srcdoc="{html.escape(page(trace))}" '
        'style="width: 100%; height: 46em; border: 0"></iframe>'
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
        parts = [*trace["layers"], trace["loss"], *trace["optimizers"]]
        classes = {part["class"] for part in parts}
    first, *rest = _CORE
    own = [text for name, text in _own_formulas.items() if classes is None or name in classes]
    return "".join([_module(first), *_families(classes), *map(_module, rest), *dict.fromkeys(own)])


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
